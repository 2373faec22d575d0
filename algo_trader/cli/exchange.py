"""`algo-trader exchange serve`: an Alpaca-compatible exchange on loopback that replays bars."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import click

from algo_trader.cli.exchange_env import (
    require_followable,
    require_writable,
    write_env_file,
)
from algo_trader.cli.main import Globals, Stopped, say
from algo_trader.cli.output import tell
from algo_trader.cli.params import BarsCommand, DecimalType, SpeedType, bars_options
from algo_trader.cli.start_embedded import bundled_sample
from algo_trader.config import load_settings, require_fees
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.exchange.assembly import Replayed, assemble
from algo_trader.exchange.fault_script import read_script
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.server import Endpoints, Exchange, ServerTerms
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import TapeDay, build_tape

CASH = DecimalType(least=Decimal(1), most=Decimal(10**12 - 1))
OWN_VARIABLES = "ALGO_EXCHANGE_"
SETTINGS_TAKEN = ("costs.", "embedded.partial_fill_pct", "embedded.refuse_pct", "embedded.seed")
PORT_MOST = 65_535


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Rehearse trading at Alpaca without an account, against an exchange on this machine.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader exchange serve --speed max --exit-at-end
    """


@command.command(cls=BarsCommand, context_settings={"help_option_names": ["-h", "--help"]})
@bars_options(
    "What is replayed: CSV, CSV.gz or Parquet files of 1-minute bars, or folders of them. The "
    "bundled synthetic sample if not given."
)
@click.option(
    "--port",
    type=click.IntRange(0, PORT_MOST),
    default=0,
    show_default=True,
    help="Where to listen; 0 takes any free port.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="A loopback address to listen on."
)
@click.option(
    "--key-id",
    envvar=OWN_VARIABLES + "KEY_ID",
    default="local-key",
    show_default=True,
    help="Key id that clients must give. Or set ALGO_EXCHANGE_KEY_ID.",
)
@click.option(
    "--secret",
    envvar=OWN_VARIABLES + "SECRET",
    default="local-secret",
    show_default="local-secret",
    help="Secret that clients must give. Set ALGO_EXCHANGE_SECRET to keep it out of the list of "
    "processes.",
)
@click.option(
    "--speed",
    type=SpeedType(),
    default="60",
    show_default=True,
    help="How many times faster than real time the exchange's clock runs; max waits for nothing.",
)
@click.option(
    "--cash", type=CASH, default=Decimal(25000), show_default=True, help="Cash to start with."
)
@click.option("--account", default="PA0000LOCAL", show_default=True, help="The account's number.")
@click.option(
    "--rate", type=click.IntRange(0), default=200, show_default=True,
    help="Requests each virtual minute on each host; 0 for any number.",
)  # fmt: skip
@click.option(
    "--connections", type=click.IntRange(0), default=1, show_default=True,
    help="Connections to each stream at a time; 0 for any number.",
)  # fmt: skip
@click.option(
    "--symbols", type=click.IntRange(0), default=0, show_default=True,
    help="Symbols on a data connection at most; 0 for any number.",
)  # fmt: skip
@click.option(
    "--strict-stops", is_flag=True,
    help="Refuse stop orders on the wrong side of the market, as Alpaca does.",
)  # fmt: skip
@click.option(
    "--no-recent-sip", is_flag=True,
    help="Refuse SIP bars of the last 15 minutes, as a free data plan does.",
)  # fmt: skip
@click.option(
    "--faults", type=click.Path(path_type=Path), help="A script of what goes wrong (TOML)."
)
@click.option(
    "--journal", type=click.Path(path_type=Path), help="Append everything seen, as JSON lines."
)
@click.option(
    "--env-file",
    "env_file",
    type=click.Path(path_type=Path),
    help="Write the settings that point algo-trader at this exchange.",
)
@click.option(
    "--wait-for-clients",
    is_flag=True,
    help="Stand still at the open until the first client has subscribed to bars.",
)
@click.option("--exit-at-end", is_flag=True, help="End when the bars have ended.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a setting: costs.*, embedded.partial_fill_pct, .refuse_pct, .seed.",
)
@click.pass_obj
def serve(
    options: Globals,
    paths: tuple[Path, ...],
    first: date | None,
    last: date | None,
    port: int,
    host: str,
    key_id: str,
    secret: str,
    speed: float | None,
    cash: Decimal,
    account: str,
    rate: int,
    connections: int,
    symbols: int,
    strict_stops: bool,
    no_recent_sip: bool,
    faults: Path | None,
    journal: Path | None,
    env_file: Path | None,
    wait_for_clients: bool,
    exit_at_end: bool,
    overrides: tuple[str, ...],
) -> None:
    """Serve Alpaca's trading and market-data API on loopback until SIGINT or SIGTERM.

    Sessions before --from fill the history, the first one if it is not given; those from it on
    trade. Any program that uses alpaca-py can be pointed at the four addresses it prints.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader exchange serve --port 8765 --speed 60
    """
    if first and last and first > last:
        raise ConfigError(f"--from {first} is after --to {last}: swap them")
    _require_loopback(host)
    for name, value in (("--key-id", key_id), ("--secret", secret), ("--account", account)):
        if not value.strip() or not value.isascii():
            raise ConfigError(f"{name} is empty or not ASCII: give a word")
    for override in overrides:
        if not override.startswith(SETTINGS_TAKEN):
            raise ConfigError(
                f"--set {override}: the exchange takes {', '.join(SETTINGS_TAKEN)}, nothing else"
            )
    if env_file is not None:
        require_followable(speed)
        require_writable(env_file)
    rules = [] if faults is None else read_script(faults)
    settings = load_settings(
        env_file=options.env_file, environ=_environ(os.environ), overrides=overrides
    ).settings
    keys = Keys(key_id, secret)
    with suppress(Stopped):
        sessions = load_sessions(options.data_dir / "cache", today=datetime.now(UTC).date())
        loaded = load_bars(list(paths or (bundled_sample(),)), None)
        tell(options, f"{loaded.rows_read:,} rows read")
        tape = build_tape(loaded.bars, sessions)
        if first is None and last != tape.days[0].session.date and len(tape.days) > 1:
            first = tape.days[1].session.date
        history, period = tape.between(first, last)
        if not period:
            raise DataError(
                f"no bars between {first or 'the start'} and {last or 'the end'}: these files hold "
                f"{tape.days[0].session.date} to {tape.days[-1].session.date}"
            )
        costs = settings.cost_model()
        require_fees(costs, period[0].session)
        replayed = Replayed(
            history=history,
            period=period,
            symbols=tape.symbols,
            sessions=sessions,
            costs=costs,
            rules=replace(settings.venue_rules(), refuse_stops_through_market=strict_stops),
            account=account,
            cash=cash,
            speed=speed,
        )
        terms = ServerTerms(
            host=host,
            port=port,
            keys=keys,
            rate_per_minute=rate,
            connections=connections,
            symbols_most=symbols,
            has_recent_sip=not no_recent_sip,
            waits_for_clients=wait_for_clients,
        )

        def tell_where(endpoints: Endpoints) -> None:
            _print(endpoints, period)
            if env_file is not None and speed is not None:
                write_env_file(env_file, endpoints, keys, speed, tape.symbols)
                say(f"settings for algo-trader written to {env_file}")

        exchange = assemble(replayed, terms, rules=rules, journal_file=journal)
        asyncio.run(_live(exchange, tell_where, exit_at_end=exit_at_end))
    say("exchange closed")


async def _live(
    exchange: Exchange, tell_where: Callable[[Endpoints], None], *, exit_at_end: bool
) -> None:
    """Serve until a signal; the bars' end only ends it if that was asked for."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        is_nohup = number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
        if not is_nohup:
            loop.add_signal_handler(number, stopping.set)
    tell_where(await exchange.start())
    playing = asyncio.create_task(exchange.play())
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            await playing
            if not exit_at_end:
                say("the bars have ended; the exchange answers until it is stopped")
                await waiting
    finally:
        playing.cancel()
        waiting.cancel()
        await asyncio.gather(playing, waiting, return_exceptions=True)
        await exchange.stop()


def _print(endpoints: Endpoints, period: Sequence[TapeDay]) -> None:
    click.echo(f"trading       {endpoints.trading}")
    click.echo(f"data          {endpoints.data}")
    click.echo(f"trade stream  {endpoints.trade_stream}")
    click.echo(f"data stream   {endpoints.data_stream}")
    click.echo(f"sessions      {period[0].session.date} to {period[-1].session.date}")


def _require_loopback(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigError(
            f"--host {host}: the exchange speaks plain HTTP, so it listens on this machine only: "
            "give 127.0.0.1 or ::1"
        )


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment less the exchange's own variables, which are no settings of the daemon."""
    return {name: value for name, value in environ.items() if not name.startswith(OWN_VARIABLES)}
