"""The daily jobs: each does its work, and one that fails is told and disturbs nobody.

Method: the jobs are called as the schedule would call them, on a ledger and a daemon stand-in that
are small and honest; the schedule itself is APScheduler's.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from recorded import record

from algo_trader.core.book import Book
from algo_trader.ledger import migrate
from algo_trader.ledger.backup import backup_name
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import examine
from algo_trader.ledger.writer import Writer
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.housekeeping import OVERDUE_PAUSE, Housekeeping
from algo_trader.runtime.paths import AccountFolder


class Told:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


def daemon_on(writer: Writer) -> Daemon:
    """What the jobs know of a daemon."""
    return cast(
        Daemon,
        SimpleNamespace(
            parts=SimpleNamespace(writer=writer),
            engine=SimpleNamespace(book=Book()),
            pump=SimpleNamespace(facts_recorded=0),
        ),
    )


def run_jobs(folder: AccountFolder, told: Told, refresh: Any, *names: str) -> None:
    """Run jobs by name on a real ledger with its writer's thread."""

    async def work() -> None:
        writer = Writer(lambda: Ledger.open(folder.ledger))
        await writer.start()
        jobs = Housekeeping(daemon_on(writer), folder, told, refresh)
        for name in names:
            await jobs.guarded(getattr(jobs, name))()
        await writer.close()

    migrate.upgrade(folder.ledger)
    asyncio.run(work())


def test_the_daily_backup_is_a_verified_copy(tmp_path: Path) -> None:
    told, folder = Told(), AccountFolder(tmp_path)
    run_jobs(folder, told, lambda: None, "back_up")
    (copy,) = folder.backups.iterdir()
    assert examine(copy).differences == []
    assert told.events == [("backed_up", {"file": str(copy), "deleted": 0})]


def test_the_summary_is_one_event(tmp_path: Path) -> None:
    told = Told()
    run_jobs(AccountFolder(tmp_path), told, lambda: None, "summarise")
    ((event, fields),) = told.events
    assert (event, fields["trades"], fields["realized"]) == ("daily_summary", 0, "0")


def test_a_job_that_fails_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    told = Told()

    def fail() -> None:
        raise OSError("no calendar")

    run_jobs(AccountFolder(tmp_path), told, fail, "renew_sessions", "summarise")
    (first, fields), (second, _) = told.events
    assert (first, second) == ("housekeeping_failed", "daily_summary")
    assert "no calendar" in str(fields["error"])


NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)


def jobs_at(folder: AccountFolder, now: datetime) -> dict[str, datetime | None]:
    """When each job runs next."""
    writer = Writer(lambda: Ledger.open(folder.ledger))
    scheduler = Housekeeping(daemon_on(writer), folder, Told(), lambda: None).schedule(now)
    return {job.id: job.trigger.get_next_fire_time(None, now) for job in scheduler.get_jobs()}


def test_the_jobs_run_after_the_close(tmp_path: Path) -> None:
    """Goal: the daily backup is on the schedule, at its hour, and nothing comes before it."""
    folder = AccountFolder(tmp_path)
    folder.backups.mkdir()
    (folder.backups / backup_name("trading", NOW - timedelta(hours=17))).touch()
    found = jobs_at(folder, NOW)
    assert found["back_up"] == NOW.replace(hour=22, minute=15)
    assert list(found) == ["back_up", "summarise", "renew_sessions"]
    assert found["back_up"] == min(at for at in found.values() if at is not None)


def test_a_backup_that_is_overdue_comes_soon(tmp_path: Path) -> None:
    """Goal: a daemon that is stopped every evening before the hour has its daily backup too.
    Method: no folder, a backup of two days ago, one of this morning.
    """
    folder = AccountFolder(tmp_path)
    assert jobs_at(folder, NOW)["overdue_backup"] == NOW + OVERDUE_PAUSE
    folder.backups.mkdir()
    (folder.backups / backup_name("trading", NOW - timedelta(days=2))).touch()
    assert "overdue_backup" in jobs_at(folder, NOW)
    (folder.backups / backup_name("trading", NOW - timedelta(hours=5))).touch()
    assert "overdue_backup" not in jobs_at(folder, NOW)


def test_a_backup_carries_a_snapshot_of_its_last_fact(tmp_path: Path) -> None:
    """Goal: what is restored starts at once, and the daily proof covers the snapshot."""
    folder = AccountFolder(tmp_path)
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(record().facts)
    run_jobs(folder, Told(), lambda: None, "back_up")
    (copy,) = folder.backups.iterdir()
    with Ledger.open(copy) as ledger:
        ledger.fold()
        assert ledger.unkept == 0
        assert ledger._mark.seq == ledger.count()


def test_the_schedule_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    async def work() -> bool:
        jobs = Housekeeping(
            daemon_on(Writer(lambda: Ledger.open(tmp_path / "x.db"))),
            AccountFolder(tmp_path),
            Told(),
            lambda: None,
        )
        task = asyncio.create_task(jobs.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(work())
