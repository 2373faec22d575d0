"""`algo-trader status`: what the running daemon is doing now, once or until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import Globals, Stopped
from algo_trader.core.errors import ConfigError
from algo_trader.runtime.errors import NoAnswer

REDRAW_S = 2.0
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
"""Cursor home, then the screen and what scrolled off it."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.option("--watch", is_flag=True, help="Draw it again every 2 seconds, until Ctrl-C.")
@click.pass_obj
def command(options: Globals, as_document: bool, watch: bool) -> None:
    """Tell what the running daemon is doing: market, strategies, positions, orders, P&L, risk.

    \b
    Example, offline, for a daemon started with `algo-trader start`:
      algo-trader status --json
    """

    def status() -> dict[str, Any]:
        return ask(options.data_dir, "GET", "/status")

    if watch:
        if as_document:
            raise ConfigError("--watch draws for people, --json prints one document: leave one out")
        if not sys.stdout.isatty():
            raise ConfigError("--watch needs a terminal to draw on: leave it out, or use --json")
        follow(status, lambda screen: click.echo(CLEAR + screen))
    elif as_document:
        click.echo(json.dumps(status(), indent=2))
    else:
        click.echo(_drawn(status()))


def follow(
    status: Callable[[], dict[str, Any]],
    draw: Callable[[str], None],
    wait: Callable[[float], Any] = time.sleep,
) -> None:
    """Draw the status every REDRAW_S seconds until Ctrl-C; a daemon too busy to answer is waited
    for. NoDaemon as soon as there is none.
    """
    try:
        while True:
            try:
                screen = _drawn(status())
            except NoAnswer as silence:
                screen = str(silence)
            draw(screen)
            wait(REDRAW_S)
    except Stopped as request:
        if request.number != signal.SIGINT:
            raise
    except KeyboardInterrupt:
        pass


def _drawn(status: dict[str, Any]) -> str:
    from algo_trader.cli.status_text import status_text  # Not for --json, nor without a daemon.

    return status_text(status)
