"""The daemon's process: its tasks, its signals, its control socket, and the order of its end.

SIGTERM and SIGINT mean `stop`, and so does a terminal that goes away (SIGHUP); a second one ends
the process at once, and nothing is lost, because nothing that was told to anybody is only in
memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from algo_trader.core.errors import AlgoTraderError, CoreError
from algo_trader.runtime import Log
from algo_trader.runtime.control import ControlServer, Handler
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.housekeeping import Housekeeping
from algo_trader.runtime.supervisor import Kind, Supervisor

EXIT_AT_ONCE = 1
SAME_REQUEST_S = 1.0
"""Signals within this time ask once: service managers send each to the group as well."""


async def live(
    daemon: Daemon,
    make_handlers: Callable[[Daemon], Mapping[tuple[str, str], Handler]],
    housekeeping: Housekeeping,
    *,
    socket: Path,
    log: Log,
) -> None:
    """One whole life. Returns after a graceful end; raises what ended the daemon otherwise: a
    CoreError for what nobody foresaw, since starting again is safe.
    """
    await daemon.prepare()
    housekeeping.clear()
    # What exists by now stays: the collector need not look at a year of bars again and again.
    gc.collect()
    gc.freeze()
    supervisor = Supervisor(log)
    supervise(daemon, supervisor)
    supervisor.add("housekeeping", housekeeping.run, Kind.RESTARTED)
    control = ControlServer(socket, make_handlers(daemon), log)
    await control.start()
    _listen_to_signals(daemon, supervisor)
    try:
        await carry(daemon, supervisor, log)
    finally:
        await control.close()
        await daemon.parts.writer.close()
        log("ended")


def supervise(daemon: Daemon, supervisor: Supervisor) -> None:
    """Add what runs for the whole of a prepared daemon's life."""
    supervisor.add("pump", daemon.pump.run, Kind.FATAL)
    supervisor.add("ledger", daemon.watch_ledger, Kind.FATAL)
    supervisor.add("heartbeat", daemon.heartbeat, Kind.RESTARTED)
    if daemon.remote is not None:
        for name, run in daemon.remote.tasks():
            supervisor.add(name, run, Kind.RESTARTED)


async def carry(daemon: Daemon, supervisor: Supervisor, log: Log) -> None:
    """Trade until somebody or something wants the end, and come to it in good order if that is
    possible. Raises as `live` does.
    """
    watching = asyncio.create_task(supervisor.run())
    trading = asyncio.create_task(daemon.trade())
    stopping = asyncio.create_task(_asked_to_stop(daemon, supervisor))
    await asyncio.wait({watching, trading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if trading.done() and not trading.cancelled() and trading.exception() is None:
        await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    trading.cancel()
    error = (await asyncio.gather(trading, return_exceptions=True))[0]
    if not watching.done():
        await daemon.shut_down()  # Also after an error: what rests must not fill unwatched.
    supervisor.end()
    failure = await watching
    stopping.cancel()
    if daemon.pump.mistake is not None:
        raise daemon.pump.mistake
    found = error if isinstance(error, Exception) else failure and failure.error
    if isinstance(found, AlgoTraderError):
        raise found
    if found is not None:
        log("broken", level="critical", error=found)
        raise CoreError(f"{type(found).__name__}: {found}") from found
    if failure is not None:
        raise CoreError(str(failure))
    if supervisor.stop_reason is not None:  # In good order, but not because it was wanted.
        raise CoreError(supervisor.stop_reason)


async def _asked_to_stop(daemon: Daemon, supervisor: Supervisor) -> None:
    """Returns when an operator, a signal, the market's end or the supervisor wants the end."""
    waiting = {
        asyncio.create_task(daemon.stopping.wait()),
        asyncio.create_task(supervisor.stop_requested.wait()),
    }
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _listen_to_signals(daemon: Daemon, supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    asked_at: list[float] = []

    def hear(number: signal.Signals) -> None:
        now = loop.time()
        if not asked_at:
            daemon.stop(f"{number.name} came")
        elif now - asked_at[-1] >= SAME_REQUEST_S:
            os._exit(EXIT_AT_ONCE)
        asked_at.append(now)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        is_nohup = number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
        if not is_nohup:
            loop.add_signal_handler(number, hear, number)
