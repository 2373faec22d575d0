"""What is done by the wall clock, beside trading: the daily backup, summary and table of sessions.

Owns the schedule (APScheduler, in UTC). A job that fails is told and tried again the next day: it
must not touch trading. A daemon that never runs at the hour of the backup makes it soon after its
start, when the last one is older than a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from algo_trader.core.types import text
from algo_trader.ledger.backup import backup_name, keep_last, newest
from algo_trader.runtime import Log
from algo_trader.runtime.copies import back_up
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.handlers import SNAPSHOT_PREFIX
from algo_trader.runtime.paths import AccountFolder

BACKUPS_KEPT = 14
DAILY_UTC = (22, 15)
"""Hour and minute: after the close of the exchange, summer and winter."""
OVERDUE_AFTER = timedelta(days=1)
OVERDUE_PAUSE = timedelta(minutes=2)
"""How long after its start a daemon makes the backup that is overdue: trading comes first."""


class Housekeeping:
    """The jobs of one account; `run` keeps them going until it is cancelled."""

    def __init__(
        self,
        daemon: Daemon,
        folder: AccountFolder,
        log: Log,
        refresh_sessions: Callable[[], object],
    ) -> None:
        self._daemon = daemon
        self._folder = folder
        self._log = log
        self._refresh_sessions = refresh_sessions

    def clear(self) -> None:
        """Delete what copies that were cut short have left; before anybody can ask for one."""
        snapshots = self._folder.path.glob(f"{SNAPSHOT_PREFIX}*.db*")
        partial = self._folder.backups.glob("trading-*.db.partial*")
        for left in (*snapshots, *partial):
            with suppress(OSError):
                left.unlink()

    async def run(self) -> None:
        """Start the schedule and wait."""
        scheduler = self.schedule(datetime.now(UTC))
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    def schedule(self, now: datetime) -> AsyncIOScheduler:
        """The jobs and when they run, from `now` on."""
        scheduler = AsyncIOScheduler(timezone=UTC)
        hour, minute = DAILY_UTC
        for number, job in enumerate((self.back_up, self.summarise, self.renew_sessions)):
            trigger = CronTrigger(hour=hour, minute=minute + number, timezone=UTC)
            scheduler.add_job(
                self.guarded(job), trigger, id=job.__name__, coalesce=True, misfire_grace_time=3600
            )
        if newest(self._folder.backups, "trading") < backup_name("trading", now - OVERDUE_AFTER):
            soon = DateTrigger(now + OVERDUE_PAUSE, timezone=UTC)
            scheduler.add_job(
                self.guarded(self.back_up), soon, id="overdue_backup", misfire_grace_time=3600
            )
        return scheduler

    async def back_up(self) -> None:
        """A verified copy of the ledger; the oldest beyond BACKUPS_KEPT are deleted.

        The snapshot of the fold is made anew first: the market is closed, and the copy proves it.
        """
        folder, writer = self._folder.backups, self._daemon.parts.writer
        target = folder / backup_name("trading", datetime.now(UTC))
        await writer.keep_fold()
        await back_up(writer, target)
        gone = await asyncio.to_thread(keep_last, folder, "trading", BACKUPS_KEPT)
        self._log("backed_up", file=str(target), deleted=len(gone))

    async def summarise(self) -> None:
        """The day in one line."""
        book = self._daemon.engine.book
        self._log(
            "daily_summary",
            session=None if book.day.date is None else book.day.date.isoformat(),
            trades=len(book.day.trades),
            realized=text(book.day.realized),
            cash=text(book.cash),
            positions=book.positions,
            facts=self._daemon.pump.facts_recorded,
        )

    async def renew_sessions(self) -> None:
        """The table of sessions reaches far enough ahead for the next start, on its own thread."""
        await asyncio.to_thread(self._refresh_sessions)

    def guarded(self, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The job as the schedule runs it: whatever it raises is told, and goes no further."""

        async def run() -> None:
            try:
                await job()
            except Exception as error:  # noqa: BLE001 - told, and tried again tomorrow.
                self._log("housekeeping_failed", level="error", error=error)

        run.__name__ = getattr(job, "__name__", "job")
        return run
