"""What keeps entries back, reason by reason; the lines to the outside; shares without a stop.

Method: the real gate, lines and cover, with a log that is a list and a clock that is a number.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from pump_kit import ENTRY, STOP, Bench, accepted, filled, running

from algo_trader.core.inputs import Reports
from algo_trader.core.ports import LineState
from algo_trader.runtime.cover import UNCOVERED_MOST_S, Cover, uncovered
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import Lines


class Notes:
    """A log: events with their fields, in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))

    def events(self, level: str | None = None) -> list[str]:
        """Names of the events, of one level if it is given."""
        return [
            event for event, fields in self.lines if level in (None, fields.get("level", "info"))
        ]


class Door:
    """A gate with everything it tells."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.gate = Gate(self.notes)
        self.told: list[bool] = []
        self.gate.listen(self.told.append)


# -- the gate --


def test_it_is_open_when_nothing_is_in_the_way() -> None:
    """Goal: told of changes of the whole alone, once each, whatever the order of the reasons.

    Method: two reasons that overlap, cleared in both orders.
    """
    door = Door()
    assert door.gate.is_open
    for order in (("a", "b"), ("b", "a")):
        door.gate.close("a", "first")
        door.gate.close("b", "second")
        assert door.told == [False]
        for name in order:
            assert not door.gate.is_open
            door.gate.open(name)
        assert door.gate.is_open
        assert door.told == [False, True]
        door.told.clear()


def test_what_is_said_again_is_no_news() -> None:
    """Goal: neither a second closing nor an opening of what is open is told or logged.

    Method: the same reason twice, then with other words; open what was never closed.
    """
    door = Door()
    door.gate.open("a")
    for why in ("x", "x", "y"):
        door.gate.close("a", why, level="critical")
    assert door.gate.reasons == {"a": "y"}
    assert [fields["reason"] for _, fields in door.notes.lines] == ["x", "y"]
    door.gate.open("a")
    door.gate.open("a")
    assert door.told == [False, True]
    assert door.notes.events() == ["entries_closed", "entries_closed", "entries_cleared"]


def test_what_is_left_is_said() -> None:
    """Goal: who reads the log knows why nothing is bought. Method: open one of two."""
    door = Door()
    door.gate.close("a", "x")
    door.gate.close("b", "y")
    door.gate.open("a")
    assert door.notes.lines[-1] == (
        "entries_cleared",
        {"level": "info", "cause": "a", "left": "b"},
    )


# -- lines --


class Wires(Door):
    """Lines at such a gate; `now` is their clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.lines = Lines(self.gate, self.notes, clock=lambda: self.now)
        self.heard: list[LineState] = []
        self.tell = self.lines.add("wire", self.heard.append)


def test_a_line_closes_the_gate_until_it_is_there() -> None:
    """Goal: closed from the very beginning, open while connected, closed again by any other state.

    Method: each state after a connection.
    """
    wires = Wires()
    assert list(wires.gate.reasons) == ["wire"]
    for state in (LineState.LOST, LineState.REFUSED, LineState.CONNECTING):
        wires.tell(LineState.CONNECTED, "")
        assert wires.gate.is_open
        wires.tell(state, "why")
        assert wires.gate.reasons == {"wire": f"{state}: why"}
    assert wires.told == [False] + [True, False] * 3
    assert wires.heard[:2] == [LineState.CONNECTED, LineState.LOST]
    assert wires.lines.state("wire") is LineState.CONNECTING
    assert (wires.lines.state("other"), wires.lines.shown("other")) == (None, None)


def test_two_lines_are_two_reasons() -> None:
    """Goal: one that is back does not open the gate for the other. Method: two lines."""
    wires = Wires()
    other = wires.lines.add("other")
    wires.tell(LineState.CONNECTED, "")
    assert list(wires.gate.reasons) == ["other"]
    other(LineState.CONNECTED, "")
    wires.tell(LineState.LOST, "cut")
    other(LineState.LOST, "cut")
    other(LineState.CONNECTED, "")
    assert list(wires.gate.reasons) == ["wire"]


def test_what_status_shows_of_a_line() -> None:
    """Goal: a gap counts from the loss to the return, tries in between do not count.

    Method: connected at 100 s, lost at 110 s, three tries, back at 117.5 s; a shorter gap after.
    """
    wires = Wires()
    wires.tell(LineState.CONNECTED, "")
    wires.now = 110.0
    wires.tell(LineState.LOST, "cut")
    for second, state in ((111, LineState.CONNECTING), (112, LineState.LOST)):
        wires.now = float(second)
        wires.tell(state, "again")
    wires.now = 117.5
    wires.tell(LineState.CONNECTED, "")
    wires.now = 120.0
    wires.tell(LineState.LOST, "cut")
    wires.now = 121.0
    wires.tell(LineState.CONNECTED, "")
    wires.now = 125.5
    assert wires.lines.shown("wire") == {
        "connected": True,
        "state": "connected",
        "detail": "",
        "since_s": 4.5,
        "reconnects": 2,
        "longest_gap_s": 7.5,
    }


def test_a_refusal_is_an_alert() -> None:
    """Goal: nothing mends it by itself: critical, once for the same words. Method: told twice."""
    wires = Wires()
    for _ in range(2):
        wires.tell(LineState.REFUSED, "406: connection limit exceeded")
    assert wires.notes.events("critical") == ["line_refused"]
    wires.tell(LineState.CONNECTING, "again")
    wires.tell(LineState.REFUSED, "auth failed")
    assert wires.notes.events("critical") == ["line_refused"] * 2


# -- cover --


def test_shares_without_a_stop_are_counted() -> None:
    """Goal: shares times seconds, the longest time in a row, and one alert at five seconds.

    Method: a position whose stop is not acknowledged for seven looks of a second each.
    """

    async def story() -> None:
        bench, notes = Bench(), Notes()
        cover = Cover(notes)
        async with running(bench):
            await bench.pass_minute()
            bench.strategies[0].is_eager = False
            cover.look(bench.book, 1.0)
            assert cover.share_seconds == cover.since_s == 0
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            await bench.hear(Reports([filled(ENTRY, 113)]))
            assert uncovered(bench.book) == 113
            for second in range(1, 8):
                cover.look(bench.book, 1.0)
                assert bool(notes.lines) is (second >= UNCOVERED_MOST_S)
            assert notes.events("critical") == ["uncovered"]
            await bench.answer("Submit stop-1", (accepted(STOP),))
            cover.look(bench.book, 1.0)
            assert cover.share_seconds == Decimal(7 * 113)
            assert (cover.longest_s, cover.since_s) == (7.0, 0.0)
            await bench.hear(Reports([filled(STOP, 50)]))
            assert uncovered(bench.book) == 0

    asyncio.run(story())


@pytest.mark.parametrize("pause_s", [4.9, 60.0])
def test_a_process_that_stood_still(pause_s: float) -> None:
    """Goal: the time it stood still counts, and is told of at once. Method: one long look."""

    async def story() -> None:
        bench, notes = Bench(), Notes()
        cover = Cover(notes)
        async with running(bench):
            await bench.pass_minute()
            await bench.answer("Submit entry-1", (accepted(ENTRY),))
            await bench.hear(Reports([filled(ENTRY, 113)]))
            cover.look(bench.book, pause_s)
            assert cover.longest_s == pause_s
            assert cover.share_seconds == 113 * round(pause_s)
            assert bool(notes.lines) is (pause_s > UNCOVERED_MOST_S)

    asyncio.run(story())
