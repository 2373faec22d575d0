"""`algo-trader start`: the options, the lock, and the broker that is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import date
from pathlib import Path

import click
from click.core import ParameterSource

from algo_trader.cli.daemon_settings import Choices, load
from algo_trader.cli.embedded_account import require_room
from algo_trader.cli.main import Globals, Stopped, say
from algo_trader.cli.params import BarsCommand, SpeedType, bars_options
from algo_trader.core.errors import ConfigError
from algo_trader.runtime.lock import DaemonLock
from algo_trader.runtime.paths import lock_file, make_data_dir

EMBEDDED, ALPACA = "embedded", "alpaca"
REPLAY_OPTIONS = frozenset(
    {"paths", "first", "last", "speed", "exit_at_end", "is_reset", "force"}
)


@contextmanager
def _early_stop() -> Iterator[None]:
    """A signal before the daemon lives means `stop` too: nothing has begun, all is done."""
    try:
        yield
    except Stopped:
        say("stopped before trading began")


@click.command(cls=BarsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--broker",
    type=click.Choice([EMBEDDED, ALPACA]),
    help="Where orders go; the setting broker.provider if not given.",
)
@bars_options(
    "What the embedded exchange replays: CSV, CSV.gz or Parquet files of 1-minute bars, or "
    "folders of them. The bundled synthetic sample if not given."
)
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
@click.option(
    "--live", "is_live", is_flag=True, help="Trade real money; wants broker.paper=false as well."
)
@click.option(
    "--new-account",
    "is_new",
    is_flag=True,
    help="Trade another Alpaca account than the one this data directory knows.",
)
@click.pass_context
def command(
    ctx: click.Context,
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
    is_new: bool,
) -> None:
    """Run the daemon: trade until `algo-trader stop`, Ctrl-C or, if asked, the end of the bars.

    The embedded exchange replays bars inside this process: no order leaves the machine. It keeps
    its account in the data directory and goes on from there at the next start. With --broker alpaca
    it trades the Alpaca account whose keys are in .env: the paper account, unless told otherwise.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader start --speed max --exit-at-end
    """
    options: Globals = ctx.obj
    if first and last and first > last:
        raise ConfigError(f"--from {first} is after --to {last}: swap them")
    if force and not is_reset:
        raise ConfigError("--force only belongs to --reset-exchange")
    choices = Choices(
        paths=paths,
        first=first,
        last=last,
        speed=speed,
        exit_at_end=exit_at_end,
        reference=reference,
        overrides=overrides if broker is None else (*overrides, f"broker.provider={broker}"),
    )
    provider = load(options, choices, {}).settings.broker.provider
    if provider == ALPACA:
        _refuse_replay_options(ctx)
    elif is_live:
        raise ConfigError("--live: the embedded exchange has no real money: leave it out")
    elif is_new:
        raise ConfigError("--new-account is for another account at Alpaca: use --reset-exchange")
    os.umask(0o077)  # What the daemon writes is its owner's alone.
    make_data_dir(options.data_dir)
    require_room(options.data_dir)
    with DaemonLock(lock_file(options.data_dir)), redirect_stdout(sys.stderr), _early_stop():
        if provider == ALPACA:
            from algo_trader.cli import start_alpaca

            start_alpaca.run(options, choices, is_live=is_live, is_new=is_new)
        else:
            from algo_trader.cli import start_embedded

            start_embedded.run(options, choices, is_reset=is_reset, force=force)


def _refuse_replay_options(ctx: click.Context) -> None:
    """ConfigError for an option that only means something where bars are replayed."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        is_given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in REPLAY_OPTIONS and is_given:
            raise ConfigError(
                f"{parameter.opts[-1]} belongs to the embedded exchange, which replays bars: leave "
                "it out with --broker alpaca"
            )
