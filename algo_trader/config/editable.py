"""Overrides of settings that a ledger keeps: which may be, and how they are checked and shown.

An override is checked before it is stored, against the very bounds of the settings, and again
whenever it is read: a file may have been edited by hand, and bounds may have changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from algo_trader.config import messages
from algo_trader.config.loading import load_settings
from algo_trader.config.overrides import EDITABLE, meant, split
from algo_trader.config.settings import as_text
from algo_trader.core.errors import ConfigError

SECRET_ENDINGS = ("key", "secret", "token")
MASK = "********"


def checked(key: str, value: str) -> tuple[str, str]:
    """Key and canonical text of an override, fit to be stored.

    The key may go without its section where that is clear. ConfigError names what is wrong.
    """
    name = _editable(key)
    given = f"{name}={value}"
    # Checked alone: what else is set at this moment may be different at the next start.
    loaded = load_settings(env_file=Path(os.devnull), environ={}, overrides=[given])
    return name, as_text(loaded.settings.values()[name])


def checked_assignment(assignment: str) -> tuple[str, str]:
    """As `checked`, from `key=value`."""
    return checked(*split(assignment))


def overridden(name: str, stored: Iterable[str]) -> str:
    """The key whose override is to end: one of those stored, whatever it is, or an editable one."""
    if name in stored:
        return name  # Not only what is editable: it may stand there by somebody's hand.
    return _editable(name)


def masked(key: str, value: Any) -> Any:
    """The value of a setting as it may be shown: what is secret by its name is not."""
    is_secret = key.lower().endswith(SECRET_ENDINGS)
    return MASK if is_secret and value not in ("", None) else value


def _editable(name: str) -> str:
    found = meant(name, EDITABLE)
    if len(found) == 1:
        return found[0]
    what = "cannot be overridden in the ledger" if meant(name) else "is not a setting"
    remedy = ", elsewhere use .env or the environment" if meant(name) else ""
    raise ConfigError(
        f"{messages.quoted(name)} {what}; what can be overridden: {', '.join(EDITABLE)}{remedy}"
    )
