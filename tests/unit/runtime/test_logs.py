"""The log as the daemon uses it: never raises, never waits, filters by level, one stream for all.

Method: streams of our own making, one of them stuck until the test lets it go; closing waits for
the writing thread, so no test sleeps.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any

import pytest

from algo_trader.core.errors import CoreError
from algo_trader.runtime.log_lines import TRACE
from algo_trader.runtime.logs import CAPACITY, Logs, configure, wants_json

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
AT = 1_704_205_800


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


Maker = Callable[..., Logs]


@pytest.fixture
def make() -> Iterator[Maker]:
    """Configures logs, and closes them after the test."""
    made: list[Logs] = []

    def configured(stream: IO[str], *, as_json: bool = True, **more: Any) -> Logs:
        made.append(configure(stream, as_json=as_json, clock=lambda: WHEN, **more))
        return made[-1]

    yield configured
    for logs in made:
        logs.close()


def lines(stream: io.StringIO, logs: Logs) -> list[dict[str, Any]]:
    """What was written, after everything was."""
    logs.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_become_lines(make: Maker) -> None:
    """Goal: fields arrive, dated by the wall clock and by market time."""
    stream = io.StringIO()
    logs = make(stream, market_time=lambda: AT)
    logs.log("filled", symbol="AAPL", qty=Decimal("10.0"))
    logs.log("filled", at=AT + 1)
    assert lines(stream, logs) == [
        {
            "time": "2026-05-04T03:02:01Z",
            "level": "info",
            "event": "filled",
            "at": "2024-01-02T14:30:00Z",
            "symbol": "AAPL",
            "qty": "10",
        },
        {
            "time": "2026-05-04T03:02:01Z",
            "level": "info",
            "event": "filled",
            "at": "2024-01-02T14:30:01Z",
        },
    ]


def test_levels(make: Maker) -> None:
    """Goal: an event's own level, another where it is asked for, and the filter, changed while it
    runs.
    """
    stream = io.StringIO()
    logs = make(stream, level="warning")
    for event in ("filled", "order_refused", "halted"):
        logs.log(event)
    logs.log("filled", level="critical")
    logs.log("odd", level="nonsense")
    logs.set_level("debug")
    logs.log("detail", level="debug")
    logs.set_level("error")
    logs.log("order_refused")
    found = [(line["event"], line["level"]) for line in lines(stream, logs)]
    assert found == [
        ("order_refused", "warning"),
        ("halted", "critical"),
        ("filled", "critical"),
        ("odd", "error"),
        ("detail", "debug"),
    ]


def test_reserved_names_do_not_collide(make: Maker) -> None:
    """Goal: a field cannot take the place of the event's name or time."""
    stream = io.StringIO()
    logs = make(stream)
    logs.log("a", event="b", time="c")
    (line,) = lines(stream, logs)
    assert (line["event"], line["event_"], line["time_"]) == ("a", "b", "c")


def test_a_percent_sign_is_no_format(make: Maker) -> None:
    """Goal: outside text is never a format string."""
    stream = io.StringIO()
    logs = make(stream)
    logs.log("100 %s %d", reason="%(x)s {y}")
    (line,) = lines(stream, logs)
    assert (line["event"], line["reason"]) == ("100 %s %d", "%(x)s {y}")


def raised(error: Exception) -> Exception:
    """The error with the traceback of having been raised."""
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - that is what it is made for.
        return caught


def test_errors_bring_their_traceback(make: Maker) -> None:
    """Goal: of a mistake one sees where; of an error of ours its message is enough."""
    stream = io.StringIO()
    logs = make(stream)
    logs.log("control_handler_failed", error=raised(RuntimeError("why")))
    logs.log("control_failed", error=raised(CoreError("known")))
    mistake, known = lines(stream, logs)
    assert mistake["error"] == "RuntimeError: why"
    assert mistake["level"] == "error"
    assert "in raised" in mistake[TRACE]
    assert known["error"] == "CoreError: known"
    assert TRACE not in known


def test_text_on_a_terminal(make: Maker) -> None:
    """Goal: colour on a terminal only."""
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        logs = make(stream, as_json=False, market_time=lambda: AT)
        logs.log("halted", reason="loss")
        logs.close()
    assert file.getvalue() == "14:30:00Z CRITICAL halted reason=loss\n"
    assert terminal.getvalue() == "\x1b[1;31m14:30:00Z CRITICAL halted reason=loss\x1b[0m\n"


def test_which_form() -> None:
    """Goal: JSON where nobody looks, unless asked otherwise."""
    assert wants_json(io.StringIO(), "auto")
    assert not wants_json(Terminal(), "auto")
    assert wants_json(Terminal(), "json")
    assert not wants_json(io.StringIO(), "text")


def test_libraries_join_the_stream(make: Maker) -> None:
    """Goal: a library's warning is a line of ours; its chatter, and its broken format, are not in
    the way; after closing nothing of ours is left on the root logger.
    """
    stream = io.StringIO()
    before = list(logging.getLogger().handlers)
    make(io.StringIO())
    logs = make(stream)
    library = logging.getLogger("some.library")
    library.setLevel(logging.DEBUG)
    library.debug("chatter")
    library.warning("slow: %s s", 3)
    bad = logging.LogRecord("some.library", logging.ERROR, "", 1, "bad %d", ("format",), None)
    logging.getLogger().handlers[-1].handle(bad)  # Only ours: the test runner's would raise.
    library.error("failed", exc_info=raised(RuntimeError("why")))
    slow, odd, failed = lines(stream, logs)
    assert slow == {
        "time": "2026-05-04T03:02:01Z",
        "level": "warning",
        "event": "library",
        "source": "some.library",
        "message": "slow: 3 s",
    }
    assert odd["message"] == "bad %d"
    assert "why" in failed[TRACE]
    assert logging.getLogger().handlers == before


class Broken(io.StringIO):
    """Takes nothing."""

    def write(self, _: str) -> int:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")


def test_a_stream_that_fails(make: Maker) -> None:
    """Goal: nothing is raised, and what was lost is counted."""
    logs = make(Broken())
    for _ in range(3):
        logs.log("filled")
    logs.close()
    assert logs.lost == 3
    logs.log("filled")  # After the end.
    assert logs.lost == 4


class Ascii(io.TextIOWrapper):
    """A stream of an old terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")


def test_a_stream_of_few_characters(make: Maker) -> None:
    """Goal: a symbol of a currency does not cost the line."""
    stream = Ascii()
    logs = make(stream, as_json=False)
    logs.log("note", words="5\N{EURO SIGN}")
    logs.close()
    stream.seek(0)
    assert stream.read() == "03:02:01Z note words=5\\u20ac\n"
    assert logs.lost == 0


class Stuck(io.StringIO):
    """Stops in its first write until it is let go, as a pipe does that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def write(self, line: str) -> int:
        """Wait, then write."""
        self.reached.set()
        self.go.wait()
        return super().write(line)


def test_a_stuck_stream_holds_nobody_up(make: Maker) -> None:
    """Goal: events go on being taken; beyond the queue they are dropped and counted; what was in
    it is written once the stream goes on.
    """
    stream = Stuck()
    logs = make(stream)
    logs.log("first")
    stream.reached.wait()
    for _ in range(CAPACITY + 7):
        logs.log("filled")
    assert logs.lost == 7
    stream.go.set()
    assert len(lines(stream, logs)) == 1 + CAPACITY


def test_closing_a_stuck_stream_ends(make: Maker) -> None:
    """Goal: a daemon ends though nobody reads its log."""
    stream = Stuck()
    logs = make(stream)
    logs.log("first")
    stream.reached.wait()
    logs.close(wait_s=0.01)
    logs.close()
    assert stream.getvalue() == ""
    stream.go.set()


def test_events_of_many_threads_are_whole_lines(make: Maker) -> None:
    """Goal: lines do not mix."""
    stream = io.StringIO()
    logs = make(stream)

    def tell(n: int) -> None:
        for _ in range(200):
            logs.log("e", n=n)

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lines(stream, logs)
    assert sorted(line["n"] for line in found) == sorted(n for n in range(8) for _ in range(200))
