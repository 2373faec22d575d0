"""What a run reads: the symbols asked for, and their bars on the sessions of the exchange."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from algo_trader.cli.main import Globals
from algo_trader.cli.output import tell, warn
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.types import is_symbol
from algo_trader.feeds.bars import files_of_bars, load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import Tape, TapeDay, build_tape


def checked_symbols(symbols: tuple[str, ...]) -> list[str]:
    """The symbols asked for, each once, by code point."""
    for symbol in symbols:
        if not is_symbol(symbol):
            raise ConfigError(
                f"SYMBOL {symbol!r} is not a stock symbol: capitals, digits and dots, such as "
                f"AAPL or BRK.B{_did_you_mean(symbol)}"
            )
    return sorted(set(symbols))


def read_tape(options: Globals, symbols: list[str], paths: tuple[Path, ...]) -> Tape:
    """Bars of the symbols on the exchange's sessions."""
    began = time.perf_counter()
    sessions = load_sessions(
        options.data_dir / "cache",
        today=datetime.now(UTC).date(),
        say=lambda message: tell(options, f"{message}: {_since(began)}"),
    )
    began_files = time.perf_counter()
    if options.verbosity > 0:
        names = ", ".join(map(str, files_of_bars(paths)))
        tell(options, f"reading {names}")
    loaded = load_bars(list(paths), symbols)
    tell(options, f"{loaded.rows_read:,} rows read: {_since(began_files)}")
    if loaded.duplicates:
        warn(options, f"rows that stood twice and were dropped: {loaded.duplicates}")
    began_tape = time.perf_counter()
    tape = build_tape(loaded.bars, sessions)
    tell(
        options,
        f"{tape.bar_count:,} bars of {', '.join(tape.symbols)} on {len(tape.days):,} sessions, "
        f"{tape.dropped:,} outside regular hours: {_since(began_tape)}",
    )
    missing = sorted(set(symbols) - traded(tape.days, symbols))
    if missing:
        raise DataError(
            f"{', '.join(missing)}: no bar lies in a regular session of the exchange; "
            "timestamps are bar starts in UTC"
        )
    return tape


def traded(days: Sequence[TapeDay], symbols: Sequence[str]) -> set[str]:
    """The symbols that have a bar on these days."""
    found: set[str] = set()
    for day in days:
        if len(found) == len(symbols):
            break
        for bars in day.minutes:
            found.update(bar.symbol for bar in bars)
    return found


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.2f} s"


def _did_you_mean(symbol: str) -> str:
    return f" (did you mean {symbol.upper()}?)" if is_symbol(symbol.upper()) else ""
