"""Market data of Alpaca: its stream of minute bars, its bars over REST, and the live market."""

from __future__ import annotations

from typing import Protocol


class Log(Protocol):
    """Where an event goes: its name and what belongs to it, never a sentence."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event; must not raise and must not wait."""
        ...
