"""The daemon's log: structlog, configured once, and the pen that writes its lines.

An event has a name and fields, never a sentence. Writing must not hold up trading, whatever becomes
of the stream (a full disk, a pipe nobody reads, a terminal stopped with Ctrl-S): lines go through a
bounded queue to a thread of their own, what does not fit is dropped and counted.

The libraries' own log records join the same stream, so that each of its lines is one of ours.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import IO, Any

import structlog

from algo_trader.core.errors import AlgoTraderError
from algo_trader.core.types import Instant
from algo_trader.runtime.log_lines import TRACE, json_line, text_line

LEVELS = ("debug", "info", "warning", "error", "critical")
EVENT_LEVELS: Mapping[str, str] = {
    "signal_refused": "warning",
    "order_refused": "warning",
    "outcome_unknown": "warning",
    "cancel_refused": "warning",
    "cancel_unanswered": "warning",
    "abandoned": "warning",
    "limit_tripped": "warning",
    "discrepancy": "warning",
    "shares_adopted": "critical",
    "stop_edited": "warning",
    "stop_declined": "critical",
    "halted": "critical",
    "uncovered": "critical",
    "control_refused": "warning",
    "control_failed": "error",
    "control_handler_failed": "error",
}
"""Levels of events by name; every other event is an info. A field `level` overrides."""
RESERVED = ("event", "time")
CAPACITY = 10_000
"""Lines that may wait to be written."""
CLOSE_WAIT_S = 2.0


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def wants_json(stream: IO[str], form: str) -> bool:
    """Whether lines are JSON: `form` is json, text or auto, which is text on a terminal only."""
    return form == "json" or (form == "auto" and not stream.isatty())


class EventLog:
    """Takes events: `log("filled", symbol="AAPL", qty=qty)`. Never raises, never waits.

    The level is that of the event's name, unless a field `level` says another. An error that is
    none of ours brings its traceback along.
    """

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event."""
        try:
            level = fields.pop("level", None) or EVENT_LEVELS.get(event, "info")
            said = {f"{k}_" if k in RESERVED else k: value for k, value in fields.items()}
            error = said.get("error")
            if isinstance(error, BaseException) and not isinstance(error, AlgoTraderError):
                said[TRACE] = "".join(traceback.format_exception(error)).rstrip()
            name = str(level) if level in LEVELS else "error"
            getattr(structlog.get_logger(), name)(event, **said)
        except Exception:  # noqa: BLE001 - a log that fails must not stop a trade.
            pass


class Logs:
    """A configured log. `log` takes events; `lost` counts lines that were not written."""

    def __init__(self, pen: _Pen, processors: list[Any], bridge: logging.Handler) -> None:
        self.log = EventLog()
        self._pen = pen
        self._processors = processors
        self._bridge = bridge

    @property
    def lost(self) -> int:
        """Lines that the stream did not take, or that came too fast."""
        return self._pen.lost

    def set_level(self, level: str) -> None:
        """Write events of this level and above from now on."""
        structlog.configure(
            processors=self._processors,
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=lambda *_: self._pen,
            cache_logger_on_first_use=False,  # Else this method would have no effect.
        )

    def close(self, wait_s: float = CLOSE_WAIT_S) -> None:
        """Write what waits, as far as the stream takes it in that time. Later events are lost."""
        root = logging.getLogger()
        root.removeHandler(self._bridge)
        self._pen.close(wait_s)


def configure(
    stream: IO[str],
    *,
    as_json: bool,
    level: str = "info",
    market_time: Callable[[], Instant | None] = lambda: None,
    clock: Callable[[], datetime] = utc_now,
) -> Logs:
    """Send all events to `stream`, as JSON or for people; structlog is set up for the process.

    `market_time` dates events that do not say `at` themselves, None while it is not known.
    """
    is_coloured = not as_json and stream.isatty()

    def render(_: Any, name: str, event: MutableMapping[str, Any]) -> str:
        event["time"] = clock()
        event["level"] = name
        if "at" not in event and (now := market_time()) is not None:
            event["at"] = now
        return json_line(event) if as_json else text_line(event, is_coloured=is_coloured)

    pen = _Pen(stream)
    log = EventLog()
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(old)
    bridge = _Bridge(log)
    root.addHandler(bridge)
    atexit.register(pen.close, CLOSE_WAIT_S)
    logs = Logs(pen, [render], bridge)
    logs.set_level(level)
    return logs


class _Pen:
    """Writes lines to a stream on a thread of its own, begun with the first line."""

    def __init__(self, stream: IO[str]) -> None:
        self.lost = 0
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._gate = threading.Lock()
        self._is_closed = False

    def msg(self, line: str) -> None:
        """Take a line."""
        with self._gate:
            if not self._is_closed:
                if self._thread.ident is None:
                    self._thread.start()
                try:
                    self._lines.put_nowait(line)
                    return
                except queue.Full:
                    pass
            self.lost += 1

    debug = info = warning = error = critical = msg

    def close(self, wait_s: float) -> None:
        """Take no more lines; wait until those there are written, or the time is over."""
        with self._gate:
            if self._is_closed:
                return
            self._is_closed = True
        atexit.unregister(self.close)
        with self._gate:
            is_begun = self._thread.ident is not None
        if is_begun:
            try:
                self._lines.put(None, timeout=wait_s)
            except queue.Full:
                return
            self._thread.join(wait_s)

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                try:
                    self._stream.write(line + "\n")
                except UnicodeEncodeError:
                    self._stream.write(line.encode("ascii", "backslashreplace").decode() + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except Exception:  # noqa: BLE001 - there is nowhere left to tell it.
                self.lost += 1


class _Bridge(logging.Handler):
    """Passes the libraries' warnings on as events."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower()
        fields: dict[str, Any] = {"level": level if level in LEVELS else "warning"}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = record.exc_info[1]
        try:
            words = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's slip in its own message.
            words = str(record.msg)
        self._log("library", source=record.name, message=words, **fields)
