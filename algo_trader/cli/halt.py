"""`algo-trader halt`: no new positions until an operator resumes."""

from __future__ import annotations

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--reason", default="an operator's halt", show_default=True, help="Kept in the ledger."
)
@click.pass_obj
def command(options: Globals, reason: str) -> None:
    """Take no new positions until `algo-trader resume`.

    Resting entries are canceled, positions keep their stops and are managed. The halt is kept in
    the ledger and survives a restart.

    \b
    Example, for a daemon started with `algo-trader start`:
      algo-trader halt --reason "earnings tonight"
    """
    answer = ask(options.data_dir, "POST", "/halt", {"reason": reason})
    click.echo(f"halted: {answer['halted_because']}")
