"""`algo-trader trades`: completed trades, in order of closing."""

from __future__ import annotations

from datetime import date

import click

from algo_trader.cli.main import Globals
from algo_trader.cli.records import row_options, show
from algo_trader.cli.row_tables import trades_table
from algo_trader.ledger.answers import Filters


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@row_options
@click.pass_obj
def command(
    options: Globals,
    as_document: bool,
    symbol: str | None,
    since: date | None,
    limit: int | None,
) -> None:
    """List completed trades, as the running daemon or, where none runs, its ledger has them.

    --since goes by the UTC date of a trade's exit, which is the date of its session.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data trades --since 2024-01-02 --json
    """
    table = None if as_document else trades_table
    show(options, "trades", Filters(symbol, since, limit), table)
