"""Where answers about the ledger come from: the running daemon, else the file of the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals
from algo_trader.cli.output import warn
from algo_trader.cli.params import DateType
from algo_trader.core.errors import AlgoTraderError
from algo_trader.ledger.answers import LIMIT_MOST, Filters, filters
from algo_trader.runtime.errors import NoDaemon
from algo_trader.runtime.paths import AccountFolder, accounts

ASK_TIMEOUT_S = 60.0
"""An answer may hold all orders of a year."""
SHOWN = 20
"""Rows of a table when nobody says how many."""


class NoLedger(AlgoTraderError):
    """Nothing was traded here yet; exit 1."""


def folder_in_force(options: Globals) -> AccountFolder:
    """The account whose ledger was written last; which one is told where there are several."""
    found = accounts(options.data_dir)
    if not found:
        raise NoLedger(f"no ledger in {options.data_dir}: nothing has been traded here yet")
    if len(found) > 1:
        others = ", ".join(folder.path.name for folder in found[1:])
        warn(
            options,
            f"{found[0].path.name} is shown, the account written last; there are {others} too",
        )
    return found[0]


def found(options: Globals, kind: str, wanted: Filters) -> list[dict[str, Any]]:
    """The rows of a kind (orders, trades, positions), whoever holds the ledger."""
    try:
        rows = ask(options.data_dir, "POST", f"/{kind}", wanted.as_json(), ASK_TIMEOUT_S)[kind]
    except NoDaemon:
        try:
            folder = folder_in_force(options)
        except NoLedger as error:
            warn(options, str(error))
            return []
        from algo_trader.ledger.answers import answer
        from algo_trader.ledger.ledger import Ledger

        with Ledger.open_to_read(folder.ledger) as ledger:
            rows = answer(ledger, kind, wanted)[kind]
    return list(rows)


def row_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a verb that lists rows."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def show(
    options: Globals,
    kind: str,
    wanted: Filters,
    table: Callable[[list[dict[str, Any]]], str] | None,
) -> None:
    """Print the rows of a kind: as the table for people or, without one, as JSON."""
    wanted = filters(wanted.as_json())
    if table is None:
        click.echo(json.dumps({kind: found(options, kind, wanted)}, indent=2))
        return
    most = wanted.limit or SHOWN
    # One more than is shown tells whether there are more.
    rows = found(options, kind, wanted._replace(limit=most + 1))
    click.echo(table(rows[-most:]) if rows else f"no {kind}")
    if len(rows) > most:
        click.echo(f"(the latest {most}; for more see --limit, --since or --json)")


_OPTIONS = (
    click.option("--json", "as_document", is_flag=True, help="Print one JSON document."),
    click.option("--symbol", metavar="S", help="Of this symbol only."),
    click.option(
        "--since", type=DateType(), metavar="DATE", help="Since this session (YYYY-MM-DD)."
    ),
    click.option(
        "--limit", type=click.IntRange(min=1, max=LIMIT_MOST), metavar="N", help="The latest N."
    ),
)
