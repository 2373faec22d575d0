"""The file of settings that points algo-trader at a local exchange: its owner's alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from algo_trader.core.errors import ConfigError
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.server import Endpoints

MARK = "# Written by algo-trader exchange serve; the next one may write it anew."
MODE = 0o600
SPEED_MOST = 1000
"""Of the setting clock.speed."""


def require_writable(file: Path) -> None:
    """ConfigError if the file is somebody else's work, or cannot be written."""
    if not file.parent.is_dir():
        raise ConfigError(f"--env-file {file}: {file.parent} is no folder: make it first")
    if file.exists() and not _is_ours(file):
        raise ConfigError(
            f"--env-file {file}: is there already and was not written by the exchange: name another"
        )


def require_followable(speed: float | None) -> None:
    """ConfigError for a speed that a daemon's clock cannot be set to."""
    if speed is None or not 1 <= speed <= SPEED_MOST or speed != int(speed):
        raise ConfigError(
            f"--env-file: a daemon can follow a --speed that is a whole number from 1 to "
            f"{SPEED_MOST}: give one, or leave --env-file out"
        )


def write_env_file(
    file: Path,
    endpoints: Endpoints,
    keys: Keys,
    speed: float,
    symbols: Sequence[str],
) -> None:
    """Write it anew, readable by its owner alone; the watchlist is every symbol there is."""
    lines = {
        "ALGO_BROKER__PROVIDER": "alpaca",
        "ALGO_BROKER__TRADING_URL": endpoints.trading,
        "ALGO_BROKER__DATA_URL": endpoints.data,
        "ALGO_BROKER__TRADE_STREAM_URL": endpoints.trade_stream,
        "ALGO_BROKER__DATA_STREAM_URL": endpoints.data_stream,
        "ALGO_BROKER_API_KEY": keys.key_id,
        "ALGO_BROKER_SECRET_KEY": keys.secret,
        "ALGO_CLOCK__SOURCE": "broker",
        "ALGO_CLOCK__SPEED": f"{speed:g}",
        "ALGO_WATCHLIST": ",".join(symbols),
    }
    text = "\n".join([MARK, *(f"{name}={value}" for name, value in lines.items())]) + "\n"
    require_writable(file)
    try:
        file.unlink(missing_ok=True)
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(number, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise ConfigError(f"--env-file {file}: {error.strerror}: name another") from error


def _is_ours(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline().rstrip("\n") == MARK
    except (OSError, UnicodeDecodeError):
        return False
