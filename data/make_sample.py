"""Write the bundled sample: made-up 1-minute bars of SYNA, SYNB and SYNC, and a note that says so.

Owns every byte of data/sample. No price in it is or derives from a real one. The same seed gives
the same bytes on every machine and Python version: prices are whole millionths of a dollar, all
arithmetic is on integers, and of `random.Random` only `random()` is used, whose sequence Python
promises never to change (its other methods may).

A price walks in nine steps a minute, so that highs and lows reach beyond the bodies. Volatility is
high at the open and the close, lower at noon, and comes in clusters; a drift that changes now and
then makes trends. SYNC is thinly traded: some of its minutes have no bar.

    uv run python data/make_sample.py [FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

SEED = 2157

HEADER = "timestamp,symbol,open,high,low,close,volume"
# Regular sessions of the New York Stock Exchange, opening and closing in UTC, as its calendar has
# them. Thanksgiving, 2024-11-28, is a holiday, and the day after it closes at 13:00 New York time.
# The first two days give Velez's slow average its 201 two-minute candles: 195 and 6.
SESSIONS = (
    ("2024-11-27T14:30:00Z", "2024-11-27T21:00:00Z"),
    ("2024-11-29T14:30:00Z", "2024-11-29T18:00:00Z"),
    ("2024-12-02T14:30:00Z", "2024-12-02T21:00:00Z"),
)
CLOCK = "%Y-%m-%dT%H:%M:%SZ"

CENT = 10_000
"""Units of a price in a cent: prices are kept in millionths of a dollar."""
MILLION = 1_000_000
ONE = 1 << 16
"""What `share` and `bell` count in: 65536 is 1."""
STEPS = 9
STEPS_ROOT = 3
"""A step's volatility is a minute's divided by the root of the steps."""
NIGHT = 8
"""A night's volatility in minutes' volatilities."""
DRIFT_LASTS = 35
"""Minutes until the drift changes, on average."""


class Stock(NamedTuple):
    """What a made-up stock is like."""

    symbol: str
    first_price: int
    """In cents."""
    volatility: int
    """Of a minute around noon, in millionths of the price."""
    shares: int
    """Traded in a minute around noon."""
    missing: int
    """Minutes without a bar, of 1000."""


STOCKS = (
    Stock("SYNA", 48_20, 700, 9_000, 0),
    Stock("SYNB", 131_75, 850, 5_500, 0),
    Stock("SYNC", 27_40, 1_200, 700, 25),
)

NOTE = """# Bundled sample: synthetic data

These bars are **made up**. They were drawn by `data/make_sample.py` with seed {seed}; no price,
volume or symbol in them is real or derived from a real one. They are free to use, copy and change
for any purpose.

    uv run python data/make_sample.py

writes the same bytes again, on any machine.

| | |
|---|---|
| symbols | {symbols}: fictional; SYNC is thinly traded, some of its minutes have no bar |
| bars | 1 minute, regular hours, dollars, `timestamp` is the start of the bar in UTC |
| sessions | 2024-11-27 and 2024-12-02 (full), 2024-11-29 (half-day, closes 18:00 UTC) |

The seed was searched for so that a backtest with default settings shows every way a trade can go:
a stop that trails, a plain stop-out, an entry that expires, an exit after a maximum run, one at the
end of a day, and signals refused after three losses in a row. The walk has trends built in. So what
a strategy earns on these bars says nothing about what it earns in a market.
"""


def share(rng: Random) -> int:
    """A whole number from 0 to 65535, each as likely; the product is exact."""
    return int(rng.random() * ONE)


def bell(rng: Random) -> int:
    """A draw from (almost) the normal distribution, 65536 being one standard deviation."""
    return sum(share(rng) for _ in range(12)) - 6 * ONE


def shape(minute: int, minutes: int) -> int:
    """Volatility at this minute of a session, in per cent of that at its middle: a U."""
    place = (2 * minute - minutes) * 1000 // minutes
    return 100 + 90 * place * place // MILLION


class Walk:
    """The price of one stock on its way, and what moves it."""

    def __init__(self, stock: Stock, rng: Random) -> None:
        self._stock = stock
        self._rng = rng
        self._price = stock.first_price * CENT
        self._heat = 100
        """Volatility and volume of now, in per cent of usual."""
        self._drift = 0
        """What every step adds, in 65536ths of a step's volatility."""

    def pass_night(self) -> None:
        """Move the price from one session's close to the next one's open."""
        self._move(self._stock.volatility * NIGHT, bell(self._rng))
        self._heat = 100
        self._drift = 0

    def minute(self, usual: int) -> str:
        """Prices and volume of the next minute, as a row's end; `usual` is the day's shape."""
        rng = self._rng
        self._heat = max(40, 100 + (self._heat - 100) * 9 // 10 + bell(rng) * 14 // ONE)
        if share(rng) * DRIFT_LASTS < ONE:
            self._drift = bell(rng) // 9
        volatility = self._stock.volatility * usual * self._heat // (STEPS_ROOT * 100 * 100)
        path = [self._move(volatility, self._drift + bell(rng)) for _ in range(STEPS)]
        prices = (path[0], max(path), min(path), path[-1])
        return ",".join([*map(dollars, prices), str(self._shares(usual, path))])

    def _move(self, volatility: int, deviations: int) -> int:
        """Move the price and return it in cents; volatility is in millionths."""
        self._price += self._price * volatility * deviations // (MILLION * ONE)
        return (self._price + CENT // 2) // CENT

    def _shares(self, usual: int, path: list[int]) -> int:
        """Shares traded: more at the ends of the day, in hot minutes and on wide bars."""
        typical = path[0] * self._stock.volatility * 2 // MILLION + 1
        width = 50 + 50 * (max(path) - min(path)) // typical
        luck = 50 + share(self._rng) * share(self._rng) * 200 // (ONE * ONE)
        return 1 + self._stock.shares * usual * self._heat * width * luck // 100**4


def dollars(cents: int) -> str:
    """Cents as dollars with two decimals."""
    return f"{cents // 100}.{cents % 100:02}"


def rows(stock: Stock, rng: Random) -> Iterator[str]:
    """The stock's rows over all sessions, in order of time."""
    walk = Walk(stock, rng)
    for opening, closing in SESSIONS:
        opens_at, closes_at = (
            datetime.strptime(text, CLOCK).replace(tzinfo=UTC) for text in (opening, closing)
        )
        minutes = (closes_at - opens_at) // timedelta(minutes=1)
        for minute in range(minutes):
            row = walk.minute(shape(minute, minutes))
            # The price goes on in a minute without a trade; nobody sees it.
            if share(rng) * 1000 >= stock.missing * ONE:
                start = opens_at + timedelta(minutes=minute)
                yield f"{start.strftime(CLOCK)},{stock.symbol},{row}"
        walk.pass_night()


def sample(seed: int) -> dict[str, bytes]:
    """The sample's files, contents by name."""
    symbols = ", ".join(stock.symbol for stock in STOCKS)
    files = {"README.md": NOTE.format(seed=seed, symbols=symbols)}
    for place, stock in enumerate(STOCKS):
        # A generator of its own: changing one stock leaves the others' bars as they are.
        rng = Random(seed * len(STOCKS) + place)
        files[f"{stock.symbol}.csv"] = "\n".join([HEADER, *rows(stock, rng), ""])
    return {name: text.encode("ascii") for name, text in files.items()}


def main(arguments: list[str]) -> None:
    """Write the sample to the folder given, else to data/sample."""
    parser = argparse.ArgumentParser(description="Write the bundled sample of made-up bars.")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(__file__).parent / "sample",
        help="where to write it; data/sample by default",
    )
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sample(SEED).items():
        (folder / name).write_bytes(content)
        print(f"{folder / name}: {len(content)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
