"""What a strategy's answer to one candle leads to: a signal to the desk, a stop move, an exit.

Applies the tests that hold for every strategy. Order of the tests: strategy page, section 3; a stop
is never moved away from the market, whatever is asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.errors import StrategyError
from algo_trader.core.holding import Holding
from algo_trader.core.prices import ceil_to_tick, floor_to_tick
from algo_trader.core.types import (
    ZERO,
    Candle,
    ExitReason,
    Instant,
    OrderType,
    Side,
    Symbol,
    iso,
    text,
)
from algo_trader.engine import figures
from algo_trader.engine.breakers import Breakers
from algo_trader.engine.desk import decide, is_bad_risk, on_tick
from algo_trader.engine.hands import Hands
from algo_trader.engine.lane import Lane
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import RiskView, first_refusal
from algo_trader.strategies.base import (
    ENTRY_ORDERS,
    Exit,
    Hold,
    KeepStop,
    MoveStop,
    Signal,
)
from algo_trader.strategies.mistakes import shown

SIGNAL = "SIGNAL"
LATE_CANDLE = "LATE_CANDLE"
SESSION_CUTOFF = "SESSION_CUTOFF"
BAD_RISK = "BAD_RISK"

STALE_AFTER_S = 90
"""A candle looked at so long after its end (our clock was stopped, a gap was filled) is late."""

PRICE_LIMIT = Decimal(10**9)
"""No price of a stock is beyond this; what is comes from a mistake."""


class Judge:
    """Signals and stop moves of one account's strategies.

    `halted` are the symbols in which the exchange has stopped trading. `_funds` is by how much the
    broker's buying power is other than what our own book makes; None until it was told.
    """

    __slots__ = (
        "_book", "_breakers", "_funds", "_hands", "_marks", "halted", "is_ready", "limits"
    )  # fmt: skip

    def __init__(
        self,
        book: Book,
        marks: figures.Marks,
        limits: RiskLimits,
        hands: Hands,
        breakers: Breakers,
    ) -> None:
        self._book = book
        self._marks = marks
        self.limits = limits
        self._hands = hands
        self._breakers = breakers
        self.is_ready = True
        self.halted: set[Symbol] = set()
        self._funds: Decimal | None = None

    def tell_funds(self, buying_power: Decimal) -> None:
        """What new orders may cost by the broker's own word at this moment."""
        ours = figures.risk_view(self._book, self._marks, "", is_ready=True).buying_power
        if ours.is_finite():
            self._funds = buying_power - ours

    def adjust_cash(self, amount: Decimal) -> None:
        """Our cash follows the broker's by so much; its buying power had that in it already."""
        if self._funds is not None:
            self._funds -= amount

    def permits(self, symbol: Symbol) -> bool:
        """Whether the risk rules would let a signal on `symbol` pass now."""
        return first_refusal(self.view(symbol), self.limits) is None

    def view(self, symbol: Symbol) -> RiskView:
        """What the risk rules look at if `symbol` signals now."""
        view = figures.risk_view(self._book, self._marks, symbol, is_ready=self.is_ready)
        if not self._funds and symbol not in self.halted:
            return view
        return view._replace(
            buying_power=view.buying_power + (self._funds or ZERO),
            is_symbol_halted=symbol in self.halted,
        )

    def consider(self, lane: Lane, candle: Candle, signal: Signal, now: Instant) -> str:
        """SIGNAL if it stands, taken or refused by risk; else the first test that failed."""
        if not isinstance(signal, Signal):
            raise _bad_answer(lane, candle, "signal", signal)
        if not isinstance(signal.side, Side):
            remedy = "its side must be Side.LONG or Side.SHORT of algo_trader.core.types"
            raise lane.refuse("signal", signal, candle.start, remedy)
        if not isinstance(signal.otherwise, str | None):
            remedy = "its otherwise must be a reason in capitals or None"
            raise lane.refuse("signal", signal, candle.start, remedy)
        if signal.order is not OrderType.STOP or signal.limit is not None:
            _check_kind(lane, candle, signal)
        given = [price for price in (signal.limit, signal.target) if price is not None]
        _check_prices(lane, candle, signal.entry, signal.stop, *given)
        lane.check_context("the code behind this signal", candle.start)
        expires_at = candle.end + lane.entry_life_s
        if candle.late or now - candle.end > STALE_AFTER_S:
            return signal.otherwise or LATE_CANDLE
        if expires_at > lane.flatten_at:
            return signal.otherwise or SESSION_CUTOFF
        if is_bad_risk(signal, candle.close):
            return signal.otherwise or BAD_RISK
        signal = on_tick(signal)
        if is_bad_risk(signal, candle.close):
            return signal.otherwise or BAD_RISK
        self._place(lane, candle, signal, now, expires_at)
        return SIGNAL

    def manage(self, lane: Lane, candle: Candle, indicators: Any, now: Instant) -> None:
        """Ask what to do with the position: a better stop, an exit, or nothing."""
        holding = lane.holding
        try:
            answer = lane.strategy.manage(candle, lane.position(), indicators)
        except BaseException as error:  # A user's code may raise anything.
            raise lane.blame(candle.start, error) from error
        if isinstance(answer, MoveStop):
            _check_prices(lane, candle, answer.price)
            if not answer.price.is_finite():
                raise _bad_answer(lane, candle, "manage", answer)
            self._move_stop(lane, holding, answer.price, now)
        elif isinstance(answer, KeepStop):
            _note_kept(lane, holding)
        elif isinstance(answer, Exit):
            if not isinstance(answer.reason, ExitReason):
                raise _bad_answer(lane, candle, "manage", answer)
            self._hands.exit(holding, answer.reason, now)
            self._hands.settle(holding, now)
        elif not isinstance(answer, Hold):
            raise _bad_answer(lane, candle, "manage", answer)

    def _place(
        self, lane: Lane, candle: Candle, signal: Signal, now: Instant, expires_at: Instant
    ) -> None:
        self._breakers.check_daily_loss(now)
        decision = decide(
            signal,
            candle,
            self.view(lane.symbol),
            self.limits,
            account=self._book.account,
            strategy=lane.name,
            now=now,
            expires_at=expires_at,
        )
        if decision.order is not None and decision.order.request.order_id in self._book.orders:
            return  # Decided in a life before, which did not know all of this candle's end.
        self._hands.record(decision.record)
        if decision.order is not None:
            self._hands.send(decision.order)

    def _move_stop(self, lane: Lane, holding: Holding, price: Decimal, now: Instant) -> None:
        """Never lower a long position's stop, nor raise a short one's, whatever is asked."""
        stop = holding.stop_price
        if holding.side is Side.LONG:
            price = floor_to_tick(price)
            is_better = stop is None or price > stop
        else:
            price = ceil_to_tick(price)
            is_better = price > ZERO and (stop is None or price < stop)
        if not is_better:
            _note_kept(lane, holding)
            return
        self._hands.record(
            ev.StopSet(at=now, strategy=lane.name, symbol=lane.symbol, price=price)
        )
        self._hands.settle(holding, now)


def _note_kept(lane: Lane, holding: Holding) -> None:
    """No fact: nothing changed. The decision line tells it all the same."""
    if lane.tells and holding.stop_price is not None:
        stop = text(holding.stop_price)
        lane.events.append({"type": "STOP_KEPT", "side": holding.side, "stop": stop})


def _check_kind(lane: Lane, candle: Candle, signal: Signal) -> None:
    """A type of order that may open a position, and a limit where it has one."""
    if signal.order not in ENTRY_ORDERS:
        remedy = "its order (entry_order) must be one of " + ", ".join(ENTRY_ORDERS)
        raise lane.refuse("signal", signal, candle.start, remedy)
    if (signal.limit is not None) != (signal.order is OrderType.STOP_LIMIT):
        remedy = "a stop_limit order has a limit (limit_price), no other one has"
        raise lane.refuse("signal", signal, candle.start, remedy)


def _check_prices(lane: Lane, candle: Candle, *prices: object) -> None:
    for price in prices:
        if not (
            isinstance(price, Decimal)
            # Not abs(): that rounds, and a number can be too large to round.
            and (not price.is_finite() or price.copy_abs() < PRICE_LIMIT)
        ):
            raise StrategyError(
                f"strategy {lane.name} gave the price {shown(price)} at candle {lane.candles} of "
                f"{lane.symbol} ({iso(candle.start)}): prices are Decimal, such as "
                "bar.high or Decimal('1.25')"
            )


def _bad_answer(lane: Lane, candle: Candle, method: str, answer: object) -> StrategyError:
    remedy = "docs/strategies.md says what it may return"
    return lane.refuse(method, answer, candle.start, remedy)
