"""What the live market is given: time, a stream, and somebody to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from algo_trader.core.ports import TellLine
from algo_trader.core.types import Instant
from algo_trader.feeds.alpaca.messages import Batch

Hear: TypeAlias = Callable[[Batch], None]
"""Given what a frame held, at once and in order; may not wait."""


class MarketClock(Protocol):
    """Market time."""

    def now(self) -> Instant:
        """Whole seconds."""
        ...

    def precise(self) -> float:
        """The same with its fraction."""
        ...


class BarSource(Protocol):
    """A stream of bars that connects again by itself."""

    async def run(self) -> None:
        """Go on for ever."""
        ...

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""
        ...

    @property
    def bad(self) -> Mapping[str, int]:
        """Frames and messages that were not believed, by kind."""
        ...


class OpenStream(Protocol):
    """Makes the stream, given who hears it and who is told its states."""

    def __call__(self, *, hear: Hear, tell: TellLine) -> BarSource:
        """The stream, not yet connected."""
        ...


TellFresh: TypeAlias = Callable[[bool, str], None]
"""Told each change of `is_fresh`, with the reason if it is not; and at the start that it is not."""
