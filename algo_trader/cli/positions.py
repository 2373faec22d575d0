"""`algo-trader positions`: what is held, and which stops protect it."""

from __future__ import annotations

from datetime import date

import click

from algo_trader.cli.main import Globals
from algo_trader.cli.records import row_options, show
from algo_trader.cli.row_tables import positions_table
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
    """List open positions, as the running daemon or, where none runs, its ledger has them.

    --since goes by the UTC date of the opening, which is the date of its session.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data positions --json
    """
    table = None if as_document else positions_table
    show(options, "positions", Filters(symbol, since, limit), table)
