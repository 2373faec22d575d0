"""What may be asked of a running daemon over its control socket, and who answers.

Every answer is a JSON object. Questions about the ledger run on its own thread, as whole functions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from algo_trader.core.errors import ConfigError
from algo_trader.core.inputs import CloseAll, Halt, Resume, SettingChange
from algo_trader.core.types import ExitReason
from algo_trader.ledger import answers
from algo_trader.ledger.backup import backup_name, require_replaceable
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.control import Handler
from algo_trader.runtime.copies import back_up
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.paths import AccountFolder

REASON_MOST = 200
SNAPSHOT_PREFIX = ".verify-"
"""Of the names of copies that whoever asked for them deletes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsDesk:
    """What the daemon is lent of the settings, which it does not know itself.

    `check` gives the key and value that may be stored, or raises ConfigError; the third argument
    are the overrides in force. `apply` makes the running daemon follow the overrides.
    """

    check: Callable[[str, str | None, Mapping[str, str]], tuple[str, str | None]]
    apply: Callable[[Mapping[str, str]], None]


def handlers(
    daemon: Daemon, folder: AccountFolder, desk: SettingsDesk
) -> dict[tuple[str, str], Handler]:
    """The handlers by method and path."""
    asked = _Asked(daemon, folder, desk)
    found: dict[tuple[str, str], Handler] = {
        ("GET", "/status"): asked.status,
        ("POST", "/stop"): asked.stop,
        ("POST", "/halt"): asked.halt,
        ("POST", "/resume"): asked.resume,
        ("POST", "/flatten"): asked.flatten,
        ("GET", "/settings"): asked.settings,
        ("POST", "/settings"): asked.change_setting,
        ("POST", "/backup"): asked.backup,
        ("POST", "/verify/snapshot"): asked.snapshot,
    }
    for kind in answers.KINDS:
        found["POST", f"/{kind}"] = asked.records(kind)
    return found


class _Asked:
    """The daemon, as those who ask it see it."""

    def __init__(self, daemon: Daemon, folder: AccountFolder, desk: SettingsDesk) -> None:
        self._daemon = daemon
        self._folder = folder
        self._desk = desk

    async def status(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"pid": os.getpid(), **self._daemon.status()}

    async def stop(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self._daemon.stop("an operator asked for it")
        return {"stopping": True, "pid": os.getpid()}

    async def halt(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        reason = body.get("reason", "an operator's halt")
        if not isinstance(reason, str) or not 0 < len(reason) <= REASON_MOST:
            raise ConfigError(f"reason: give a text of at most {REASON_MOST} characters")
        await self._daemon.pump.ask(Halt(reason))
        return {"halted_because": self._daemon.engine.book.halted}

    async def resume(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._daemon.pump.ask(Resume())
        return {"halted_because": self._daemon.engine.book.halted}

    async def flatten(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Close every position at market and take no new ones until an operator resumes."""
        await self._daemon.pump.ask(Halt("an operator closed all positions"))
        await self._daemon.pump.ask(CloseAll(ExitReason.OPERATOR))
        book = self._daemon.engine.book
        closing = [held.symbol for held in book.in_order() if held.qty]
        return {"closing": closing, "halted_because": book.halted}

    async def settings(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"overrides": await self._overrides()}

    async def change_setting(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        key, value = body.get("key"), body.get("value")
        if not isinstance(key, str) or not isinstance(value, str | None):
            raise ConfigError("key: a text; value: a text, or null to end the override")
        key, value = self._desk.check(key, value, await self._overrides())
        await self._daemon.pump.ask(SettingChange(key, value))
        self._desk.apply(await self._overrides())
        return {"key": key, "value": value}

    async def _overrides(self) -> dict[str, str]:
        return await self._daemon.parts.writer.run(lambda ledger: ledger.overrides())

    def records(self, kind: str) -> Handler:
        async def answer(body: Mapping[str, Any]) -> Mapping[str, Any]:
            wanted = answers.filters(body)
            return await self._daemon.parts.writer.run(
                lambda ledger: answers.answer(ledger, kind, wanted)
            )

        return answer

    async def snapshot(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A copy for `verify` to look at; whoever asked deletes it."""
        name = f"{SNAPSHOT_PREFIX}{os.getpid()}-{datetime.now(UTC).strftime('%H%M%S%f')}.db"
        target = self._folder.path / name
        try:
            await self._daemon.parts.writer.copy(target)
        except StorageError:
            target.unlink(missing_ok=True)  # Cut short, it would only take room.
            raise
        return {"path": str(target)}

    async def backup(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A verified copy, where it was asked for or in the folder of backups."""
        wanted = body.get("path")
        if wanted is None:
            target = self._folder.backups / backup_name("trading", datetime.now(UTC))
        elif isinstance(wanted, str) and os.path.isabs(wanted):
            target = Path(wanted)
            require_replaceable(target)
        else:
            raise ConfigError("path: give an absolute path, or none for the folder of backups")
        return {"path": str(await back_up(self._daemon.parts.writer, target))}
