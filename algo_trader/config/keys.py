"""The broker's API keys: secrets, so they are no settings and are shown by nothing.

Read from the environment, then from `.env`, under the names of this program or, where those are
not set, under Alpaca's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.config.env_file import KEY_NAMES, OTHER_KEY_NAMES, env_file_in_force, lines_of
from algo_trader.core.errors import ConfigError


def load_keys(env_file: Path | None, environ: Mapping[str, str]) -> Keys:
    """The key and its secret, both under names of one kind; ConfigError names what is missing."""
    problems: list[str] = []
    found: dict[str, str] = {}
    path = env_file_in_force(env_file)
    if path is not None:
        found = {line.name: line.value for line in lines_of(path, problems, OTHER_KEY_NAMES)}
    if problems:
        raise ConfigError("\n".join(problems))
    found |= environ
    for names in (KEY_NAMES, OTHER_KEY_NAMES):
        given = [found.get(name, "").strip() for name in names]
        if any(given):
            for name, value in zip(names, given, strict=True):
                if not value:
                    raise ConfigError(
                        f"{name} is missing: set it beside {' and '.join(set(names) - {name})} "
                        f"({' and '.join(KEY_NAMES)} come before {' and '.join(OTHER_KEY_NAMES)})"
                    )
            return Keys(*given)
    raise ConfigError(
        f"no keys for Alpaca: set {' and '.join(KEY_NAMES)} in .env (see .env.example), or start "
        "with --broker embedded, which needs none"
    )
