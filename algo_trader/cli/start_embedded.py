"""`start` on the embedded exchange: the bars it replays, its account, its daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from algo_trader.cli import embedded_account
from algo_trader.cli.daemon_parts import daemon_logs, sessions_of, wanted_strategy
from algo_trader.cli.daemon_settings import Choices, load, settings_desk, takes_entries
from algo_trader.cli.embedded_account import BROKER
from algo_trader.cli.main import Globals
from algo_trader.cli.output import tell
from algo_trader.config import LoadedSettings, Origin, require_fees
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.ports import Market
from algo_trader.feeds.bars import LoadedBars, load_bars
from algo_trader.feeds.tape import Tape, build_tape
from algo_trader.runtime.handlers import handlers
from algo_trader.runtime.housekeeping import Housekeeping
from algo_trader.runtime.life import live
from algo_trader.runtime.narration import Narrator
from algo_trader.runtime.paths import control_socket
from algo_trader.wiring.daemon import Replay, wire_embedded


def bundled_sample() -> Path:
    """The synthetic bars that come with the program: installed, or in the checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "sample", package.parent / "data" / "sample"):
        if place.is_dir():
            return place
    raise ConfigError("the bundled sample is not installed: name bars of your own with --bars")


def run(options: Globals, choices: Choices, *, is_reset: bool, force: bool) -> None:
    """One life on the embedded exchange; the data directory is locked."""
    folder = embedded_account.account_of(options.data_dir, is_reset=is_reset, force=force)
    kept = embedded_account.kept(folder)
    wanted, choices = wanted_strategy(choices)
    loaded = load(options, choices, kept.overrides)
    settings = loaded.settings
    bars, tape = _read(options, choices.paths or (bundled_sample(),))
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
        logs = daemon_logs(options, loaded, markets)
        stack.callback(logs.close)
        log = logs.log
        if kept.backup is not None:
            log("ledger_upgraded", backup=str(kept.backup))
        embedded_account.make(folder)
        daemon, close_exchange = wire_embedded(
            settings,
            wanted.trading(settings, symbols),
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
                Housekeeping(daemon, folder, log, lambda: sessions_of(options)),
                socket=control_socket(options.data_dir),
                log=log,
            )
        )


def _read(options: Globals, paths: Sequence[Path]) -> tuple[LoadedBars, Tape]:
    """All bars of the files: the exchange trades every symbol it has."""
    sessions = sessions_of(options)
    bars = load_bars(list(paths), None)
    tell(options, f"{bars.rows_read:,} rows read")
    return bars, build_tape(bars.bars, sessions)


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
