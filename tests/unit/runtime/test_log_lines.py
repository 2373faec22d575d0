"""One event, one line, whatever is in it.

Method: values of any shape, text of any characters, and the payloads that forge log lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_trader.core.events import Sizing
from algo_trader.core.types import Side, iso
from algo_trader.runtime.log_lines import TRACE, TRACE_MOST, VALUE_MOST, json_line, text_line

AT = 1_704_205_800  # 2024-01-02 14:30 UTC
FORGED = 'ok\r\n{"level":"info"}\x1b[2J\x00\u202e\u2028\x85\ud800'

words = st.text(st.characters(codec=None), max_size=30)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.binary(max_size=8)
    | words
    | words.map(ValueError)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(words, inner, max_size=4)
    | st.tuples(inner, inner)
    | st.frozensets(words, max_size=3),
    max_leaves=12,
)
names = st.sampled_from(["at", "exit_at", "symbol", "decision", "order_id", "price", "reason"])
events = st.fixed_dictionaries(
    {"event": words, "level": st.sampled_from(["info", "warning"]), "time": st.just(iso(AT))}
).flatmap(
    lambda event: st.dictionaries(names, values, max_size=6).map(lambda more: {**event, **more})
)


@given(event=events)
def test_any_event_is_one_line(event: Mapping[str, Any]) -> None:
    """Goal: neither form ends its line early, prints what does not print, or fails."""
    for line in (json_line(event), text_line(event)):
        assert line.isprintable()
        assert len(line) < (len(event) + 1) * (VALUE_MOST + 100) * 10
    json.loads(json_line(event), parse_constant=lambda word: pytest.fail(word))
    assert json_line(event).isascii()


def test_json_for_programs() -> None:
    """Goal: known fields in front, money as text, instants as ISO, nothing lost."""
    line = json_line(
        {
            "price": Decimal("101.250"),
            "qty": Decimal("1E+2"),
            "event": "filled",
            "order_id": "a-s-AAPL-1-entry-1",
            "at": AT,
            "level": "info",
            "time": datetime(2026, 5, 4, 3, 2, 1, 500000, UTC),
            "symbol": "AAPL",
            "side": Side.LONG,
            "expires_at": AT + 60,
            "session": date(2024, 1, 2),
            "open": None,
            "count": 3,
            "lag_s": 0.5,
            "late": False,
        }
    )
    assert line == (
        '{"time":"2026-05-04T03:02:01.500000Z","level":"info","event":"filled",'
        '"at":"2024-01-02T14:30:00Z","symbol":"AAPL","order_id":"a-s-AAPL-1-entry-1",'
        '"price":"101.25","qty":"100","side":"long","expires_at":"2024-01-02T14:31:00Z",'
        '"session":"2024-01-02","open":null,"count":3,"lag_s":0.5,"late":false}'
    )


def test_text_for_people() -> None:
    """Goal: market time, level where it matters, event, symbol, the rest; an order is known by its
    role and number, the decision it belongs to is left to JSON.
    """
    event = {
        "time": iso(AT + 10**7),
        "event": "order_refused",
        "level": "warning",
        "at": AT,
        "symbol": "AAPL",
        "decision": "a-s-AAPL-1",
        "order_id": "a-s-AAPL-1-entry-1",
        "code": 403,
        "reason": 'no "funds"',
        "price": None,
        "done": True,
    }
    assert text_line(event) == (
        "14:30:00Z WARNING order_refused AAPL order_id=entry-1 code=403"
        ' reason="no \\"funds\\"" price=- done=true'
    )
    del event["order_id"]
    assert "decision" not in text_line({**event, "level": "info"})
    assert "WARNING" not in text_line({**event, "level": "info"})
    assert text_line({"event": "e", "time": iso(AT)}) == "14:30:00Z e"
    assert text_line(event, is_coloured=True).startswith("\x1b[33m14:30:00Z")


@pytest.mark.parametrize("line_of", [json_line, text_line])
def test_no_line_is_forged(line_of: Any) -> None:
    """Goal: a broker's message shows what it is made of, and steers nothing."""
    line = line_of({"event": "order_refused", "reason": FORGED, "time": iso(AT)})
    assert line.isprintable()
    assert "\\x1b[2J" in line or "\\u001b[2J" in line
    assert "\\ud800" in line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("NaN"), "NaN"),
        (Decimal("-Infinity"), "-Infinity"),
        (float("inf"), "inf"),
        (Decimal("1E+999999999"), "1E+999999999"),
        (10**30, str(10**30)),
        (ValueError("x"), "ValueError: x"),
        (Sizing(Decimal(1), Decimal(2), Decimal("3.0"), Decimal(1), "by_risk"), None),
        ({1: {2: {3: {4: {5: 6}}}}}, {"1": {"2": {"3": {"4": "<dict of 1>"}}}}),
        (["x" * VALUE_MOST] * 2, None),
    ],
)
def test_odd_values(value: Any, shown: Any) -> None:
    """Goal: no number without a JSON form, no memory eaten, nothing nested without end."""
    said = json.loads(json_line({"event": "e", "value": value}))["value"]
    if shown is not None:
        assert said == shown
    assert len(json.dumps(said)) <= VALUE_MOST * 2


def test_sizing_keeps_its_names() -> None:
    """Goal: a record in a field is told with the names of its parts."""
    sizing = Sizing(Decimal(1), Decimal(2), Decimal("3.0"), Decimal(1), "by_risk")
    said = json.loads(json_line({"event": "e", "sizing": sizing}))["sizing"]
    assert said == {
        "by_risk": "1", "by_position": "2", "by_cash": "3", "qty": "1", "limit": "by_risk",
    }  # fmt: skip


def test_an_instant_beyond_the_calendar_is_a_number() -> None:
    """Goal: a wrong time is shown, not raised."""
    assert json.loads(json_line({"event": "e", "at": 10**30}))["at"] == str(10**30)
    assert json.loads(json_line({"event": "e", "at": True}))["at"] is True


class Hostile:
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown() -> None:
    """Goal: its type is told instead."""
    line = json_line({"event": "e", "value": [Hostile()]})
    assert json.loads(line)["value"] == ["<Hostile cannot be shown: RuntimeError>"]


def test_a_long_value_is_cut() -> None:
    """Goal: 2,000 characters of a value; of a traceback its end."""
    event = {"event": "e", "reason": "x" * 10_000, TRACE: "y" * 30_000 + "end"}
    said = json.loads(json_line(event))
    assert len(said["reason"]) == VALUE_MOST
    assert said["reason"].endswith("x...")
    assert len(said[TRACE]) <= TRACE_MOST + 3
    assert said[TRACE].endswith("end")


def test_a_traceback_for_people() -> None:
    """Goal: its lines follow, indented, each harmless."""
    event = {"event": "failed", "time": iso(AT), TRACE: "Traceback:\n  File\nValueError: \x1b[2J"}
    assert text_line(event).split("\n") == [
        "14:30:00Z failed",
        "    Traceback:",
        "      File",
        "    ValueError: \\x1b[2J",
    ]
