"""Time algo-trader's own backtest: `python ours.py SYM.parquet [SYM.parquet ...]`.

Prints the same line of JSON as the rivals do. A file's name without its suffix is its symbol.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from algo_trader.config import Settings
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import build_tape
from algo_trader.strategies import Velez
from algo_trader.wiring.backtest import wire_backtest
from algo_trader.wiring.trading import Trading, strategy_parameters


def run_ours(parquet_paths: Sequence[Path], symbols: Sequence[str]) -> tuple[int, float, int]:
    """Time the backtest runner over bars that are loaded already: (bars, seconds, trades).

    Loading, imports and building the run stay outside of the clock; feeding every bar through
    engine, risk, orders and venue is inside of it. Candles are 2 minutes, all else the defaults.
    """
    sessions = load_sessions(None, today=datetime.now(UTC).date())
    tape = build_tape(load_bars(parquet_paths, symbols).bars, sessions)
    trading = Trading(
        name="velez",
        cls=Velez,
        parameters=strategy_parameters(Velez, Settings(), {}),
        symbols=sorted(symbols),
    )
    runner = wire_backtest(Settings(), trading, capital=Decimal(25_000))
    began = time.perf_counter()
    outcome = runner.run("bench", [], tape.days)
    return outcome.bars, time.perf_counter() - began, len(outcome.trades)


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
