"""What every daemon is started with, whatever its broker: strategy, log and sessions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from algo_trader.cli.daemon_settings import Choices, level
from algo_trader.cli.main import Globals
from algo_trader.config import LoadedSettings, Settings, strategy_overrides
from algo_trader.core.ports import Market
from algo_trader.core.session import SessionTable
from algo_trader.feeds.calendar import load_sessions
from algo_trader.runtime.logs import Logs, configure, wants_json
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategy_files import find_strategy
from algo_trader.wiring.trading import Trading, strategy_parameters


class WantedStrategy(NamedTuple):
    """The strategy that was named, and its own parameters that were set."""

    name: str
    cls: type[Strategy]
    own: dict[str, Any]

    def trading(self, settings: Settings, symbols: Sequence[str]) -> Trading:
        """The strategy on these symbols."""
        return Trading(
            name=self.name,
            cls=self.cls,
            parameters=strategy_parameters(self.cls, settings, self.own),
            symbols=symbols,
        )


def wanted_strategy(choices: Choices) -> tuple[WantedStrategy, Choices]:
    """The strategy, and the choices without the overrides that are its own."""
    name, cls = find_strategy(choices.reference)
    if cls is Velez:
        return WantedStrategy(name, cls, {}), choices
    own, rest = strategy_overrides(choices.overrides, cls.own_parameters())
    return WantedStrategy(name, cls, own), replace(choices, overrides=tuple(rest))


def daemon_logs(options: Globals, loaded: LoadedSettings, markets: Sequence[Market]) -> Logs:
    """The daemon's log; market time is that of the market, as soon as there is one."""
    return configure(
        sys.stderr,
        as_json=wants_json(sys.stderr, loaded.settings.log.format),
        level=level(options, loaded),
        market_time=lambda: markets[0].now if markets else None,
    )


def sessions_of(options: Globals) -> SessionTable:
    """The sessions of the exchange, remembered in the data directory."""
    return load_sessions(options.data_dir / "cache", today=datetime.now(UTC).date())
