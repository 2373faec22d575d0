"""One input at a time into the engine: what a broker may tell it, what a strategy may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.book import Book
from algo_trader.core.errors import StrategyError
from algo_trader.core.types import (
    Bar,
    BrokerOrderId,
    Candle,
    ClientOrderId,
    ExitReason,
    Session,
    Side,
)
from algo_trader.engine.engine import Engine
from algo_trader.engine.hands import NOTHING, Step
from algo_trader.engine.lane import Lane
from algo_trader.indicators import IndicatorSet
from algo_trader.risk.limits import RiskLimits
from algo_trader.strategies import Strategy
from algo_trader.strategies.base import HOLD, Exit, Management, MoveStop, Position, Signal

SESSION = Session(date(2024, 1, 3), 1_704_292_200, 1_704_292_200 + 60 * 20)
ENTRY = ClientOrderId("a-s-X-20240103T1430-entry-1")
STOP = ClientOrderId("a-s-X-20240103T1430-stop-1")
FOREIGN = ClientOrderId("foreign")
BUY_AT_11 = Signal(Side.LONG, Decimal(11), Decimal(9))

Answer = Callable[[], Any]


class Scripted(Strategy):
    """Answers what it was told to; notes the hooks."""

    candle_interval_minutes = 1
    entry_expiry_candles = 3

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.to_signal: Answer = lambda: "NOTHING"
        self.to_manage: Answer = lambda: HOLD
        self.hooks: list[str] = []

    def indicators(self) -> Scripted:
        return self

    def update(self, candle: Candle) -> IndicatorSet:
        return IndicatorSet(None, None, None, None, 0)

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        answer: Signal | str = self.to_signal()
        return answer

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        answer: Management = self.to_manage()
        return answer

    def on_position_opened(self, position: Position) -> None:
        self.hooks.append(f"opened {position.qty}")

    def on_position_closed(self) -> None:
        self.hooks.append("closed")

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        raise AssertionError("signal is overridden")

    def entry_price(self, bar: Candle) -> Decimal:
        raise AssertionError("signal is overridden")

    stop_loss_price = entry_price


def still(start: int, price: str = "10") -> Bar:
    at = Decimal(price)
    return Bar("X", start, at, at, at, at, 1)


class Desk:
    """An engine with one lane, and a broker that does what a test says."""

    def __init__(self, interval: int = 1) -> None:
        self.strategy = Scripted("X")
        self.strategy.candle_interval_minutes = interval
        self.book = Book()
        lane = Lane("s", self.strategy, self.book.holding("s", "X"))
        self.engine = Engine(self.book, [lane], RiskLimits())
        self.engine.open_account("a", Decimal(25_000), SESSION.opens_at)
        self.engine.open_session(SESSION)
        self.minute = 0

    @property
    def now(self) -> int:
        return SESSION.opens_at + 60 * self.minute

    def pass_minute(self, close: str = "10") -> list[Step]:
        """A still bar and the candle it completes."""
        steps = [self.engine.on_minute(self.now, [still(self.now, close)])]
        while self.engine.due:
            steps.append(self.engine.on_candle_due())
        self.minute += 1
        return steps

    def hear(self, report: ev.Report) -> Step:
        return self.engine.on_report(report)

    def accept(self, key: ClientOrderId) -> Step:
        return self.hear(
            ev.OrderAccepted(at=self.now, order_id=key, broker_id=BrokerOrderId(f"b-{key}"))
        )

    def fill(self, key: ClientOrderId, qty: int, cum: int | None = None) -> Step:
        return self.hear(
            ev.OrderFilled(
                at=self.now,
                order_id=key,
                qty=Decimal(qty),
                price=Decimal(11),
                cum_qty=Decimal(cum or qty),
            )
        )


def kinds(step: Step) -> list[str]:
    return [type(fact).__name__ for fact in step.facts]


@pytest.fixture
def pending() -> Desk:
    """An entry of 113 shares at 11, stop at 9, rests."""
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    (_, decided) = desk.pass_minute()
    assert kinds(decided) == ["SignalDecided", "OrderIntended", "OrderSubmitting"]
    desk.accept(ENTRY)
    return desk


@pytest.fixture
def held(pending: Desk) -> Desk:
    """The entry has filled and its stop works."""
    pending.fill(ENTRY, 113)
    pending.accept(STOP)
    return pending


def test_an_entry_is_recorded_before_it_is_sent(pending: Desk) -> None:
    """Goal: intended and submitting stand in one step with the command. Method: the terms of it."""
    order = pending.book.order(ENTRY)
    assert order.request.qty == 113
    assert order.request.stop_price == 11
    assert order.stop_loss == 9
    assert order.expires_at == SESSION.opens_at + 4 * 60


def test_a_fill_is_covered_in_the_same_step(pending: Desk) -> None:
    """Goal: the answer to the fill is the stop over all its shares, good till canceled.

    Method: fill the entry, look at facts and command.
    """
    step = pending.fill(ENTRY, 113)
    assert kinds(step) == ["OrderFilled", "StopSet", "OrderIntended", "OrderSubmitting"]
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    request = command.request
    assert request.order_id == STOP
    assert request.qty == 113
    assert request.stop_price == 9
    assert (request.action, request.time_in_force) == ("sell", "gtc")
    assert pending.strategy.hooks == ["opened 113"]


def test_a_partial_fill_first_cancels_the_rest(pending: Desk) -> None:
    """Goal: rest canceled at once, the stop follows the confirmed cancel, over what has filled.

    Method: 60 of 113, then the confirmation.
    """
    step = pending.fill(ENTRY, 60)
    assert step.commands == [cmd.Cancel(ENTRY)]
    step = pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.qty == 60
    assert command.request.stop_price == 9


def test_fewer_than_five_shares_are_sold(pending: Desk) -> None:
    """Goal: what is too small for a stop is closed at market. Method: 4 of 113."""
    pending.fill(ENTRY, 4)
    step = pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    assert kinds(step) == ["OrderCanceled", "ExitDecided", "OrderIntended", "OrderSubmitting"]
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.type == "market"
    assert command.request.qty == 4


def test_what_was_heard_before_is_nothing(held: Desk) -> None:
    """Goal: an echo makes no fact and no command. Method: every report of the story again."""
    for echo in (
        ev.OrderAccepted(at=9, order_id=ENTRY, broker_id=BrokerOrderId(f"b-{ENTRY}")),
        ev.OrderFilled(
            at=9, order_id=ENTRY, qty=Decimal(113), price=Decimal(11), cum_qty=Decimal(113)
        ),
        ev.OrderAccepted(at=9, order_id=STOP, broker_id=BrokerOrderId(f"b-{STOP}")),
        ev.OutcomeUnknown(at=9, order_id=STOP, detail="answered on another channel since"),
    ):
        assert held.hear(echo) is NOTHING
    assert held.book.cash == 25_000 - 113 * 11


@pytest.mark.parametrize(
    ("report", "named"),
    [
        (ev.OrderCanceled(at=9, order_id=ENTRY), ENTRY),
        (ev.OrderExpired(at=9, order_id=ENTRY), ENTRY),
        (ev.OrderRefused(at=9, order_id=ENTRY, code=1, message="no"), ENTRY),
        (ev.OrderAccepted(at=9, order_id=STOP, broker_id=BrokerOrderId("another")), STOP),
        (ev.OrderCanceled(at=9, order_id=FOREIGN), FOREIGN),
    ],
)
def test_the_impossible_is_a_discrepancy(
    held: Desk, report: ev.Report, named: ClientOrderId
) -> None:
    """Goal: an illegal report is recorded and changes nothing else; the process lives on.

    Method: reports that the order table does not allow, and one about a stranger's order.
    """
    before = (held.book.cash, held.book.positions, held.book.resting)
    step = held.hear(report)
    (fact,) = step.facts
    assert isinstance(fact, ev.Discrepancy)
    assert fact.order_id == named
    assert not step.commands
    assert (held.book.cash, held.book.positions, held.book.resting) == before


def test_a_stop_out_closes_and_the_next_candle_may_signal(held: Desk) -> None:
    """Goal: after the stop has filled the lane is flat and evaluated again at once.

    Method: stop out, then the candle of the same minute.
    """
    step = held.fill(STOP, 113)
    assert kinds(step) == ["OrderFilled"]
    assert held.strategy.hooks == ["opened 113", "closed"]
    assert not held.book.active
    (_, decided) = held.pass_minute()
    assert kinds(decided) == ["SignalDecided", "OrderIntended", "OrderSubmitting"]


@pytest.mark.parametrize(
    ("price", "moved_to"),
    [("9.50", "9.50"), ("9.509", "9.50"), ("9", None), ("9.009", None), ("8", None), ("-1", None)],
)
def test_a_stop_is_never_lowered(held: Desk, price: str, moved_to: str | None) -> None:
    """Goal: whatever the strategy asks, a long stop only rises, rounded down to its tick.

    Method: candidates around the stop of 9.
    """
    held.strategy.to_manage = lambda: MoveStop(Decimal(price))
    (_, step) = held.pass_minute()
    holding = held.book.holding("s", "X")
    if moved_to is None:
        assert step is NOTHING
        assert holding.stop_price == 9
        return
    assert kinds(step) == ["StopSet", "OrderIntended", "OrderSubmitting"]
    (command,) = step.commands
    assert isinstance(command, cmd.Replace)
    assert command.order_id == STOP
    assert command.request.qty == 113
    assert command.request.stop_price == holding.stop_price == Decimal(moved_to)


def test_an_exit_cancels_waits_and_sells(held: Desk) -> None:
    """Goal: stop canceled first, the sale only after the proof. Method: one answer at a time."""
    held.strategy.to_manage = lambda: Exit(ExitReason.MAX_RUN)
    (*_, step) = held.pass_minute()
    assert kinds(step) == ["ExitDecided", "CancelRequested"]
    assert step.commands == [cmd.Cancel(STOP)]
    assert not any(more.commands for more in held.pass_minute())
    step = held.hear(ev.OrderCanceled(at=held.now, order_id=STOP))
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    assert command.request.type == "market"
    assert command.request.qty == 113


def test_an_entry_ends_by_the_clock(pending: Desk) -> None:
    """Goal: the cancel leaves in the minute that ends at expires_at, before its candle.

    Method: minutes until the fourth.
    """
    pending.strategy.to_signal = lambda: "NOTHING"
    commands = [[step.commands for step in pending.pass_minute()] for _ in range(3)]
    assert commands[:2] == [[(), ()], [(), ()]]
    assert commands[2] == [[cmd.Cancel(ENTRY)], ()]
    assert pending.book.order(ENTRY).cancel_reason == "EXPIRED"


def test_positions_are_sold_at_the_flatten_time(held: Desk) -> None:
    """Goal: in the minute that ends a minute before the close the exit begins, bar or no bar.

    Method: minutes without bars up to minute 18 of 20.
    """
    for _ in range(17):
        assert not held.engine.on_minute(held.now, []).commands
        held.minute += 1
    held.minute = 18
    step = held.engine.on_minute(held.now, [])
    assert step.commands == [cmd.Cancel(STOP)]
    assert held.book.holding("s", "X").exit_reason is ExitReason.END_OF_DAY


def test_the_candle_of_an_expired_entry_is_not_evaluated(pending: Desk) -> None:
    """Goal: a candle whose window overlaps the life of an expired entry gives no new one, the next
    does. Method: a strategy that always signals; the cancel is confirmed before the candle.
    """
    pending.pass_minute()
    pending.pass_minute()
    step = pending.engine.on_minute(pending.now, [still(pending.now)])
    assert step.commands == [cmd.Cancel(ENTRY)]
    pending.minute += 1
    pending.hear(ev.OrderCanceled(at=pending.now, order_id=ENTRY))
    assert pending.engine.on_candle_due() is NOTHING
    (_, decided) = pending.pass_minute()
    assert kinds(decided) == ["SignalDecided", "OrderIntended", "OrderSubmitting"]


def test_a_candle_that_ended_before_the_fill_is_not_managed() -> None:
    """Goal: a candle with window end <= fill time is not fed to the trailing machine.

    Method: two-minute candles; the fill in minute 4 comes with the bar that closes window 2-4 late.
    """
    desk = Desk(interval=2)
    managed: list[int] = []
    desk.strategy.to_signal = lambda: BUY_AT_11

    def note() -> Management:
        managed.append(desk.minute)
        return HOLD

    desk.strategy.to_manage = note
    for _ in range(3):
        desk.pass_minute()
    desk.accept(ENTRY)
    desk.minute = 4
    desk.fill(ENTRY, 113)
    steps = desk.pass_minute()
    assert len(steps) == 2, "the late candle was processed"
    assert managed == []
    desk.pass_minute()
    assert managed == [5]


def test_the_daily_loss_may_trip_between_candles() -> None:
    """Goal: before each signal the day's loss is looked at again: an exit in the same step may have
    reached it; then every resting entry goes and the signal is refused.

    Method: A's exit fills far below its mark after step 2, B rests, C signals.
    """
    book = Book()
    made = {symbol: Scripted(symbol) for symbol in "ABC"}
    lanes = [Lane("s", strategy, book.holding("s", symbol)) for symbol, strategy in made.items()]
    engine = Engine(book, lanes, RiskLimits())
    engine.open_account("a", Decimal(25_000), SESSION.opens_at)
    engine.open_session(SESSION)
    ids = {symbol: ClientOrderId(f"a-s-{symbol}-20240103T1430-entry-1") for symbol in "ABC"}
    now = SESSION.opens_at
    made["A"].to_signal = made["B"].to_signal = lambda: BUY_AT_11
    engine.on_minute(now, [replace(still(now), symbol=symbol) for symbol in "ABC"])
    for _ in "ABC":
        engine.on_candle_due()
    for symbol in "AB":
        engine.on_report(
            ev.OrderAccepted(at=now, order_id=ids[symbol], broker_id=BrokerOrderId(symbol))
        )
    now += 60

    def fill(key: ClientOrderId, price: int) -> Step:
        shares = Decimal(113)
        return engine.on_report(
            ev.OrderFilled(at=now, order_id=key, qty=shares, price=Decimal(price), cum_qty=shares)
        )

    fill(ids["A"], 11)
    stop = ClientOrderId("a-s-A-20240103T1430-stop-1")
    engine.on_report(ev.OrderAccepted(at=now, order_id=stop, broker_id=BrokerOrderId("S")))
    made["C"].to_signal = lambda: BUY_AT_11
    engine.on_minute(now, [replace(still(now), symbol=symbol) for symbol in "ABC"])
    engine.on_candle_due()
    assert kinds(fill(stop, 4)) == ["OrderFilled"]
    assert engine.day_pnl() == -791
    assert engine.on_candle_due() is NOTHING
    step = engine.on_candle_due()
    assert kinds(step) == ["LimitTripped", "CancelRequested", "SignalDecided"]
    assert step.commands == [cmd.Cancel(ids["B"])]
    refused = step.facts[-1]
    assert isinstance(refused, ev.SignalDecided)
    assert refused.rule == "DAILY_LOSS"


def raising() -> Any:
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raising, "strategy s raised KeyError at candle 1 of X"),
        (lambda: Signal(Side.LONG, 11.0, Decimal(9)), "gave the price 11.0"),  # type: ignore[arg-type]  # a mistake
        (lambda: Signal(Side.LONG, Decimal(11), None), "gave the price None"),  # type: ignore[arg-type]  # a mistake
    ],
)
def test_a_strategys_mistake_is_named_as_its_own(answer: Answer, words: str) -> None:
    """Goal: what a user's code raises or gives is a StrategyError with candle and symbol.

    Method: a strategy that raises, and prices that are not Decimal.
    """
    desk = Desk()
    desk.strategy.to_signal = answer
    with pytest.raises(StrategyError, match=words):
        desk.pass_minute()


def test_a_mistake_in_a_position_is_named_too(held: Desk) -> None:
    """Goal: the same while managing. Method: raise, and a float stop."""
    held.strategy.to_manage = raising
    with pytest.raises(StrategyError, match="raised KeyError") as caught:
        held.pass_minute()
    assert "raising" in caught.value.strategy_traceback
    held.minute += 1
    held.strategy.to_manage = lambda: MoveStop(9.5)  # type: ignore[arg-type]  # a mistake
    with pytest.raises(StrategyError, match=r"gave the price 9\.5"):
        held.pass_minute()


@pytest.mark.parametrize(
    ("entry", "stop"),
    [("11", "11"), ("11", "12"), ("11", "0"), ("11", "-1"), ("11", "NaN"), ("Infinity", "9")],
)
def test_bad_risk_is_no_order(entry: str, stop: str) -> None:
    """Goal: 0 < stop < entry, both finite, or nothing is decided. Method: a table."""
    desk = Desk()
    desk.strategy.to_signal = lambda: Signal(Side.LONG, Decimal(entry), Decimal(stop))
    assert desk.pass_minute() == [NOTHING, NOTHING]
    assert not desk.book.orders


def test_a_halt_refuses_until_resumed(pending: Desk) -> None:
    """Goal: a halt on record refuses every signal, a resume clears it. Method: facts."""
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.book.apply(ev.Halted(at=1, reason="operator"))
    (_, step) = desk.pass_minute()
    (fact,) = step.facts
    assert isinstance(fact, ev.SignalDecided)
    assert fact.rule == "HALTED"
    desk.book.apply(ev.Resumed(at=2))
    (_, step) = desk.pass_minute()
    assert len(step.commands) == 1


def test_an_unknown_outcome_refuses_and_resolves() -> None:
    """Goal: an entry without an answer stays exposure, and its symbol takes no signal.

    Method: a timeout, a minute, then the late acknowledgement.
    """
    desk = Desk()
    desk.strategy.to_signal = lambda: BUY_AT_11
    desk.pass_minute()
    desk.hear(ev.OutcomeUnknown(at=desk.now, order_id=ENTRY, detail="timeout"))
    view = desk.engine.risk_view("X")
    assert (view.has_unknown_order, view.resting_entries) == (True, 1)
    assert view.buying_power == 25_000 - 113 * 11
    assert not desk.engine.risk_view("Y").has_unknown_order
    desk.accept(ENTRY)
    assert not desk.engine.risk_view("X").has_unknown_order
