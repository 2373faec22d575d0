"""The live market: sessions, the clock, and the way of every bar into the inbox.

Goal: what the engine is told is in its order and told once, whatever the stream does. Method: a
clock moved by hand, a stream whose frames the test hands over, REST from a table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from feed_kit import (
    OPENS,
    SESSION,
    World,
    bar,
    batch,
    settle,
)

from algo_trader.core.errors import CoreError, Unanswered
from algo_trader.core.inputs import Clock, Correction, Minute, SessionOpens, TradingHalt
from algo_trader.core.ports import LineState
from algo_trader.feeds.alpaca.messages import Batch

NOON = OPENS[2] + 60 * 60


def play(world: World, story: Callable[[World], Awaitable[None]]) -> World:
    """Run the market connected, tell the story, end it."""

    async def main() -> None:
        async with world.running():
            await story(world)

    asyncio.run(main())
    return world


def started(now: float, *bars: object) -> World:
    """A market whose past was asked for at `now`."""
    world = World(now, *bars)  # type: ignore[arg-type]  # keywords too
    asyncio.run(_ask(world))
    return world


async def _ask(world: World) -> None:
    await world.market.past()


def test_a_session_opens_once_and_the_clock_ticks_until_three_minutes_after() -> None:
    """Goal: SessionOpens once, then Clock each second to close + 180. Method: a half day."""

    async def story(world: World) -> None:
        await world.time.move(3)
        await world.time.jump(SESSION[3].closes_at - 2)
        await world.time.move(200)

    world = play(started(OPENS[3] - 2), story)
    assert world.box.of(SessionOpens) == [SessionOpens(SESSION[3])]
    ticks = [each.now for each in world.box.of(Clock)]
    assert ticks == sorted(set(ticks))
    assert (ticks[0], ticks[-1]) == (OPENS[3], SESSION[3].closes_at + 180)
    assert world.box.items[0] == SessionOpens(SESSION[3])


def test_a_daemon_started_in_a_session_does_not_open_it_again() -> None:
    """Goal: past() hands over the present session, run() goes on in it; its bars are not fed
    again. Method: the stream repeats the last bar of the past.
    """
    bars = [bar(minute, symbol) for minute in range(60) for symbol in ("AAPL", "SPY")]
    world = World(NOON + 5, *bars)

    async def story(world: World) -> None:
        world.source.hear(batch(bar(59), bar(60)))
        await world.time.move(2)

    async def main() -> None:
        days = await world.market.past()
        assert days[-1].session == SESSION[2]
        assert len(days[-1].minutes) == 60
        async with world.running():
            await world.time.move(60)
            await story(world)

    asyncio.run(main())
    assert world.box.of(SessionOpens) == []
    assert world.box.fed == [bar(60)]
    assert world.box.of(Clock)[0] == Clock(NOON + 5)


def test_a_session_that_began_after_the_past_is_opened_and_filled() -> None:
    """Goal: SessionOpens and the missed minutes if the open came between past() and run().
    Method: past() before the open, run() five minutes after.
    """
    world = started(OPENS[2] - 10)
    world.rest.bars += [bar(minute) for minute in range(5)]
    world.time.at = OPENS[2] + 300

    async def story(world: World) -> None:
        await settle()

    play(world, story)
    assert world.box.items[:1] == [SessionOpens(SESSION[2])]
    assert world.box.fed == [bar(minute) for minute in range(5)]
    assert world.market.is_fresh


def test_the_next_session_after_a_weekend() -> None:
    """Goal: Friday ends by its clock, Monday opens once. Method: time jumps from one to the other,
    with the ticks after Friday's close left out.
    """

    async def story(world: World) -> None:
        await world.time.jump(OPENS[8] + 1)
        world.source.hear(batch(bar(0, day=8)))
        await world.time.move(62)
        world.source.hear(batch(bar(1, day=8), bar(389, day=5)))

    world = play(started(SESSION[5].closes_at - 5), story)
    assert world.box.of(SessionOpens) == [SessionOpens(SESSION[8])]
    at = world.box.items.index(SessionOpens(SESSION[8]))
    assert world.box.items[at - 1] == Clock(SESSION[5].closes_at + 180)
    assert world.box.fed == [bar(0, day=8), bar(1, day=8)]
    assert world.market.dropped == 1


def test_a_session_that_is_met_late_is_filled_from_its_open() -> None:
    """Goal: a clock that comes into the middle of a session, while the stream is connected, has
    missed bars: they are asked for, and what the stream brings waits for them.

    Method: from before the open to the sixteenth minute at once; REST is held up meanwhile.
    """
    world = started(OPENS[3] - 600)
    world.rest.bars += [bar(minute, day=3) for minute in range(16)]

    async def story(world: World) -> None:
        await settle()
        assert world.market.is_fresh
        world.rest.gate = asyncio.Event()
        await world.time.jump(OPENS[3] + 16 * 60 + 5)
        assert not world.market.is_fresh
        world.source.hear(batch(bar(16, day=3)))
        await settle()
        assert world.box.fed == []
        world.rest.gate.set()
        await settle()

    play(world, story)
    assert world.box.fed == [bar(minute, day=3) for minute in range(17)]
    assert world.market.is_fresh


def test_a_bar_of_the_next_session_opens_it_although_our_clock_is_behind() -> None:
    """Goal: no bar comes before its session. Method: the first bar ten seconds before the open."""

    async def story(world: World) -> None:
        world.source.hear(batch(bar(0)))

    world = play(started(OPENS[2] - 10), story)
    assert [type(item) for item in world.box.items] == [SessionOpens, Minute]


def test_bars_outside_regular_hours_or_of_the_future_are_dropped() -> None:
    """Goal: a half day ends at its close; what is ahead of the clock is not believed."""

    async def story(world: World) -> None:
        world.source.hear(batch(bar(-1, day=3), bar(209, day=3), bar(210, day=3), bar(0, day=5)))

    world = play(started(SESSION[3].closes_at), story)
    assert world.box.fed == []
    world = play(started(SESSION[3].closes_at - 1), story)
    assert world.box.fed == [bar(209, day=3)]
    assert world.market.dropped == 3


def test_bars_of_a_minute_that_come_in_pieces_make_minutes_that_never_go_back() -> None:
    """Goal: one frame with two minutes gives them in order, by symbol; a symbol that is late but
    in its own order is fed with the latest minute.
    """

    async def story(world: World) -> None:
        world.source.hear(batch(bar(59, "SPY"), bar(58, "SPY"), bar(58, "AAPL")))
        world.source.hear(batch(bar(59, "AAPL")))
        world.source.hear(batch(bar(60, "AAPL")))
        world.source.hear(batch(bar(60, "SPY")))

    world = play(started(NOON + 61), story)
    at = OPENS[2]
    assert world.box.of(Minute) == [
        Minute(at + 58 * 60, [bar(58, "AAPL"), bar(58, "SPY")]),
        Minute(at + 59 * 60, [bar(59, "SPY")]),
        Minute(at + 59 * 60, [bar(59, "AAPL")]),
        Minute(at + 60 * 60, [bar(60, "AAPL")]),
        Minute(at + 60 * 60, [bar(60, "SPY")]),
    ]
    starts = [minute.start for minute in world.box.of(Minute)]
    assert starts == sorted(starts)


def test_repeated_late_and_changed_bars_are_never_a_second_minute() -> None:
    """Goal: D2 to D5: the same bar again is nothing; late, out of order and changed ones are
    corrections. Method: one of each, then each again.
    """

    async def story(world: World) -> None:
        world.source.hear(batch(bar(57), bar(59)))
        for _ in range(2):
            world.source.hear(batch(bar(59)))
            world.source.hear(batch(bar(59, price="101"), bar(58)))
            world.source.hear(batch(corrected=[bar(57, price="99")]))

    world = play(started(NOON), story)
    assert world.box.fed == [bar(57), bar(59)]
    assert world.box.corrected == [bar(58), bar(59, price="101"), bar(57, price="99")]


def test_halts_are_told_once_and_end_by_their_code_or_by_proof() -> None:
    """Goal: TradingHalt on a change only; a bar that began after the halt ends it (D11)."""

    async def story(world: World) -> None:
        halt = Batch([], [], [TradingHalt("AAPL", True)], [])
        world.source.hear(halt)
        world.source.hear(halt)
        assert list(world.market.halted) == ["AAPL"]
        world.source.hear(Batch([], [], [TradingHalt("AAPL", False)], []))
        world.source.hear(halt)
        world.source.hear(batch(bar(59)))
        assert world.market.halted
        await world.time.move(130)
        world.source.hear(batch(bar(61)))
        assert not world.market.halted

    world = play(started(NOON), story)
    told = [each.is_halted for each in world.box.of(TradingHalt)]
    assert told == [True, False, True, False]


def test_a_gap_is_filled_over_rest_before_the_line_is_fresh() -> None:
    """Goal: after a reconnect the missed minutes come first, then what came meanwhile; entries
    wait for it. Method: REST is held back while the stream goes on.
    """
    world = started(NOON, *(bar(minute) for minute in range(60)))

    async def story(world: World) -> None:
        await world.time.move(1)
        assert world.market.is_fresh
        world.source.tell(LineState.LOST, "reset by peer")
        assert world.market.stale_reason == "the market data stream is lost: reset by peer"
        world.rest.bars += [bar(minute) for minute in range(60, 65)]
        world.rest.gate = asyncio.Event()
        await world.time.jump(NOON + 300)
        world.source.tell(LineState.CONNECTED, "")
        await settle()
        world.source.hear(batch(bar(65), bar(64)))
        assert world.box.fed == []
        assert not world.market.is_fresh
        world.rest.gate.set()
        await settle()
        assert world.market.is_fresh

    play(world, story)
    assert world.box.fed == [bar(minute) for minute in range(60, 66)]
    assert world.box.corrected == []
    assert [is_fresh for is_fresh, _ in world.fresh][-2:] == [False, True]


def test_bars_do_not_wait_for_ever_for_a_fill_that_fails() -> None:
    """Goal: REST down after a reconnect: the stream's bars go on after ten seconds, the line stays
    stale, and what REST brings later is a correction.
    """
    world = started(NOON, *(bar(minute) for minute in range(60)))

    async def story(world: World) -> None:
        world.source.tell(LineState.LOST, "gone")
        await world.time.jump(NOON + 120)
        world.rest.failures = [Unanswered("503")] * 6
        world.source.tell(LineState.CONNECTED, "")
        await settle()
        world.source.hear(batch(bar(61)))
        await world.time.move(9)
        assert world.box.fed == []
        await world.time.move(2)
        assert world.box.fed == [bar(61)]
        assert not world.market.is_fresh
        world.rest.bars += [bar(60), bar(61)]
        await world.time.move(10)
        assert world.market.is_fresh

    play(world, story)
    assert world.box.fed == [bar(61)]
    assert world.box.of(Correction) == [Correction(bar(60))]


def test_a_window_without_any_bar_is_asked_for_once_after_ninety_seconds() -> None:
    """Goal: one question for all symbols that lack a whole window, none for those that lack a
    minute of it; what REST has is fed, in order. Method: SPY is silent for one window of two
    minutes, AAPL lacks one minute.
    """
    world = started(NOON)

    async def story(world: World) -> None:
        await world.time.move(35)
        world.rest.asked.clear()
        world.source.hear(batch(bar(59)))
        await world.time.move(26)
        world.source.hear(batch(bar(60)))
        await world.time.move(60)
        world.source.hear(batch(bar(61, "AAPL")))
        world.rest.bars += [bar(60, "SPY"), bar(61, "SPY")]
        await world.time.move(88)
        assert world.rest.ranges() == []
        await world.time.move(2)

    play(world, story)
    assert world.rest.ranges() == [("SPY", "2024-07-02T14:30:00Z", "2024-07-02T14:31:00Z")]
    assert world.box.fed[-2:] == [bar(60, "SPY"), bar(61, "SPY")]


def test_the_ninety_second_rule_goes_on_while_the_stream_is_lost() -> None:
    """Goal: positions are still managed on REST's bars, at most one question a minute."""
    world = started(NOON)

    async def story(world: World) -> None:
        world.source.tell(LineState.LOST, "gone")
        world.rest.asked.clear()
        for minute in range(60, 70):
            world.rest.bars += [bar(minute), bar(minute, "SPY")]
        await world.time.move(11 * 60)

    play(world, story)
    assert world.box.fed[0] == bar(60)
    assert len(world.box.fed) >= 14
    assert 3 <= len(world.rest.asked) <= 11


def test_a_mute_stream_is_found_out_over_rest() -> None:
    """Goal: connected, pings answered, no bars: after 150 s REST proves it; LOST, reconnect, fill,
    and stale until the stream brings a bar again.
    """
    world = started(NOON)

    async def story(world: World) -> None:
        world.source.hear(batch(bar(59)))
        world.rest.bars += [bar(minute, "SPY") for minute in range(59, 63)]
        await world.time.move(149)
        assert world.source.dropped == []
        await world.time.move(2)
        assert len(world.source.dropped) == 1
        assert "mute" in world.source.dropped[0]
        assert not world.market.is_fresh
        assert bar(60, "SPY") in world.box.fed
        world.source.hear(batch(bar(61)))
        assert world.market.is_fresh

    play(world, story)
    assert LineState.LOST in world.states.names


def test_a_quiet_market_is_no_mute_stream() -> None:
    """Goal: REST has nothing newer: no reconnect, still fresh, fewer and fewer questions."""
    world = started(NOON)

    async def story(world: World) -> None:
        world.source.hear(batch(bar(59)))
        world.rest.bars.append(bar(59))
        await world.time.move(30 * 60)

    play(world, story)
    looks = [path for path, _ in world.rest.asked if path.endswith("latest")]
    assert 5 <= len(looks) <= 9
    assert world.source.dropped == []
    assert world.market.is_fresh
    assert set(world.market.quiet_symbols()) == {"AAPL", "SPY"}


@pytest.mark.parametrize("now", [OPENS[2] - 600, OPENS[2] + 140, SESSION[3].closes_at + 200])
def test_silence_is_expected_outside_sessions_and_at_their_beginning(now: int) -> None:
    """Goal: the watchdog keeps the calendar. Method: ten silent minutes before an open, two at its
    beginning, ten after a half day's close.
    """
    world = started(now)

    async def story(world: World) -> None:
        await world.time.move(60 if now == OPENS[2] + 140 else 590)

    play(world, story)
    assert not [path for path, _ in world.rest.asked if path.endswith("latest")]


def test_when_every_symbol_is_halted_nobody_expects_bars() -> None:
    """Goal: halts of all symbols keep the watchdog quiet."""
    world = started(NOON)

    async def story(world: World) -> None:
        world.source.hear(Batch([], [], [TradingHalt("AAPL", True), TradingHalt("SPY", True)], []))
        world.rest.asked.clear()
        await world.time.move(20)
        await world.time.move(600)

    play(world, story)
    assert not [path for path, _ in world.rest.asked if path.endswith("latest")]


def test_silence_that_rest_does_not_explain_makes_the_line_stale() -> None:
    """Goal: neither stream nor REST: no entries on what may be old, until one of them speaks."""
    world = started(NOON)

    async def story(world: World) -> None:
        await world.time.move(100)
        world.rest.failures = [Unanswered("503")] * 12
        await world.time.move(90)
        assert not world.market.is_fresh
        assert "REST does not say" in world.market.stale_reason
        world.source.hear(batch(bar(62)))
        assert world.market.is_fresh

    play(world, story)
    assert world.source.dropped == []


def test_a_full_inbox_ends_the_run() -> None:
    """Goal: the inbox's own error comes out as it is, and no task is left."""
    world = started(NOON)

    async def main() -> None:
        world.box.failure = CoreError("10000 inputs wait")
        with pytest.raises(CoreError, match="inputs wait"):
            await world.market.run(world.box)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_bars_that_come_late_are_told_once() -> None:
    """Goal: a process or a feed that falls behind is seen (back-pressure)."""
    world = started(NOON)

    async def story(world: World) -> None:
        world.source.hear(batch(bar(50)))
        world.source.hear(batch(bar(51)))
        assert world.market.lag_s == 8 * 60
        world.source.hear(batch(bar(59)))

    play(world, story)
    assert len(world.events.of("bars_come_late")) == 1
    assert len(world.events.of("bars_come_in_time")) == 1
