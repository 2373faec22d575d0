"""`algo-trader resume`: end a halt."""

from __future__ import annotations

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_obj
def command(options: Globals) -> None:
    """End a halt, an operator's or the program's own: look at `status` and put right first what it
    was for. Stops that somebody has canceled twice at the broker are placed again.

    \b
    Example, for a daemon started with `algo-trader start`:
      algo-trader resume
    """
    ask(options.data_dir, "POST", "/resume", {})
    click.echo("resumed: entries are possible again, unless `status` says otherwise")
