"""Tapes drawn for rehearsals: symbols that stand at 20 until their plot says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from prober import BUY, RAISE, SELL
from serving import SESSIONS, day

from algo_trader.core.types import Bar

DATE = date(2024, 1, 3)
OPENS_AT = list(SESSIONS)[1].opens_at
MINUTES = 390


class Plot(NamedTuple):
    """What becomes of a symbol: closes from a minute of the session on, and marks of minutes."""

    closes: Mapping[int, str]
    marks: Mapping[int, int]


def plot(
    buy: int | None = 1,
    *,
    again: int | None = None,
    higher: int | None = None,
    sell: int | None = None,
    plunge: int | None = None,
) -> Plot:
    """Bought on the candle of minute `buy` at 20.01 with a stop at 19, and filled in the next.

    `higher` moves the stop to 19.55, `sell` closes; at `plunge` the price falls through every
    stop, to 18. `again` is a later candle to buy on, at 20.06.
    """
    given = {buy: BUY, again: BUY, higher: RAISE, sell: SELL}
    closes = {} if buy is None else {buy + 1: "20.05"}
    if again is not None:
        closes[again + 1] = "20.1"
    if plunge is not None:
        closes[plunge] = "18"
    return Plot(closes, {minute: mark for minute, mark in given.items() if minute is not None})


def tape(plots: Mapping[str, Plot], minutes: int = MINUTES) -> list[Bar]:
    """The bars of the plots' session, and a quiet day before it."""
    bars = day(dict.fromkeys(plots, ["20"] * MINUTES))
    for symbol, (closes, marks) in plots.items():
        price, words = "20", []
        for minute in range(minutes):
            price = closes.get(minute, price)
            words.append(price)
        for minute, bar in enumerate(day({symbol: words}, number=1)):
            bars.append(replace(bar, volume=marks.get(minute, bar.volume)))
    return bars
