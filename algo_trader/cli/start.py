"""`algo-trader start`: the daemon in the foreground, from its lock to its last commit."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from algo_trader.cli import embedded_account
from algo_trader.cli.daemon_settings import Choices, level, load, settings_desk, takes_entries
from algo_trader.cli.embedded_account import BROKER
from algo_trader.cli.main import Globals, Stopped, say
from algo_trader.cli.output import tell
from algo_trader.cli.params import BarsCommand, DateType
from algo_trader.config import (
    LoadedSettings,
    Origin,
    require_fees,
    strategy_overrides,
)
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.ports import Market
from algo_trader.core.session import SessionTable
from algo_trader.feeds.bars import LoadedBars, load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import Tape, build_tape
from algo_trader.runtime.handlers import handlers
from algo_trader.runtime.housekeeping import Housekeeping
from algo_trader.runtime.life import live
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.logs import Logs, configure, wants_json
from algo_trader.runtime.narration import Narrator
from algo_trader.runtime.paths import (
    AccountFolder,
    control_socket,
    lock_file,
    make_data_dir,
)
from algo_trader.strategies import Velez
from algo_trader.strategy_files import find_strategy
from algo_trader.wiring.daemon import Replay, wire_embedded
from algo_trader.wiring.trading import Trading, strategy_parameters

SPEED_MOST = 1_000_000


@contextmanager
def _early_stop() -> Iterator[None]:
    """A signal before the daemon lives means `stop` too: nothing has begun, all is done."""
    try:
        yield
    except Stopped:
        say("stopped before trading began")


class SpeedType(click.ParamType[float | None]):
    """Minutes of market time a real minute, or max."""

    name = "speed"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """The speed, None for max, or a usage error."""
        if value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = float("nan")
        if not 0 < speed <= SPEED_MOST:
            self.fail(f"{value!r}: give a number above 0, such as 60, or max", param, ctx)
        return speed


@click.command(cls=BarsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--broker",
    type=click.Choice([BROKER]),
    help="Where orders go; the setting broker.provider if not given.",
)
@click.option(
    "--bars",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH...",
    help="What the embedded exchange replays: CSV, CSV.gz or Parquet files of 1-minute bars, or "
    "folders of them. The bundled synthetic sample if not given.",
)
@click.option("--from", "first", type=DateType(), help="First session that trades (YYYY-MM-DD).")
@click.option("--to", "last", type=DateType(), help="Last session that trades, inclusive.")
@click.option(
    "--speed",
    type=SpeedType(),
    default="60",
    show_default=True,
    help="How many times faster than real time the exchange runs once strategies are warm; max "
    "waits for nothing.",
)
@click.option(
    "--exit-at-end", is_flag=True, help="Close positions and end when the bars have ended."
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
@click.option(
    "--reset-exchange",
    "is_reset",
    is_flag=True,
    help="Open a new account at the embedded exchange, with a ledger of its own.",
)
@click.option("--force", is_flag=True, help="Reset although the ledger has open positions.")
@click.option("--live", "is_live", is_flag=True, help="Trade real money; brokers with paper only.")
@click.pass_obj
def command(
    options: Globals,
    broker: str | None,
    paths: tuple[Path, ...],
    first: date | None,
    last: date | None,
    speed: float | None,
    exit_at_end: bool,
    reference: str,
    overrides: tuple[str, ...],
    is_reset: bool,
    force: bool,
    is_live: bool,
) -> None:
    """Run the daemon: trade until `algo-trader stop`, Ctrl-C or, if asked, the end of the bars.

    The embedded exchange replays bars inside this process: no order leaves the machine. It keeps
    its account in the data directory and goes on from there at the next start.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader start --speed max --exit-at-end
    """
    if is_live:
        raise ConfigError("--live: the embedded exchange has no real money: leave it out")
    if first and last and first > last:
        raise ConfigError(f"--from {first} is after --to {last}: swap them")
    if force and not is_reset:
        raise ConfigError("--force only belongs to --reset-exchange")
    choices = Choices(
        paths=paths or (bundled_sample(),),
        first=first,
        last=last,
        speed=speed,
        exit_at_end=exit_at_end,
        reference=reference,
        overrides=overrides if broker is None else (*overrides, f"broker.provider={broker}"),
    )
    os.umask(0o077)  # What the daemon writes is its owner's alone.
    make_data_dir(options.data_dir)
    embedded_account.require_room(options.data_dir)
    with DaemonLock(lock_file(options.data_dir)), redirect_stdout(sys.stderr), _early_stop():
        folder = embedded_account.account_of(options.data_dir, is_reset=is_reset, force=force)
        _run(options, choices, folder)


def bundled_sample() -> Path:
    """The synthetic bars that come with the program: installed, or in the checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "sample", package.parent / "data" / "sample"):
        if place.is_dir():
            return place
    raise ConfigError("the bundled sample is not installed: name bars of your own with --bars")


def _run(options: Globals, choices: Choices, folder: AccountFolder) -> None:
    kept = embedded_account.kept(folder)
    name, cls = find_strategy(choices.reference)
    own: dict[str, Any] = {}
    if cls is not Velez:
        own, rest = strategy_overrides(choices.overrides, cls.own_parameters())
        choices = replace(choices, overrides=tuple(rest))
    loaded = load(options, choices, kept.overrides)
    settings = loaded.settings
    bars, tape = _read(options, choices.paths)
    symbols = _symbols(loaded, tape)
    history, period = tape.between(choices.first, choices.last)
    if not period:
        raise DataError(
            f"no bars between {choices.first or 'the start'} and {choices.last or 'the end'}: "
            f"these files hold {tape.days[0].session.date} to {tape.days[-1].session.date}"
        )
    require_fees(settings.cost_model(), period[0].session)
    markets: list[Market] = []  # Of which there is one, as soon as the daemon is wired.
    with ExitStack() as stack:
        logs = _logs(options, loaded, markets)
        stack.callback(logs.close)
        log = logs.log
        if kept.backup is not None:
            log("ledger_upgraded", backup=str(kept.backup))
        embedded_account.make(folder)
        daemon, close_exchange = wire_embedded(
            settings,
            Trading(
                name=name,
                cls=cls,
                parameters=strategy_parameters(cls, settings, own),
                symbols=symbols,
            ),
            Replay(
                account=folder.name.removeprefix(f"{BROKER}-"),
                history=history,
                period=period,
                fingerprint=bars.fingerprint(),
                speed=choices.speed,
                exit_at_end=choices.exit_at_end,
            ),
            exchange_file=folder.exchange,
            ledger_file=folder.ledger,
            log=log,
            narrate=Narrator(log),
        )
        stack.callback(close_exchange)
        embedded_account.require_one_history(folder, daemon.parts.market.now, period, kept.until)
        markets.append(daemon.parts.market)
        daemon.permit(takes_entries=takes_entries(choices, loaded))
        log(
            "embedded_exchange",
            note="no order leaves this machine",
            replays=f"{period[0].session.date} to {period[-1].session.date}",
            symbols=",".join(symbols),
            speed="max" if choices.speed is None else f"{choices.speed:g}x",
            data=str(folder.path),
        )
        if daemon.parts.market.now > period[-1].last_minute:
            log("bars_played", note="to their end; --reset-exchange opens a new account on them")
        desk = settings_desk(options, choices, daemon, logs)
        asyncio.run(
            live(
                daemon,
                lambda running: handlers(running, folder, desk),
                Housekeeping(daemon, folder, log, lambda: _sessions(options)),
                socket=control_socket(options.data_dir),
                log=log,
            )
        )


def _logs(options: Globals, loaded: LoadedSettings, markets: Sequence[Market]) -> Logs:
    return configure(
        sys.stderr,
        as_json=wants_json(sys.stderr, loaded.settings.log.format),
        level=level(options, loaded),
        market_time=lambda: markets[0].now if markets else None,
    )


def _read(options: Globals, paths: Sequence[Path]) -> tuple[LoadedBars, Tape]:
    """All bars of the files: the exchange trades every symbol it has."""
    sessions = _sessions(options)
    bars = load_bars(list(paths), None)
    tell(options, f"{bars.rows_read:,} rows read")
    return bars, build_tape(bars.bars, sessions)


def _sessions(options: Globals) -> SessionTable:
    return load_sessions(options.data_dir / "cache", today=datetime.now(UTC).date())


def _symbols(loaded: LoadedSettings, tape: Tape) -> list[str]:
    """The watchlist if one was set, else every symbol in the bars."""
    if loaded.origins["watchlist"] is Origin.DEFAULT:
        return list(tape.symbols)
    missing = sorted(set(loaded.settings.watchlist) - set(tape.symbols))
    if missing:
        raise DataError(
            f"watchlist: these files hold no bars of {', '.join(missing)}, only of "
            f"{', '.join(tape.symbols)}"
        )
    return sorted(loaded.settings.watchlist)
