"""`algo-trader flatten`: close everything now."""

from __future__ import annotations

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_obj
def command(options: Globals) -> None:
    """Close every position at market, cancel resting entries, and halt: nothing is opened until
    `algo-trader resume`. Stops are canceled first, and shares sold when that is confirmed.

    \b
    Example, for a daemon started with `algo-trader start`:
      algo-trader flatten
    """
    closing = ask(options.data_dir, "POST", "/flatten", {})["closing"]
    what = ", ".join(closing) if closing else "nothing was held"
    click.echo(f"closing: {what}; halted until `algo-trader resume`")
