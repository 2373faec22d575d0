"""`algo-trader backtest`: read the input whole, run, then write; a failure leaves nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from algo_trader.backtest.metrics import measure
from algo_trader.backtest.result import BacktestResult
from algo_trader.backtest.runner import Runner
from algo_trader.cli.main import Globals
from algo_trader.cli.output import Outputs, require_outputs, tell, warn
from algo_trader.cli.params import BarsCommand, DecimalType, bars_options
from algo_trader.cli.reading import checked_symbols, read_tape, traded
from algo_trader.cli.saving import keep, require_store, store_of
from algo_trader.cli.tables import backtest_table
from algo_trader.config import (
    LoadedSettings,
    Origin,
    load_settings,
    require_fees,
    strategy_overrides,
)
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.types import text
from algo_trader.engine.decisions import DecisionLine, as_json
from algo_trader.feeds.calendar import FILE_NAME
from algo_trader.feeds.tape import TapeDay
from algo_trader.risk.rules import ALL_RULES
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategy_files import find_strategy
from algo_trader.wiring.backtest import BACKTEST_ACCOUNT, wire_backtest
from algo_trader.wiring.trading import Trading, strategy_parameters

CAPITAL = DecimalType(least=Decimal(1), most=Decimal(10**12 - 1))
SLIPPAGE = DecimalType(least=Decimal(0), most=Decimal(1))


@click.command(cls=BarsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("symbols", nargs=-1, required=True, metavar="SYMBOL...")
@bars_options(
    "CSV, CSV.gz or Parquet files of 1-minute bars, or folders of them.", are_required=True
)
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
    help="Write a file of one JSON line per candle and symbol: what was seen, decided and done. "
    "Not to -: standard output carries the answer.",
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
    own_files = [store_of(options), options.data_dir / "cache" / FILE_NAME]
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
    if cls is not Velez:
        own, rest = strategy_overrides(rest, cls.own_parameters())
    loaded = load_settings(env_file=options.env_file, environ=os.environ, overrides=rest)
    settings = loaded.settings
    tell(options, _sources(loaded))
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
    for symbol in sorted(set(names) - traded(period, names)):
        warn(options, f"{symbol} has no bar in this period: it does not trade")
    parameters = strategy_parameters(cls, settings, own)
    with Outputs() as outputs, redirect_stdout(sys.stderr):
        sink = None if decisions is None else _decision_sink(outputs.open(decisions))
        trading = Trading(name=name, cls=cls, parameters=parameters, symbols=names)
        runner = wire_backtest(settings, trading, capital=capital, sink=sink)
        result = run(
            options,
            runner,
            warm_up,
            period,
            strategy=reference,
            params=_params(settings.effective(), cls, parameters),
            bars_dropped=tape.dropped,
        )
        if report is not None:
            from algo_trader.backtest.report import html_report

            outputs.open(report)(html_report(result))
    for written in filter(None, [decisions, report]):
        tell(options, f"wrote {written}")
    _warn_if_never_warm(options, runner)
    reader_gone = None
    try:
        click.echo(
            json.dumps(result.as_json(), indent=2) if as_document else backtest_table(result)
        )
    except BrokenPipeError as error:
        reader_gone = error  # Whoever has seen enough of the answer still wants the run kept.
    if not no_save:
        keep(options, result)
    if reader_gone is not None:
        raise reader_gone


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
    tell(
        options,
        f"{len(period):,} sessions run after {len(warm_up):,} to warm up: {elapsed:.2f} s",
    )
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


def _decision_sink(write: Callable[[str], None]) -> Callable[[DecisionLine], None]:
    return lambda line: write(json.dumps(as_json(line)))


def _sources(loaded: LoadedSettings) -> str:
    """How many settings each layer gave, and from which file."""
    counts = Counter(loaded.origins.values())
    layers = ", ".join(f"{counts[origin]} {origin}" for origin in Origin if counts[origin])
    file = f", read from {loaded.env_file}" if loaded.env_file is not None else ""
    return f"settings: {layers}{file}"


def _params(
    effective: dict[str, Any], cls: type[Strategy], parameters: dict[str, Any]
) -> dict[str, Any]:
    """Every effective setting; a user's strategy shows its own parameters, not Velez's."""
    if cls is Velez:
        return effective
    shown = {key: value for key, value in effective.items() if key != "velez"}
    strategy = {
        key: str(value) if isinstance(value, Decimal) else value
        for key, value in {**cls.parameters(), **parameters}.items()
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
