"""`start` on an Alpaca account: keys, the first word with the broker, the account's daemon."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack

from algo_trader.brokers.alpaca.endpoints import Endpoints, check_keys, endpoints
from algo_trader.cli import alpaca_account
from algo_trader.cli.daemon_parts import daemon_logs, sessions_of, wanted_strategy
from algo_trader.cli.daemon_settings import Choices, level, load, settings_desk, takes_entries
from algo_trader.cli.main import Globals, say
from algo_trader.config import Settings
from algo_trader.config.keys import load_keys
from algo_trader.core.errors import (
    ConfigError,
    SafetyRefusal,
)
from algo_trader.core.ports import Market
from algo_trader.runtime.handlers import handlers
from algo_trader.runtime.housekeeping import Housekeeping
from algo_trader.runtime.life import live
from algo_trader.runtime.narration import Narrator
from algo_trader.runtime.paths import control_socket
from algo_trader.wiring.alpaca import wire_alpaca
from algo_trader.wiring.contact import first_word
from algo_trader.wiring.network import connect, reach

BANNER = """\
==========================================================================
  LIVE TRADING: orders from here on are for REAL MONEY.
  Account {account} at {url}. Ctrl-C or `algo-trader stop` ends it.
=========================================================================="""


def run(options: Globals, choices: Choices, *, is_live: bool, is_new: bool) -> None:
    """One life on the account; the data directory is locked."""
    wanted, choices = wanted_strategy(choices)
    early = load(options, choices, {})
    where = where_to(early.settings, is_live=is_live)
    keys = load_keys(options.env_file, os.environ)
    warning = check_keys(keys, where, paper=early.settings.broker.paper)
    connection = connect(early.settings, where, keys)
    markets: list[Market] = []  # Of which there is one, as soon as the daemon is wired.
    with ExitStack() as stack:
        logs = daemon_logs(options, early, markets)
        stack.callback(logs.close)
        log = logs.log
        if warning is not None:
            log("keys", level="warning", reason=warning)
        account = asyncio.run(first_word(connection.broker, connection.where.trading, log))
        folder = alpaca_account.account_of(options.data_dir, account.account, is_new=is_new)
        overrides, backup = alpaca_account.open_ledger(folder, connection.clock.now())
        loaded = load(options, choices, overrides)
        logs.set_level(level(options, loaded))
        if backup is not None:
            log("ledger_upgraded", backup=str(backup))
        settings = loaded.settings
        symbols = sorted(settings.watchlist)
        outside, close = reach(settings, connection, symbols, ledger_file=folder.ledger, log=log)
        daemon = wire_alpaca(
            settings,
            wanted.trading(settings, symbols),
            outside,
            sessions_of(options),
            log=log,
            narrate=Narrator(log),
        )
        markets.append(daemon.parts.market)
        if not takes_entries(choices, loaded):
            daemon.permit(takes_entries=False)
        if is_live:
            say(BANNER.format(account=account.account, url=where.trading))
        log(
            "alpaca",
            level="critical" if is_live else "info",
            account=account.account,
            trades="REAL MONEY" if is_live else "paper",
            url=where.trading,
            feed=settings.broker.feed,
            symbols=",".join(symbols),
            data=str(folder.path),
        )
        desk = settings_desk(options, choices, daemon, logs)

        async def life() -> None:
            try:
                await live(
                    daemon,
                    lambda running: handlers(running, folder, desk),
                    Housekeeping(daemon, folder, log, lambda: sessions_of(options)),
                    socket=control_socket(options.data_dir),
                    log=log,
                )
            finally:
                await close()

        asyncio.run(life())


def where_to(settings: Settings, *, is_live: bool) -> Endpoints:
    """The URLs that the settings name.

    SafetyRefusal unless real money is wanted twice; ConfigError for a clock that cannot be.
    """
    broker, clock = settings.broker, settings.clock
    if is_live and broker.paper:
        raise SafetyRefusal(
            "--live: real money wants broker.paper=false as well (ALGO_BROKER__PAPER=false in "
            ".env): leave --live out to trade paper"
        )
    if not broker.paper and not is_live:
        raise SafetyRefusal(
            "broker.paper is false, and --live was not given: add --live to trade real money, or "
            "set broker.paper=true"
        )
    where = endpoints(
        paper=broker.paper,
        feed=broker.feed,
        trading_url=broker.trading_url or None,
        data_url=broker.data_url or None,
        trade_stream_url=broker.trade_stream_url or None,
        data_stream_url=broker.data_stream_url or None,
    )
    if clock.speed != 1 and (clock.source != "broker" or not where.is_all_loopback):
        raise ConfigError(
            "clock.speed: other than 1 only with clock.source=broker and an exchange on this "
            "machine (see `algo-trader exchange serve`): set it to 1"
        )
    return where
