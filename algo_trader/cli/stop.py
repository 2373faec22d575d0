"""`algo-trader stop`: ask the running daemon to end in good order, and wait until it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from algo_trader.cli.client import ask, no_daemon
from algo_trader.cli.main import Globals
from algo_trader.runtime.errors import DaemonFailed, NoAnswer, NoDaemon
from algo_trader.runtime.lock import holder
from algo_trader.runtime.paths import lock_file

TIMEOUT_MAX_S = 86_400
POLL_S = 0.05


def _seconds(_: click.Context, __: click.Parameter, value: float) -> float:
    if not 0 <= value <= TIMEOUT_MAX_S:  # NaN is neither.
        raise click.BadParameter(f"give a number from 0 to {TIMEOUT_MAX_S}")
    return value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    default=30.0,
    show_default=True,
    callback=_seconds,
    metavar="S",
    help="Seconds to wait for it to have gone.",
)
@click.pass_obj
def command(options: Globals, timeout_s: float) -> None:
    """End the running daemon in good order, and return when it has gone.

    It cancels resting entries; positions stay, with their stops at the broker.

    \b
    Example, offline, for a daemon started with `algo-trader start`:
      algo-trader stop --timeout 60
    """
    pid = stop(options.data_dir, timeout_s)
    click.echo(f"the daemon (pid {pid or 'unknown'}) has stopped")


def stop(
    data_dir: Path,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], Any] = time.sleep,
) -> int:
    """Ask until it is heard, then wait until the daemon's lock is free or another's; its pid.

    NoDaemon if none is running, DaemonFailed if it refuses or has not gone in time.
    """
    lock = lock_file(data_dir)
    until = clock() + timeout_s
    pid, heard_by = holder(lock), None
    if pid is None:
        raise no_daemon(data_dir)
    while (now := holder(lock)) is not None and heard_by in (None, now):
        pid = now
        if heard_by is None:
            with suppress(NoAnswer, NoDaemon):  # Starting, or ending already.
                ask(data_dir, "POST", "/stop", {}, timeout_s=max(until - clock(), POLL_S))
                if (heard_by := holder(lock)) is None:
                    return pid
                continue
        if clock() >= until:
            raise DaemonFailed(_late(data_dir, pid, timeout_s, is_heard=heard_by is not None))
        wait(POLL_S)
    return pid


def _late(data_dir: Path, pid: int, timeout_s: float, *, is_heard: bool) -> str:
    who = f"the daemon (pid {pid or 'unknown'}) in {data_dir}"
    if is_heard:
        return (
            f"{who} has not gone after {timeout_s:g} s; it goes on shutting down: see"
            " `algo-trader status`, or `algo-trader stop` again to wait on"
        )
    return f"{who} could not be asked within {timeout_s:g} s: `kill` of its pid asks it too"
