"""What the market tells of a minute after it was told: corrected, late, out of order.

Rule (details page, "At a broker"): it changes the bar, its candle and the averages from the next
candle on; decisions, the trailing of stops and recorded lines stay. Only the last half hour is
remembered: corrections come within a minute or two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from algo_trader.core.candles import INTERVALS_MINUTES, candle_of
from algo_trader.core.types import MINUTE, Bar, Instant, Symbol
from algo_trader.engine.lane import Lane

REMEMBERED_S = 30 * MINUTE
LONGEST_S = max(INTERVALS_MINUTES) * MINUTE
"""A window is remembered whole, or a late bar of it would seem to be its first."""


class Corrections:
    """The latest bars of every traded symbol, as they were told last."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes: dict[Symbol, list[Lane]] = {}
        for lane in lanes:
            self._lanes.setdefault(lane.symbol, []).append(lane)
        self._bars: dict[Symbol, dict[Instant, Bar]] = {symbol: {} for symbol in self._lanes}

    def keep(self, bars: Iterable[Bar]) -> None:
        """Bars that came in their turn. One whose window was closed without it counts all the same.
        """
        for bar in bars:
            known = self._bars.get(bar.symbol)
            if known is None:
                continue
            is_known = bar.start in known
            known[bar.start] = bar
            if len(known) > 2 * REMEMBERED_S // MINUTE:
                self._forget(known, bar.start)
            for lane in self._lanes[bar.symbol]:
                if bar.start < lane.builder.closed_until:
                    self._amend(lane, known, bar.start, is_known=is_known)

    def take(self, bar: Bar) -> bool:
        """A bar out of its turn; whether it says anything new of a time that is remembered.

        One after all that are known has its turn still to come, and counts when it comes.
        """
        known = self._bars.get(bar.symbol)
        if not known or known.get(bar.start) == bar:
            return False
        if not max(known) - REMEMBERED_S <= bar.start <= max(known):
            return False
        is_known = bar.start in known
        known[bar.start] = bar
        for lane in self._lanes[bar.symbol]:
            self._amend(lane, known, bar.start, is_known=is_known)
        return True

    def _amend(
        self, lane: Lane, known: dict[Instant, Bar], start: Instant, *, is_known: bool
    ) -> None:
        """Let the lane's open window, waiting candle or averages follow; `is_known` if the minute
        had a bar before.
        """
        builder, span = lane.builder, lane.interval_s
        if start < builder.opens_at:
            return  # Of a session that is over: the next one's averages have begun without it.
        begin = start - (start - builder.opens_at) % span
        window = [known[at] for at in sorted(known) if begin <= at < begin + span]
        if builder.window_end == begin + span:
            builder.restate(window)
            return
        candle = candle_of(window, begin, begin + span)
        for index, waiting in enumerate(builder.ready):
            if waiting.start == begin:
                builder.ready[index] = candle._replace(late=waiting.late)
                return
        amend = getattr(lane.indicators, "amend", None)
        if amend is None:
            return  # A user's own indicators need not know how.
        later = {at - (at - builder.opens_at) % span for at in known if at >= begin + span}
        unseen = {waiting.start for waiting in builder.ready} | {builder.window_end - span}
        amend(len(later - unseen), candle.close, is_new=len(window) == 1 and not is_known)

    @staticmethod
    def _forget(known: dict[Instant, Bar], now: Instant) -> None:
        for at in [at for at in known if at < now - REMEMBERED_S - LONGEST_S]:
            del known[at]
