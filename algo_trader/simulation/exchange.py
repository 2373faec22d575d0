"""The account at the other end of the line: the exchange that `exchange serve` serves, in-process.

Requests come as method, path and terms, answers go as status and JSON text, which the adapter reads
as it reads what a socket brings. The floor plays the market by the virtual clock, whether anybody
is connected or not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from algo_trader.core.inputs import TradingHalt
from algo_trader.core.types import Bar, Symbol
from algo_trader.exchange.asking import Ask, Handler, Route
from algo_trader.exchange.clock import VirtualClock
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.errors import ApiFault, not_found
from algo_trader.exchange.floor import Floor
from algo_trader.exchange.order_json import order_json
from algo_trader.exchange.orders import FINAL
from algo_trader.exchange.rest_data import DataRoutes, DataTerms
from algo_trader.exchange.rest_trading import TradingRoutes
from algo_trader.exchange.wire import dumps
from algo_trader.simulation.loop import now
from algo_trader.simulation.market import Market
from algo_trader.simulation.plan import Plan
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

ACCOUNT = "SIM000001"
CASH = Decimal(100_000)
COSTS = Costs(slippage_per_share=Decimal("0.01"))
LINGER_S = 120
"""Market seconds before an open and after a close that are lived through."""
LOOK_EVERY_S = 0.5
VERSION = "/v2"
Row = dict[str, Any]


class SimulatedExchange:
    """One account and its market. `on_update` is told every trade update, `on_bars` the bars of
    each minute when it is over, `on_halt` that trading has stopped or goes on, `on_step` that the
    market has done something.
    """

    def __init__(self, plan: Plan, market: Market) -> None:
        self.on_bars: Callable[[Sequence[Bar]], None] = lambda bars: None
        self.on_halt: Callable[[TradingHalt], None] = lambda halt: None
        self.on_step: Callable[[], None] = lambda: None
        self._tell_update: Callable[[Row], None] = lambda data: None
        self.market = market
        self.clock = VirtualClock(0, plan.speed, real=now)
        self.desk = Desk(
            account_number=ACCOUNT,
            cash=CASH,
            costs=COSTS,
            rules=VenueRules(
                partial_fill_pct=plan.partial_pct,
                seed=plan.seed,
                refuse_stops_through_market=True,
            ),
            sessions=market.table,
            symbols=plan.symbols,
        )
        self.floor = Floor(
            self.desk,
            self.clock,
            period=market.period,
            history=market.history,
            lead_s=LINGER_S,
            linger_s=LINGER_S,
        )
        self.desk.on_update = self._updated
        self.floor.on_bars = lambda bars, at: self.on_bars(bars)
        self.is_silent = False
        """Whether what happens at the moment is told to nobody."""
        self._routes = [
            (route.method, _pattern(route), route.handler)
            for route in (
                *TradingRoutes(self.desk, market.table, lambda: None).routes(),
                *DataRoutes(self.floor, DataTerms()).routes(),
            )
        ]
        self._versions: dict[str, list[tuple[float, Row]]] = {}
        self._positions: list[tuple[float, list[Row]]] = [(float("-inf"), [])]

    def listen(self, tell: Callable[[Row], None]) -> None:
        """Have `tell` given every trade update."""
        self._tell_update = tell

    @property
    def time_now(self) -> float:
        """Market time, seconds since the epoch."""
        return self.floor.now()

    async def play(self) -> None:
        """From the first open to a while after the last close."""
        self.floor.begin()
        while (due := self.floor.next_due) is not None:
            await self.clock.sleep_until(due)
            self.floor.step()
            self._keep()
            self.on_step()
        await asyncio.sleep(LINGER_S / self.clock.speed)

    async def until(self, at: float) -> None:
        """Wait for an instant of market time, which leaps over nights."""
        while (left := at - self.time_now) > 0:
            await asyncio.sleep(min(left / self.clock.speed, LOOK_EVERY_S))

    # -- REST --

    def answer(
        self, method: str, path: str, terms: Mapping[str, Any] | None, as_of: float | None = None
    ) -> tuple[int, str]:
        """Status and JSON text; what is asked about orders and positions as of `as_of`, seconds of
        the loop, if that is given.
        """
        path = path if path.startswith(VERSION) else VERSION + path
        for verb, pattern, handler in self._routes:
            found = pattern.fullmatch(path) if verb == method else None
            if found is None:
                continue
            is_command = method in ("POST", "PATCH")
            query = {} if is_command else {name: str(each) for name, each in (terms or {}).items()}
            ask = Ask(
                method=method,
                path=path,
                parts=found.groupdict(),
                query=query,
                body=dict(terms or {}) if is_command else b"",
                now=self.time_now,
            )
            return self._carry_out(handler, ask, as_of)
        return 404, dumps({"message": f"no such path: {method} {path}"})

    def _carry_out(self, handler: Handler, ask: Ask, as_of: float | None) -> tuple[int, str]:
        try:
            if as_of is not None:
                stale = self._stale(ask, as_of)
                if stale is not None:
                    return 200, dumps(stale)
            answer = handler(ask)
        except ApiFault as refused:
            return refused.status, dumps(refused.body)
        finally:
            if ask.method != "GET":
                self._keep()
        return answer.status, "" if answer.body is None else dumps(answer.body)

    # -- what was --

    def _keep(self) -> None:
        """Remember how orders and positions stand."""
        at = now()
        for order in self.desk.blotter.orders.values():
            versions = self._versions.setdefault(order.id, [])
            if versions and versions[-1][1]["status"] in FINAL:
                continue
            shown = order_json(order)
            if not versions or versions[-1][1] != shown:
                versions.append((at, shown))
        held = self.desk.positions()
        if held != self._positions[-1][1]:
            self._positions.append((at, held))

    def _stale(self, ask: Ask, as_of: float) -> Row | list[Row] | None:
        """The answer as of then; None for what is always told as it is."""
        match ask.path.removeprefix(VERSION):
            case "/positions":
                return [held for at, held in self._positions if at <= as_of][-1]
            case "/orders":
                return self._listing(as_of, ask.query.get("status", "open"), ask.flag("nested"))
            case "/orders:by_client_order_id":
                name = ask.query.get("client_order_id", "")
                return self._one(as_of, "client_order_id", name)
            case _ if "order_id" in ask.parts:
                found = self._one(as_of, "id", ask.parts["order_id"])
                return self._family(as_of, found)[0] if ask.flag("nested") else found
        return None

    def _rows_as_of(self, as_of: float) -> list[Row]:
        """Orders that were there, the latest first, without legs of their own to show."""
        rows = [
            [row for at, row in versions if at <= as_of] for versions in self._versions.values()
        ]
        return [each[-1] for each in reversed(rows) if each]

    def _listing(self, as_of: float, status: str, nested: bool) -> list[Row]:
        found = []
        for row in self._rows_as_of(as_of):
            family = [row]
            if nested:
                if self.desk.blotter.find(row["id"]).parent is not None:
                    continue
                family = self._family(as_of, row)
                row = family[0]
            is_open = any(each["status"] not in FINAL for each in family)
            if status == "all" or is_open is (status == "open"):
                found.append(row)
        return found

    def _family(self, as_of: float, row: Row) -> list[Row]:
        """The order with its legs inside it, then each of these."""
        legs = [leg.id for leg in self.desk.blotter.find(row["id"]).legs]
        shown = [each for each in self._rows_as_of(as_of) if each["id"] in legs]
        return [{**row, "legs": shown or None}, *shown]

    def _one(self, as_of: float, field: str, value: str) -> Row:
        for row in self._rows_as_of(as_of):
            if row[field] == value:
                return row
        raise not_found("order not found")

    def _updated(self, data: Row) -> None:
        if not self.is_silent:
            self._tell_update(data)

    def halt_trading(self, symbol: Symbol, is_halted: bool) -> None:
        """Trading in a symbol stops, or goes on."""
        self.floor.halt(symbol, is_halted)
        self.on_halt(TradingHalt(symbol, is_halted))

    def held(self, symbol: Symbol) -> Decimal:
        """Shares of the account, below zero for a short position."""
        return self.desk.venue.account.qty(symbol)


def _pattern(route: Route) -> re.Pattern[str]:
    """aiohttp's notation as a regular expression."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route.pattern)))
