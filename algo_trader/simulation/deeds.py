"""What people and the broker do while the daemon trades: each deed at its appointed minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from algo_trader.core.inputs import CloseAll, Halt, Input, Resume
from algo_trader.core.types import MINUTE, ExitReason, Symbol
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.orders import Order
from algo_trader.simulation.exchange import SimulatedExchange
from algo_trader.simulation.life import Life
from algo_trader.simulation.plan import Appointment, Deed
from algo_trader.simulation.world import World

A_WHILE_S = 4 * MINUTE
"""Market time for which halts and blocks last."""
PATIENCE_S = 10.0
AGAIN_S = 1.0


class People:
    """The account's owner, the broker's staff and an operator. `life` tells which process runs."""

    def __init__(
        self, exchange: SimulatedExchange, world: World, life: Callable[[], Life | None]
    ) -> None:
        self._exchange = exchange
        self._world = world
        self._life = life

    async def keep(self, appointment: Appointment) -> None:
        """Wait for the minute, then do it, if there is anything to do it to."""
        session = self._exchange.market.period[appointment.day].session
        await self._exchange.until(session.opens_at + appointment.minute * MINUTE + 10)
        with suppress(ApiFault):
            if await self._do(appointment.deed, appointment.symbol):
                self._world.tally[f"deed: {appointment.deed}"] += 1

    async def resume_at_last(self) -> None:
        """The operator clears whatever halt is left, until it is on record."""
        while True:
            life = self._life()
            daemon = None if life is None or life.fuse.is_burnt else life.daemon
            if daemon is not None and daemon.engine.book.halted is None:
                return
            await self._tell(Resume())
            await asyncio.sleep(AGAIN_S)

    # -- inside --

    async def _do(self, deed: Deed, symbol: Symbol) -> bool:
        exchange, at = self._exchange, self._exchange.time_now
        desk, held = exchange.desk, exchange.held(symbol)
        match deed:
            case Deed.SELLS_ALL if held:
                desk.close_position(symbol, at)
            case Deed.SELLS_PART if abs(held) > 1:
                desk.close_position(symbol, at, qty=str(abs(held) // 2))
            case Deed.BUYS:
                self._order(symbol, "buy", type="market", qty="7")
            case Deed.CANCELS_STOP if stop := self._stop_of(symbol):
                desk.cancel(stop.id, at)
            case Deed.MOVES_STOP if (stop := self._stop_of(symbol)) and stop.stop_price:
                change = Decimal("0.03") if stop.action == "sell" else Decimal("-0.03")
                desk.replace(stop.id, {"stop_price": str(stop.stop_price - change)}, at)
            case Deed.RESTS_ORDER:
                self._order(symbol, "buy", type="limit", qty="3", limit_price="11.00")
            case Deed.LOSES_STOP if stop := self._stop_of(symbol):
                exchange.is_silent = True
                desk.cancel(stop.id, at)
                exchange.is_silent = False
            case Deed.BUSTS if done := desk.blotter.executions:
                desk.bust(done[-1].id, at)
            case Deed.REJECTS if found := desk.blotter.open_orders(symbol):
                desk.reject(found[-1].id, at, "rejected after all")
            case Deed.BLOCKS:
                desk.block("account is restricted to liquidation only")
                await self._a_while()
                desk.block(None)
            case Deed.HALTS_TRADING:
                exchange.halt_trading(symbol, True)
                await self._a_while()
                exchange.halt_trading(symbol, False)
            case Deed.HALTS:
                await self._tell(Halt("the operator wants it"))
                await self._a_while()
                await self._tell(Resume())
            case Deed.FLATTENS:
                await self._tell(Halt("the operator wants it"))
                await self._tell(CloseAll(ExitReason.OPERATOR))
                await self._a_while()
                await self._tell(Resume())
            case Deed.RESTARTS if life := self._life():
                life.stop("an operator asked for it")
            case _:
                return False
        self._world.note(f"deed: {deed} {symbol}")
        return True

    def _order(self, symbol: Symbol, side: str, **terms: Any) -> None:
        body = {"symbol": symbol, "side": side, "time_in_force": "day", **terms}
        self._exchange.desk.foreign_order(body, self._exchange.time_now)

    def _stop_of(self, symbol: Symbol) -> Order | None:
        return next(
            (
                order
                for order in self._exchange.desk.blotter.open_orders(symbol)
                if order.stop_price is not None
                and self._exchange.held(symbol)
                and "-entry-" not in order.client_order_id
            ),
            None,
        )

    async def _tell(self, item: Input) -> None:
        """An operator's word, as the control socket hands it on; nobody may be there to hear it."""
        life = self._life()
        if life is None or life.fuse.is_burnt or life.daemon is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await life.daemon.pump.ask(item)

    async def _a_while(self) -> None:
        await asyncio.sleep(A_WHILE_S / self._exchange.clock.speed)
