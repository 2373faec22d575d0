"""The order of bars, the 90-second rule and the watch for silence, each by itself."""

from __future__ import annotations

from collections import Counter

from feed_kit import OPENS, SESSION, SYMBOLS, bar
from hypothesis import given
from hypothesis import strategies as st

from algo_trader.core.types import Bar
from algo_trader.feeds.alpaca.gaps import Gap, Gaps
from algo_trader.feeds.alpaca.sequence import BarSequence
from algo_trader.feeds.alpaca.watchdog import MuteWatch

Key = tuple[str, int]
OPEN = OPENS[2]

bars = st.builds(
    bar, st.integers(0, 12), st.sampled_from(SYMBOLS), st.sampled_from(("100.5", "101"))
)


def key(each: Bar) -> Key:
    """Whose bar it is, and which."""
    return each.symbol, each.start


@given(st.lists(st.lists(bars, max_size=6), max_size=12))
def test_whatever_comes_is_fed_once_in_order_or_is_a_correction(batches: list[list[Bar]]) -> None:
    """Goal: minutes never go back, a symbol's bars ascend and each comes once; nothing is lost: a
    bar that was not fed is a correction, or says what was said. Method: any bars in any batches.
    """
    sequence = BarSequence()
    sequence.open(SESSION[2])
    fed: list[Bar] = []
    corrected: list[Bar] = []
    starts: list[int] = []
    for batch in batches:
        minutes, corrections = sequence.sort(batch)
        for minute in minutes:
            starts.append(minute.start)
            names = [each.symbol for each in minute.bars]
            assert names == sorted(set(names))
            assert all(each.start <= minute.start for each in minute.bars)
            fed += minute.bars
        corrected += [each.bar for each in corrections]
    assert starts == sorted(starts)
    assert max(Counter(map(key, fed)).values(), default=1) == 1
    for symbol in SYMBOLS:
        own = [each.start for each in fed if each.symbol == symbol]
        assert own == sorted(own)
    for batch in batches:
        for each in batch:
            assert each in fed or each in corrected


def test_what_rest_has_again_is_known() -> None:
    """Goal: of bars asked for again only new, changed and missed ones are fed; what is older than
    the memory is passed over.
    """
    sequence = BarSequence()
    sequence.open(SESSION[2])
    sequence.sort([bar(minute) for minute in range(30) if minute not in (5, 27)])
    again = [bar(minute) for minute in range(31)]
    again[28] = bar(28, price="99")
    assert sequence.unknown({"AAPL": again, "SPY": [bar(3, "SPY")]}) == [
        bar(27), bar(28, price="99"), bar(30), bar(3, "SPY"),
    ]  # fmt: skip


def test_windows_missed_together_are_asked_for_together() -> None:
    """Goal: at most one question a minute of market time; what comes due meanwhile waits for the
    next, as one range.
    """
    gaps = Gaps(1)
    gaps.open(SESSION[2], OPEN)

    def due(now: float) -> Gap | None:
        return gaps.due(now, SYMBOLS, lambda symbol, begin, end: symbol == "SPY")

    only = frozenset({"AAPL"})
    assert due(OPEN + 149) is None
    assert due(OPEN + 150) == Gap(only, OPEN, OPEN)
    assert due(OPEN + 151) is None
    assert due(OPEN + 209.9) is None
    assert due(OPEN + 330) == Gap(only, OPEN + 60, OPEN + 180)


def test_the_last_window_of_a_half_day_is_the_last() -> None:
    """Goal: 90 s after the close the rule is done, however long one waits."""
    gaps = Gaps(10)
    closes_at = SESSION[3].closes_at
    gaps.open(SESSION[3], closes_at - 60)
    nobody = gaps.due(closes_at + 90, ["AAPL"], lambda symbol, begin, end: False)
    assert nobody == Gap(frozenset({"AAPL"}), closes_at - 600, closes_at - 60)
    assert gaps.due(closes_at + 9000, ["AAPL"], lambda symbol, begin, end: False) is None


def test_silence_needs_real_time_as_well() -> None:
    """Goal: in a rehearsal at 300 times real time half a second is no silence."""
    watch = MuteWatch()
    watch.connected(OPEN + 600.0, 0.0)
    assert not watch.is_due(OPEN + 900.0, 1.0, SESSION[2])
    assert watch.is_due(OPEN + 2100.0, 5.0, SESSION[2])


def test_only_a_bar_the_stream_should_have_brought_proves_it_mute() -> None:
    """Goal: no proof from bars before the connection, of extended hours, brought already, or so
    young that they may be on their way; then the next look comes when they are not.
    """
    watch = MuteWatch()
    watch.connected(OPEN + 600.0, 0.0)
    watch.heard([bar(11)], OPEN + 720.0, 1.0)
    now = OPEN + 980.0
    for latest in (bar(11), bar(9, "SPY"), bar(-5, "SPY"), bar(400, "SPY")):
        assert watch.judge(now, SESSION[2], {latest.symbol: latest}) == []
    assert watch.judge(now, SESSION[2], {"SPY": bar(15, "SPY")}) == []
    assert not watch.is_due(OPEN + 16 * 60 + 29.0, 60.0, SESSION[2])
    assert watch.is_due(OPEN + 16 * 60 + 30.0, 60.0, SESSION[2])
    assert watch.judge(OPEN + 16 * 60 + 30.0, SESSION[2], {"SPY": bar(15, "SPY")}) == ["SPY"]
    assert watch.is_mute
