"""`algo-trader backtest`: read the input whole, run, then write; a failure leaves nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from algo_trader.backtest.metrics import measure
from algo_trader.backtest.result import BacktestResult
from algo_trader.backtest.runner import Runner
from algo_trader.cli.main import Globals
from algo_trader.cli.output import AtomicLines, require_outputs, warn, write_whole
from algo_trader.cli.params import BarsCommand, DateType, DecimalType
from algo_trader.cli.tables import backtest_table
from algo_trader.config import Origin, load_settings, require_fees, strategy_overrides
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.types import is_symbol, text
from algo_trader.engine.decisions import DecisionLine, as_json
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.calendar import FILE_NAME, load_sessions
from algo_trader.feeds.tape import Tape, TapeDay, build_tape
from algo_trader.risk.rules import ALL_RULES
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategy_files import find_strategy
from algo_trader.wiring import BACKTEST_ACCOUNT, strategy_parameters, wire_backtest

CAPITAL = DecimalType(least=Decimal(1), most=Decimal(10**12))
SLIPPAGE = DecimalType(least=Decimal(0), most=Decimal(1))


@click.command(cls=BarsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("symbols", nargs=-1, required=True, metavar="SYMBOL...")
@click.option(
    "--bars",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH...",
    help="CSV, CSV.gz or Parquet files of 1-minute bars, or folders of them.",
)
@click.option("--from", "first", type=DateType(), help="First session that trades (YYYY-MM-DD).")
@click.option("--to", "last", type=DateType(), help="Last session that trades, inclusive.")
@click.option(
    "--capital", type=CAPITAL, default=Decimal(25000), show_default=True, help="Cash to start with."
)
@click.option(
    "--strategy",
    "reference",
    default="velez",
    show_default=True,
    help="velez, or file.py:ClassName of your own.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting for this run."
)
@click.option("--slippage", type=SLIPPAGE, help="Dollars a share against us on every fill.")
@click.option(
    "--decisions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one JSON line per candle and symbol: what was seen, decided and done.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML page with the equity curve, figures and trades.",
)
@click.option(
    "--no-save", is_flag=True, help="Do not keep the run in backtests.db of the data directory."
)
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    options: Globals,
    symbols: tuple[str, ...],
    paths: tuple[Path, ...],
    first: date | None,
    last: date | None,
    capital: Decimal,
    reference: str,
    overrides: tuple[str, ...],
    slippage: Decimal | None,
    decisions: Path | None,
    report: Path | None,
    no_save: bool,
    as_document: bool,
) -> None:
    """Run a strategy over history, on the engine, risk rules and order states that trade live.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader backtest SYNA SYNB --bars data/sample
    """
    names = checked_symbols(symbols)
    if first and last and first > last:
        raise ConfigError(f"--from {first} is after --to {last}: swap them")
    own_files = [options.data_dir / "backtests.db", options.data_dir / "cache" / FILE_NAME]
    others = [*own_files, reference.rpartition(":")[0], options.env_file or ".env"]
    require_outputs([decisions, report], paths, others)
    if not no_save:
        require_store(options)
    with redirect_stdout(sys.stderr):  # A strategy may print; the answer stays one document.
        name, cls = find_strategy(reference)
    own: dict[str, Any] = {}
    rest = list(overrides)
    if slippage is not None:
        rest.append(f"costs.slippage_per_share={text(slippage)}")
    if not issubclass(cls, Velez):
        own, rest = strategy_overrides(rest, cls.parameters())
    loaded = load_settings(env_file=options.env_file, environ=os.environ, overrides=rest)
    settings = loaded.settings
    for key, origin in loaded.origins.items():
        if origin is Origin.SET and key.startswith("velez.") and not issubclass(cls, Velez):
            raise ConfigError(f"{key} (--set) has no effect on strategy {name}: leave it out")
    if issubclass(cls, Velez) and not settings.velez.enabled:
        raise ConfigError("velez.enabled is false: set it to true, or name another --strategy")
    tape = read_tape(options, names, paths)
    warm_up, period = tape.between(first, last)
    if not period:
        raise DataError(
            f"no bars between {first or 'the start'} and {last or 'the end'}: these files hold "
            f"{tape.days[0].session.date} to {tape.days[-1].session.date}"
        )
    require_fees(settings.cost_model(), period[0].session)
    for symbol in sorted(set(names) - _traded(period, names)):
        warn(options, f"{symbol} has no bar in this period: it does not trade")
    lines = AtomicLines(decisions)
    sink = _decision_sink(lines) if decisions else None
    parameters = strategy_parameters(cls, settings, own)
    runner = wire_backtest(
        settings, name=name, cls=cls, parameters=parameters, symbols=names, capital=capital,
        sink=sink,
    )
    with lines, redirect_stdout(sys.stderr):
        result = run(
            options,
            runner,
            warm_up,
            period,
            strategy=reference,
            params=_params(settings.effective(), cls, own),
            bars_dropped=tape.dropped,
        )
    if report is not None:
        from algo_trader.backtest.report import html_report

        write_whole(report, html_report(result))
    _warn_if_never_warm(options, runner)
    click.echo(json.dumps(result.as_json(), indent=2) if as_document else backtest_table(result))
    if not no_save:
        keep(options, result)


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
    sessions = load_sessions(
        options.data_dir / "cache", today=datetime.now(UTC).date()
    )
    loaded = load_bars(list(paths), symbols)
    if loaded.duplicates:
        warn(options, f"rows that stood twice and were dropped: {loaded.duplicates}")
    tape = build_tape(loaded.bars, sessions)
    missing = sorted(set(symbols) - _traded(tape.days, symbols))
    if missing:
        raise DataError(
            f"{', '.join(missing)}: no bar lies in a regular session of the exchange; "
            "timestamps are bar starts in UTC"
        )
    return tape


def require_store(options: Globals) -> None:
    """Before any work: the run can be kept, or ConfigError says how to go on."""
    path = options.data_dir / "backtests.db"
    problem = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            problem = "the folder cannot be written"
        elif (path.exists() or path.is_symlink()) and not path.is_file():
            problem = "it is not a regular file"
    except OSError as error:
        problem = error.strerror
    if problem is not None:
        raise ConfigError(
            f"cannot keep the run in {path}: {problem}; name another --data-dir, or use --no-save"
        )


def keep(options: Globals, result: BacktestResult) -> None:
    """Store the run with its trades; the answer has been given whatever becomes of this."""
    from algo_trader.ledger.backtests import save

    path = options.data_dir / "backtests.db"
    number = save(path, result)
    if options.verbosity > 0:
        click.echo(f"kept as run {number} in {path}", err=True)


def _traded(days: Sequence[TapeDay], symbols: Sequence[str]) -> set[str]:
    """The symbols that have a bar on these days."""
    found: set[str] = set()
    for day in days:
        if len(found) == len(symbols):
            break
        for bars in day.minutes:
            found.update(bar.symbol for bar in bars)
    return found


def run(
    options: Globals,
    runner: Runner,
    warm_up: list[TapeDay],
    period: list[TapeDay],
    *,
    strategy: str,
    params: dict[str, Any],
    bars_dropped: int,
) -> BacktestResult:
    """Run and measure, with a progress bar on a terminal."""
    terminal = sys.stderr
    began = time.perf_counter()
    if options.verbosity >= 0 and terminal is not None and terminal.isatty():
        with click.progressbar(length=len(period), label="backtest", file=terminal) as bar:
            outcome = runner.run(BACKTEST_ACCOUNT, warm_up, period, lambda: bar.update(1))
    else:
        outcome = runner.run(BACKTEST_ACCOUNT, warm_up, period)
    elapsed = time.perf_counter() - began
    lanes = runner.engine.lanes
    return BacktestResult(
        strategy=strategy,
        symbols=[lane.symbol for lane in lanes],
        first=period[0].session.date,
        last=period[-1].session.date,
        interval_minutes=lanes[0].strategy.candle_interval_minutes,
        capital=outcome.curve.capital,
        params=params,
        bars=outcome.bars,
        candles=outcome.candles,
        bars_dropped=bars_dropped,
        signals_taken=runner.signals[None],
        signals_refused={rule: runner.signals[rule] for rule in ALL_RULES if runner.signals[rule]},
        elapsed_s=elapsed,
        metrics=measure(outcome.trades, outcome.curve),
        trades=outcome.trades,
        curve=outcome.curve,
    )


def _decision_sink(lines: AtomicLines) -> Callable[[DecisionLine], None]:
    def write(line: DecisionLine) -> None:
        lines.write(json.dumps(as_json(line)))

    return write


def _params(
    effective: dict[str, Any], cls: type[Strategy], own: dict[str, Any]
) -> dict[str, Any]:
    """Every effective setting; a user's strategy shows its own parameters, not Velez's."""
    if issubclass(cls, Velez):
        return effective
    shown = {key: value for key, value in effective.items() if key != "velez"}
    strategy = {
        key: str(value) if isinstance(value, Decimal) else value
        for key, value in {**cls.parameters(), **own}.items()
    }
    return {"strategy": strategy, **shown}


def _warn_if_never_warm(options: Globals, runner: Runner) -> None:
    for lane in runner.engine.lanes:
        needed = lane.strategy.required_history()
        if lane.candles < needed:
            warn(
                options,
                f"{lane.symbol}: {lane.candles} candles, but {lane.name} needs {needed} before "
                "its first signal: no trade was possible. Give bars of earlier sessions",
            )


def _did_you_mean(symbol: str) -> str:
    return f" (did you mean {symbol.upper()}?)" if is_symbol(symbol.upper()) else ""
