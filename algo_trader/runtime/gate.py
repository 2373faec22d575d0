"""What stands in the way of new positions: while anything does, no entry leaves.

Each reason has a name, such as trade_stream or clock, and a text that says what is wrong. Reducing
orders never ask here.
"""

from __future__ import annotations

from collections.abc import Callable

from algo_trader.runtime import Log


class Gate:
    """Told reasons come and go; whoever listens hears when entries become possible or not."""

    def __init__(self, log: Log) -> None:
        self._tell: Callable[[bool], None] = lambda is_open: None
        self._log = log
        self.reasons: dict[str, str] = {}
        """What keeps the gate closed, by name."""

    def listen(self, tell: Callable[[bool], None]) -> None:
        """Have `tell` called with whether the gate is open, at every change."""
        self._tell = tell

    @property
    def is_open(self) -> bool:
        """Whether new positions may be opened."""
        return not self.reasons

    def close(self, name: str, why: str, *, level: str = "warning") -> None:
        """Something stands in the way, or its text has changed."""
        was_open = self.is_open
        if self.reasons.get(name) != why:
            self._log("entries_closed", level=level, cause=name, reason=why)
        self.reasons[name] = why
        if was_open:
            self._tell(False)

    def open(self, name: str, *, level: str = "info") -> None:
        """It no longer does."""
        if self.reasons.pop(name, None) is None:
            return
        self._log("entries_cleared", level=level, cause=name, left=",".join(self.reasons))
        if self.is_open:
            self._tell(True)
