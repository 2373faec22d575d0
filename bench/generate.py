"""Write synthetic 1-minute bars of full XNYS sessions: the same bytes for the same arguments.

Each symbol is a geometric random walk with a close-to-close volatility of about 1.6 % a day, part
of it overnight, the rest over the session in a mild U shape. A minute is built from twelve steps,
so that highs and lows reach beyond the bodies as they do in a market. Half days are skipped, so
that 252 sessions are exactly 98,280 bars. A symbol's bars depend on the seed and on its place
alone: more symbols or more sessions add bars and change none.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import exchange_calendars
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

FIRST_DAY = "2023-01-03"
MINUTES = 390
STEPS = 12
DAILY_VOLATILITY = 0.016
OVERNIGHT_VOLATILITY = 0.005
SEED = 20230103

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def symbol_names(count: int) -> list[str]:
    """The first `count` of the made-up symbols SYNA, SYNB, ... SYNZ, SYN26, ... SYN999."""
    if not 1 <= count <= 1000:
        raise ValueError("between 1 and 1000 symbols")
    letters = [chr(ord("A") + place) for place in range(26)]
    return [f"SYN{letters[n] if n < 26 else n}" for n in range(count)]


def session_opens(sessions: int) -> Integers:
    """Opening instants of the first full sessions from FIRST_DAY on, in seconds since the epoch."""
    calendar = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY)
    opens, closes = (
        instants.dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
        for instants in (calendar.opens, calendar.closes)
    )
    full: Integers = opens[closes - opens == MINUTES * 60]
    if len(full) < sessions:
        raise ValueError(f"the calendar knows only {len(full)} full sessions")
    return full[:sessions]


def intraday_shape() -> Floats:
    """Volatility of each minute relative to the session's, U-shaped, with a mean square of 1."""
    place = np.linspace(-1.0, 1.0, MINUTES)
    shape = 1.0 + 0.8 * place**2
    return np.asarray(shape / np.sqrt(np.mean(shape**2)), dtype=np.float64)


def price_path(place: int, sessions: int, seed: int) -> Floats:
    """Prices of every step, shaped (sessions, minutes, steps).

    The legacy generator is used because numpy promises never to change what it draws. Nights
    have a generator of their own, so that a longer history begins with the shorter one.
    """
    within = np.random.RandomState([seed, place, 0]).standard_normal((sessions, MINUTES, STEPS))
    nights = np.random.RandomState([seed, place, 1]).standard_normal(sessions)
    session_volatility = np.sqrt(DAILY_VOLATILITY**2 - OVERNIGHT_VOLATILITY**2)
    moves = within * (session_volatility / np.sqrt(MINUTES * STEPS) * intraday_shape()[:, None])
    moves[:, 0, 0] += nights * OVERNIGHT_VOLATILITY
    first = 80.0 + 37.0 * (place % 7)
    path = first * np.exp(np.cumsum(moves.ravel()))
    return np.asarray(path.reshape(sessions, MINUTES, STEPS), dtype=np.float64)


def volumes(place: int, sessions: int, seed: int) -> Integers:
    """Shares traded in each minute: log-normal around the intraday shape, never 0."""
    draws = np.random.RandomState([seed, place, 2]).standard_normal((sessions, MINUTES))
    shares = 9_000.0 * intraday_shape() ** 2 * np.exp(0.5 * draws)
    return np.maximum(shares.astype(np.int64), 1).ravel()


def symbol_table(place: int, opens: Integers, seed: int) -> pa.Table:
    """One symbol's bars as a table: timestamp is the start of the minute, prices have cents."""
    path = price_path(place, len(opens), seed)
    starts = (opens[:, None] + 60 * np.arange(MINUTES)).ravel() * 1_000_000
    prices = {
        "open": path[:, :, 0],
        "high": path.max(axis=2),
        "low": path.min(axis=2),
        "close": path[:, :, -1],
    }
    columns = {
        "timestamp": pa.array(starts, pa.timestamp("us", tz="UTC")),
        "symbol": pa.array([symbol_names(place + 1)[place]] * len(starts), pa.string()),
        **{name: pa.array(np.round(values.ravel(), 2)) for name, values in prices.items()},
        "volume": pa.array(volumes(place, len(opens), seed)),
    }
    return pa.table(columns)


def write_bars(
    folder: Path, symbols: int, sessions: int, seed: int = SEED, *, as_csv: bool = False
) -> list[Path]:
    """Write one file a symbol into `folder`, named after the symbol, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    opens = session_opens(sessions)
    written = []
    for place, name in enumerate(symbol_names(symbols)):
        table = symbol_table(place, opens, seed)
        path = folder / f"{name}.{'csv' if as_csv else 'parquet'}"
        if as_csv:
            pyarrow.csv.write_csv(table, path)
        else:
            pyarrow.parquet.write_table(table, path)
        written.append(path)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files asked for and print their paths."""
    parser = argparse.ArgumentParser(description="Write synthetic 1-minute bars.")
    parser.add_argument("folder", type=Path, help="where the files go; created if missing")
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=252)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--csv", action="store_true", help="CSV instead of Parquet")
    asked = parser.parse_args(arguments)
    for path in write_bars(
        asked.folder, asked.symbols, asked.sessions, asked.seed, as_csv=asked.csv
    ):
        print(path)


if __name__ == "__main__":
    main()
