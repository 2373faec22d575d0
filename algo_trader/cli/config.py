"""`algo-trader config`: every setting with its origin, and overrides that the ledger keeps."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from decimal import Decimal
from typing import Any

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals
from algo_trader.cli.records import NoLedger, folder_in_force
from algo_trader.cli.tables import columns
from algo_trader.config.editable import checked_assignment, masked, overridden
from algo_trader.config.loading import LoadedSettings, load_settings
from algo_trader.config.settings import as_text
from algo_trader.core.errors import ConfigError
from algo_trader.core.types import text
from algo_trader.runtime.errors import NoDaemon


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.option(
    "--set", "assignment", metavar="KEY=VALUE", help="Override a setting, in the ledger."
)
@click.option("--unset", "unset", metavar="KEY", help="End the override of a setting.")
@click.pass_obj
def command(
    options: Globals, as_document: bool, assignment: str | None, unset: str | None
) -> None:
    """Show every setting and where its value comes from: default, .env, environment or ledger.

    Risk limits, velez.enabled, log.level and the watchlist can be overridden in the ledger. A
    running daemon follows them at once, but for the watchlist, which holds from the next start on.
    A backtest does not know them.

    \b
    Example, offline:
      algo-trader config --json
    """
    if assignment is not None and unset is not None:
        raise ConfigError("--set and --unset exclude each other: give them one after the other")
    if assignment is not None:
        key, value = checked_assignment(assignment)
        _change(options, key, value)
        _tell_change(as_document, key, value)
    elif unset is not None:
        key = overridden(unset, _overrides(options))
        _change(options, key, None)
        _tell_change(as_document, key, None)
    else:
        loaded = load_settings(
            env_file=options.env_file, environ=os.environ, stored=_overrides(options)
        )
        click.echo(json.dumps(_document(loaded), indent=2) if as_document else _table(loaded))


def _overrides(options: Globals) -> dict[str, str]:
    """The overrides in force: of the running daemon, else of the ledger, none without one."""
    try:
        return dict(ask(options.data_dir, "GET", "/settings")["overrides"])
    except NoDaemon:
        pass
    with suppress(NoLedger):
        path = folder_in_force(options).ledger
        from algo_trader.ledger.ledger import Ledger

        with Ledger.open_to_read(path) as ledger:
            return ledger.overrides()
    return {}


def _change(options: Globals, key: str, value: str | None) -> None:
    """Have the change recorded: by the daemon or, where none runs, in its ledger."""
    try:
        ask(options.data_dir, "POST", "/settings", {"key": key, "value": value})
    except NoDaemon:
        path = folder_in_force(options).ledger
        from algo_trader.ledger.ledger import Ledger

        with Ledger.open(path) as ledger:
            ledger.override(key, value)


def _tell_change(as_document: bool, key: str, value: str | None) -> None:
    if as_document:
        click.echo(json.dumps({"key": key, "value": value}, indent=2))
    else:
        click.echo(f"{key} is no longer overridden" if value is None else f"{key} = {value}")


def _document(loaded: LoadedSettings) -> dict[str, Any]:
    values = loaded.settings.values()
    return {
        "settings": {
            key: {"value": masked(key, _plain(values[key])), "origin": str(origin)}
            for key, origin in loaded.origins.items()
        },
        "env_file": None if loaded.env_file is None else str(loaded.env_file),
    }


def _plain(value: Any) -> Any:
    """As JSON has it: numbers with a fraction are text."""
    return text(value) if isinstance(value, Decimal) else value


def _table(loaded: LoadedSettings) -> str:
    values = loaded.settings.values()
    rows = [("setting", "value", "from")]
    rows += [
        (key, str(masked(key, as_text(values[key]))), str(origin))
        for key, origin in loaded.origins.items()
    ]
    return columns(rows, left=3)
