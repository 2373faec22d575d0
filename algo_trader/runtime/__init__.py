"""The running daemon: what keeps it alive and reachable, and what carries facts and commands.

This module, `paths`, `lock` and `errors` are cheap to import: `status` needs them and must answer
at once.
"""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """Where an event goes: its name and what belongs to it, never a sentence."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event; must not raise and must not wait."""
        ...
