"""Simple moving averages of candle closes, exact and incremental.

Rule (strategy page, sections 1 and 2): the arithmetic mean of the last n closes of a stream that
runs across days, as exact running sum / n in a Decimal context of 28 digits, half-even. Prices
have few digits, so the running sum itself never rounds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from algo_trader.core.types import ZERO, Candle


class IndicatorSet(NamedTuple):
    """The averages after a candle and after the one before it; None until there are enough."""

    sma_fast: Decimal | None
    sma_slow: Decimal | None
    prev_sma_fast: Decimal | None
    prev_sma_slow: Decimal | None
    bar_count: int


_new = tuple.__new__  # Half the price of the named tuple's own constructor.


class SmaPair:
    """A fast and a slow average of closes.

    One ring of the last `slow` closes serves both: the close that leaves the fast average stands
    `fast` places back, and a negative index wraps round the ring by itself. Where 1/n is an exact
    decimal (20, 200) the sum is multiplied by it: the same number, rounded once, in half the time.
    """

    __slots__ = (
        "_closes",
        "_fast",
        "_fast_share",
        "_fast_sum",
        "_last",
        "_slow",
        "_slow_share",
        "_slow_sum",
    )

    def __init__(self, fast: int, slow: int) -> None:
        if not 0 < fast < slow:
            raise ValueError("sma_fast must be smaller than sma_slow, and above zero")
        self._fast = fast
        self._slow = slow
        self._fast_share = exact_share(fast)
        self._slow_share = exact_share(slow)
        self._closes: list[Decimal] = [ZERO] * slow
        self._fast_sum = ZERO
        self._slow_sum = ZERO
        # The fields of the last IndicatorSet, as a plain tuple: those are read faster.
        self._last: tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None, int]
        self._last = (None, None, None, None, 0)

    def update(self, candle: Candle) -> IndicatorSet:
        """The averages after this candle, with those after the one before."""
        close = candle[6]
        closes, fast, slow, last = self._closes, self._fast, self._slow, self._last
        count = last[4]
        at = count % slow
        self._fast_sum = fast_sum = self._fast_sum + close - closes[at - fast]
        self._slow_sum = slow_sum = self._slow_sum + close - closes[at]
        closes[at] = close
        count += 1
        mean_fast = mean_slow = None
        if count >= fast:
            share = self._fast_share
            mean_fast = fast_sum / fast if share is None else fast_sum * share
            if count >= slow:
                share = self._slow_share
                mean_slow = slow_sum / slow if share is None else slow_sum * share
        self._last = after = (mean_fast, mean_slow, last[0], last[1], count)
        return _new(IndicatorSet, after)

    def amend(self, back: int, close: Decimal, *, is_new: bool) -> None:
        """Give the candle `back` places before the last another close, or with `is_new` put one in
        after which there were `back` others. Averages follow from the next candle on.
        """
        count, slow = self._last[4], self._slow
        kept = min(count, slow)
        closes = [self._closes[at % slow] for at in range(count - kept, count)]
        place = len(closes) - back - (0 if is_new else 1)
        if is_new:
            closes.insert(max(place, 0), close)  # One that is too old is counted all the same.
            self._last = (*self._last[:4], count + 1)
        elif place < 0:
            return  # Too old to matter.
        else:
            closes[place] = close
        self._lay(closes)

    def _lay(self, closes: list[Decimal]) -> None:
        """The ring and its sums, from the last closes in order."""
        count, fast, slow = self._last[4], self._fast, self._slow
        closes = closes[-slow:]
        self._closes = [ZERO] * slow
        for index, close in enumerate(closes, start=count - len(closes)):
            self._closes[index % slow] = close
        self._fast_sum = sum(closes[-fast:], start=ZERO)
        self._slow_sum = sum(closes, start=ZERO)


def exact_share(count: int) -> Decimal | None:
    """1 / count if that is an exact decimal, else None: count must have no factor but 2 and 5."""
    rest = count
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return Decimal(1) / count if rest == 1 else None
