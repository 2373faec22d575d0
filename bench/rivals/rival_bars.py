"""What the rivals share: the bars in memory, the strategy's arithmetic and the printed result.

The strategy is the nearest equivalent of ours that both engines can express: on a green 2-minute
candle with a strong body, SMA 20 above SMA 200 and their gap widening, a buy-stop at the candle's
high for one candle; once filled, a protective stop below the candle's low; out before the close.
There is no trailing, no sizing and no risk rule here, so a rival does less work than we do.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet

FAST = 20
SLOW = 200
CANDLE_MINUTES = 2
SESSION_MINUTES = 390
LAST_SIGNAL_MINUTE = SESSION_MINUTES - 1 - CANDLE_MINUTES
"""Candles that end later would give an order that outlives the session's last minute."""
SHARES = 10
CASH = 1_000_000
STRONG_BODY = 0.5
STOP_BUFFER = 0.001
STOP_BUFFER_MIN = 0.02
DUST = 1e-6
"""Keeps a binary float a hair above a whole cent from being rounded to the next one."""


class Columns(NamedTuple):
    """One symbol's minutes in time order; `starts` are seconds since the epoch, UTC."""

    starts: list[int]
    opens: list[float]
    highs: list[float]
    lows: list[float]
    closes: list[float]
    volumes: list[float]


def load(path: Path) -> Columns:
    """The whole file in memory."""
    table = pyarrow.parquet.read_table(path)
    starts = table["timestamp"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_pylist()
    prices = [table[name].to_pylist() for name in ("open", "high", "low", "close")]
    volumes = table["volume"].cast(pa.float64()).to_pylist()
    if len(starts) % SESSION_MINUTES:
        raise ValueError(f"{path}: not made of full sessions")
    return Columns(starts, prices[0], prices[1], prices[2], prices[3], volumes)


def is_strong_green(open_: float, high: float, low: float, close: float) -> bool:
    """Whether a candle rose by at least half of its range."""
    return close > open_ and close - open_ >= STRONG_BODY * (high - low) - DUST


def entry_price(high: float) -> float:
    """The high, rounded up to a cent."""
    return math.ceil(high * 100 - DUST) / 100


def stop_price(low: float) -> float:
    """The low less 0.1 %, or less two cents if that is more, rounded down to a cent."""
    return math.floor((low - max(low * STOP_BUFFER, STOP_BUFFER_MIN)) * 100 + DUST) / 100


def report(engine: str, package: str, bars: int, seconds: float, trades: int) -> None:
    """Print the result as the one line of JSON that the benchmark reads."""
    result = {
        "engine": engine,
        "version": version(package),
        "bars": bars,
        "seconds": round(seconds, 4),
        "bars_per_s": round(bars / seconds),
        "trades": trades,
    }
    print(json.dumps(result))
