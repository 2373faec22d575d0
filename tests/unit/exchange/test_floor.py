"""The floor plays sessions by its schedule; its clock never passes what has not been played."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from desk_kit import CLOSE, DAY_S, OPEN, SESSIONS, body

from algo_trader.core.types import MINUTE, Bar, Session
from algo_trader.exchange.clock import VirtualClock
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.floor import Floor
from algo_trader.feeds.tape import TapeDay
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules


class RealTime:
    """Real seconds that pass only when somebody sleeps; `late` is added to every sleep."""

    def __init__(self, late: float = 0) -> None:
        self.now = 1000.0
        self.late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.now += seconds + self.late
        await asyncio.sleep(0)


def days(*, of: int = 2, minutes: int = 3) -> list[TapeDay]:
    """Sessions with bars in their first minutes: AA rises by a dollar a minute, BB is flat and has
    none in the second minute."""
    made = []
    for session in list(SESSIONS)[:of]:
        rows: list[tuple[Bar, ...]] = [() for _ in range(session.minutes)]
        for minute in range(minutes):
            start = session.opens_at + minute * MINUTE
            low, high = Decimal(10 + minute), Decimal(11 + minute)
            bars = [Bar("AA", start, low, high, low, high, 100)]
            if minute != 1:
                bars.append(Bar("BB", start, *[Decimal(50)] * 4, 100))  # type: ignore[call-arg]  # four prices
            rows[minute] = tuple(bars)
        made.append(TapeDay(session, rows))
    return made


class Stage:
    """A floor with what it has told, in order."""

    def __init__(self, clock: VirtualClock | None = None, **terms: Any) -> None:
        self.desk = Desk(
            account_number="PA1",
            cash=Decimal(10_000),
            costs=Costs(slippage_per_share=Decimal(0)),
            rules=VenueRules(),
            sessions=SESSIONS,
            symbols=["AA", "BB"],
        )
        self.told: list[tuple[float, str]] = []
        terms = {"period": days(), **terms}
        self.floor = Floor(self.desk, clock or VirtualClock(0, 60), **terms)
        self.floor.on_bars = self._bars
        self.floor.on_session = self._session
        self.desk.on_update = self._update

    def _bars(self, bars: Sequence[Bar], now: float) -> None:
        words = " ".join(f"{bar.symbol}@{(bar.start - OPEN) // MINUTE}" for bar in bars)
        self.told.append((now - OPEN, f"bars {words}".strip()))

    def _session(self, session: Session, is_open: bool) -> None:
        name = f"{session.date} {'opens' if is_open else 'closes'}"
        self.told.append((self.floor.now() - OPEN, name))

    def _update(self, data: dict[str, Any]) -> None:
        self.told.append((self.floor.now() - OPEN, data["event"]))

    def until(self, offset: float) -> list[tuple[float, str]]:
        """What is told until so many seconds after the first open."""
        self.told.clear()
        self.floor.step_until(OPEN + offset)
        return list(self.told)


def test_a_minute_is_matched_at_its_half_and_published_at_its_end() -> None:
    """Goal: the schedule within a virtual minute. Method: a buy stop that the second bar fills and
    a protective stop in answer to it, which that bar has touched."""
    stage = Stage()
    assert stage.until(0) == [(0, "2024-01-02 opens")]
    assert stage.until(61) == [(60, "bars AA@0 BB@0")]
    stage.desk.submit(body("buy", "stop", stop_price="11.50"), stage.floor.now())
    assert stage.until(89.9) == []
    assert stage.until(90) == [(90, "fill")]
    stop = body("sell", "stop", lasts="gtc", stop_price="11.20")
    stage.desk.submit(stop, stage.floor.now())
    assert stage.until(120) == [(119, "fill"), (120, "bars AA@1")]
    prices = [row["price"] for row in stage.desk.activities(direction="asc")]
    assert prices == ["11.5", "11.2"]


def test_sessions_follow_each_other_and_nights_are_jumped_over() -> None:
    """Goal: the last minute is published at the close, before day orders expire; then the clock
    stands before the next open. Method: play to the end of two sessions."""
    stage = Stage()
    stage.until(100)
    stage.desk.submit(body("buy", "limit", limit_price="1"), stage.floor.now())
    told = stage.until(CLOSE - OPEN)
    assert told[-3:] == [
        (CLOSE - OPEN, "bars"),
        (CLOSE - OPEN, "expired"),
        (CLOSE - OPEN, "2024-01-02 closes"),
    ]
    assert stage.floor.next_due == CLOSE + 300
    assert stage.floor.step()
    assert stage.floor.now() == OPEN + DAY_S - 300
    while stage.floor.step():
        pass
    assert stage.told[-1] == (DAY_S + CLOSE - OPEN, "2024-01-03 closes")
    assert stage.floor.next_due is None
    assert sum(name == "bars AA@1440 BB@1440" for _, name in stage.told) == 1


def test_nights_may_pass_at_the_clocks_speed() -> None:
    """Goal: without jumps the step after the close is the next open. Method: look."""
    stage = Stage(jumps=False)
    stage.until(CLOSE - OPEN)
    assert stage.floor.next_due == OPEN + DAY_S


def test_history_has_what_was_published_and_no_more() -> None:
    """Goal: days before the period at once, a bar of the period from its end on, both ends
    inclusive. Method: one day of history, one that is played."""
    first, second = days()
    stage = Stage(history=[first], period=[second])
    whole = stage.floor.history(["AA", "BB", "ZZ"], 0, OPEN + 9 * DAY_S)
    assert {symbol: len(rows) for symbol, rows in whole.items()} == {"AA": 3, "BB": 2}
    stage.floor.step_until(OPEN + DAY_S + 59)
    assert stage.floor.history(["AA"], OPEN + DAY_S, OPEN + 2 * DAY_S) == {}
    stage.floor.step_until(OPEN + DAY_S + 60)
    (bar,) = stage.floor.history(["AA"], OPEN + DAY_S, OPEN + DAY_S)["AA"]
    assert bar.start == OPEN + DAY_S


def test_the_day_before_gives_the_first_prices() -> None:
    """Goal: an order before the first bar has a price. Method: a buy stop's market check and the
    position's price of the day before."""
    first, second = days()
    stage = Stage(history=[first], period=[second])
    stage.floor.step_until(OPEN + DAY_S + 1)
    stage.desk.submit(body("buy", "market", 1), stage.floor.now())
    row = stage.desk.position("AA")
    assert (row["avg_entry_price"], row["lastday_price"]) == ("13", "13")


def test_a_halted_symbol_does_not_trade() -> None:
    """Goal: no match and no bar while it is halted, the other symbol goes on. Method: halt AA in
    the first minute, let it go in the third."""
    stage = Stage()
    stage.floor.step_until(OPEN)
    stage.floor.halt("AA", True)
    stage.desk.submit(body("buy", "limit", limit_price="20"), stage.floor.now())
    assert stage.until(120) == [(60, "bars BB@0"), (120, "bars")]
    stage.floor.halt("AA", False)
    assert stage.until(180) == [(150, "fill"), (180, "bars AA@2 BB@2")]


def test_a_floor_needs_a_session() -> None:
    """Goal: nothing to play is an error. Method: no days."""
    with pytest.raises(ValueError, match="no session"):
        Stage(period=[])


# -- the clock --


def test_a_clock_runs_at_its_speed_and_can_be_set() -> None:
    """Goal: virtual time is real time times speed from where it was set. Method: a fake real time.
    """
    real = RealTime()
    clock = VirtualClock(100, 60, real=real, sleep=real.sleep)
    real.now += 5
    assert (clock.now(), clock.is_running) == (100, False)
    clock.begin()
    clock.begin()
    real.now += 2
    assert clock.now() == 220
    clock.set(50)
    real.now += 1
    assert (clock.now(), clock.is_running) == (110, True)
    with pytest.raises(ValueError, match="speed must be > 0"):
        VirtualClock(0, 0)


async def _play(late: float) -> tuple[Stage, RealTime]:
    real = RealTime(late)
    stage = Stage(VirtualClock(0, 60, real=real, sleep=real.sleep), period=days(of=1))
    stage.floor.begin()
    await stage.floor.run()
    return stage, real


@pytest.mark.parametrize("late", [0.0, 0.05, 0.4])
def test_every_step_is_played_at_its_own_time(late: float) -> None:
    """Goal: the same times whether the machine is late or not: a late floor makes time wait, and
    real time is at least the schedule's. Method: run a session at speed 60, sleeps 0.4 s late."""
    stage, real = asyncio.run(_play(late))
    times = [time for time, _ in stage.told]
    assert times[:4] == [0, 60, 120, 180]
    assert times[-1] == CLOSE - OPEN
    assert real.now - 1000 > (CLOSE - OPEN + 300) / 60 - 0.1
    assert stage.floor.next_due is None


def test_a_little_lateness_is_made_up_for() -> None:
    """Goal: a clock of a client's own does not run ahead of the floor's by and by. Method: sleeps
    50 ms late, three virtual seconds; the session takes the real time it should."""
    _, real = asyncio.run(_play(0.05))
    assert real.now - 1000 == pytest.approx((CLOSE - OPEN + 300) / 60, abs=0.1)


def test_time_does_not_pass_the_next_step() -> None:
    """Goal: a request that comes while the floor is late is not later than the step it waits for.

    Method: let real time run far ahead without playing.
    """
    real = RealTime()
    stage = Stage(VirtualClock(0, 60, real=real, sleep=real.sleep))
    assert stage.floor.now() == OPEN - 300
    stage.floor.begin()
    real.now += 1000
    assert stage.floor.now() == stage.floor.next_due == OPEN
