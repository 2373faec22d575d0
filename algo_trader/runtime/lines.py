"""The connections to the outside, each with its state, and what a change of it means.

A line that is not connected closes the gate for entries under its name. One that is refused (keys,
plan, another connection of the same account) is an alert: nothing mends it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from algo_trader.core.ports import LineState, TellLine
from algo_trader.runtime import Log
from algo_trader.runtime.gate import Gate

TRADE_STREAM = "trade_stream"
MARKET_DATA = "market_data"


class Line:
    """One connection; `reconnects` counts how often it came back."""

    def __init__(self, name: str, gate: Gate, log: Log, clock: Callable[[], float]) -> None:
        self.name = name
        self.state = LineState.CONNECTING
        self.detail = "not tried yet"
        self.reconnects = 0
        self.longest_gap_s = 0.0
        self._gate = gate
        self._log = log
        self._clock = clock
        self._since = clock()
        self._gone_at: float | None = None
        gate.close(name, "not connected yet", level="debug")

    def tell(self, state: LineState, detail: str) -> None:
        """Take a change of state."""
        if (state, detail) == (self.state, self.detail):
            return
        before, now = self.state, self._clock()
        self.state, self.detail = state, detail
        if state is not before:
            self._since = now
        if state is LineState.CONNECTED:
            if self._gone_at is not None:
                self.reconnects += 1
                self.longest_gap_s = max(self.longest_gap_s, now - self._gone_at)
                self._gone_at = None
            self._log("line_connected", line=self.name)
            self._gate.open(self.name, level="debug")
            return
        if before is LineState.CONNECTED:
            self._gone_at = now
        is_refused = state is LineState.REFUSED
        if state is not LineState.CONNECTING or before is LineState.CONNECTED:
            level = "critical" if is_refused else "warning"
            self._log(f"line_{state}", level=level, line=self.name, reason=detail)
        self._gate.close(self.name, f"{state}: {detail}", level="debug")

    def shown(self) -> dict[str, Any]:
        """For `status`."""
        return {
            "connected": self.state is LineState.CONNECTED,
            "state": str(self.state),
            "detail": self.detail,
            "since_s": round(self._clock() - self._since, 1),
            "reconnects": self.reconnects,
            "longest_gap_s": round(self.longest_gap_s, 2),
        }


class Lines:
    """Every line of a daemon; `on_return` is called when one is connected again."""

    def __init__(
        self, gate: Gate, log: Log, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gate = gate
        self._log = log
        self._clock = clock
        self._lines: dict[str, Line] = {}

    def add(self, name: str, then: Callable[[LineState], None] | None = None) -> TellLine:
        """A line of that name; what it returns takes its states, `then` hears them after."""
        line = self._lines[name] = Line(name, self._gate, self._log, self._clock)

        def tell(state: LineState, detail: str) -> None:
            line.tell(state, detail)
            if then is not None:
                then(state)

        return tell

    def state(self, name: str) -> LineState | None:
        """The state of a line; None where there is none of that name."""
        line = self._lines.get(name)
        return None if line is None else line.state

    def shown(self, name: str) -> dict[str, Any] | None:
        """A line for `status`; None where there is none of that name."""
        line = self._lines.get(name)
        return None if line is None else line.shown()
