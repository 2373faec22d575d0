"""Time algo-trader's own backtest: `python ours.py SYM.parquet [SYM.parquet ...]`.

Prints the same line of JSON as the rivals do. A file's name without its suffix is its symbol.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def run_ours(parquet_paths: Sequence[Path], symbols: Sequence[str]) -> tuple[int, float, int]:
    """Time the backtest runner over bars that are loaded already: (bars, seconds, trades).

    Loading, imports and building the run stay outside of the clock; feeding every bar through
    engine, risk, orders and venue is inside of it. Candles are 2 minutes, all else the defaults.
    """
    raise NotImplementedError("the backtest runner is not connected yet")


def main() -> None:
    """Run once and report."""
    paths = [Path(argument) for argument in sys.argv[1:]]
    bars, seconds, trades = run_ours(paths, [path.stem for path in paths])
    result = {
        "engine": "algo-trader",
        "version": version("algo-trader"),
        "bars": bars,
        "seconds": round(seconds, 4),
        "bars_per_s": round(bars / seconds),
        "trades": trades,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
