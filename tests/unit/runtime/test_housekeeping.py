"""The daily jobs: each does its work, and one that fails is told and disturbs nobody.

Method: the jobs are called as the schedule would call them, on a ledger and a daemon stand-in that
are small and honest; the schedule itself is APScheduler's.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from algo_trader.core.book import Book
from algo_trader.ledger import migrate
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import examine
from algo_trader.ledger.writer import Writer
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.housekeeping import Housekeeping
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
