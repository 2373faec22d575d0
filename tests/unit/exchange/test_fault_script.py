"""Fault scripts: what is read, when a rule fires, and one clear error for every wrong word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from algo_trader.core.errors import ConfigError
from algo_trader.exchange.fault_book import NOBODY, FaultBook, Rule, Subject
from algo_trader.exchange.fault_script import read_script, rule_of
from algo_trader.exchange.fault_words import ACTIONS, CLOCK_POINT, NOW, REST

OPENS_AT = 1_704_205_800.0  # 2024-01-02 09:30 in New York
POST = "rest:POST /v2/orders"

SCRIPT = """
[[fault]]
on = "rest:POST /v2/orders"
do = "status"
status = 503
role = "stop"
nth = 2
times = 0

[[fault]]
on = "clock"
do = "clock_skew"
seconds = -3
after = 09:45:00
until = 2024-01-02T15:00:00Z
"""


def write(folder: Path, text: str) -> Path:
    """A script file."""
    file = folder / "faults.toml"
    file.write_text(text)
    return file


def test_a_script_is_read_in_order(tmp_path: Path) -> None:
    """Goal: entries become rules with words, defaults and conditions. Method: read a small one."""
    first, second = read_script(write(tmp_path, SCRIPT))
    assert (first.on, first.do, first.args["status"], first.nth, first.times) == (
        POST, "status", 503, 2, 0,
    )  # fmt: skip
    assert (second.on, second.args) == (CLOCK_POINT, {"seconds": "-3"})
    assert second.after is not None
    assert second.after.is_reached(OPENS_AT + 15 * 60)
    assert not second.after.is_reached(OPENS_AT + 15 * 60 - 1)
    assert second.until is not None
    assert second.until.is_reached(OPENS_AT + 30 * 60)


WRONG: list[tuple[str, list[str]]] = [
    ('on = "rest:POST /v2/orders"\ndo = "hangg"', ["fault 1", "do", "'hangg'", "'hang'"]),
    ('on = "rest:POST /v2/orders"', ["do", "missing"]),
    ('do = "hang"', ["on", "missing"]),
    ('on = "trade_stream:evnt"\ndo = "duplicate"', ["on", "'trade_stream:event'"]),
    ('on = "rest:FETCH /v2"\ndo = "hang"', ["on", "no request", "GET"]),
    ('on = "data_stream:bar"\ndo = "drop"', ["on", "cannot happen", "rest:<METHOD> <path>"]),
    ('on = "rest:GET /v2/account"\ndo = "late_accept"\nafter_s = 1', ["on", "cannot happen"]),
    ('on = "now"\ndo = "unblock_account"', ["on", "unknown point"]),
    ('on = "rest:* /v2/*"\ndo = "hang"\nfor_s = -1', ["for_s", "-1", "0 or more"]),
    ('on = "rest:* /v2/*"\ndo = "hang"\nfors_s = 1', ["fors_s", "unknown word", "'for_s'"]),
    ('on = "rest:* /v2/*"\ndo = "delay"', ["for_s", "missing"]),
    ('on = "rest:* /v2/*"\ndo = "hang"\nnth = 0', ["nth", "1 or more"]),
    ('on = "rest:* /v2/*"\ndo = "hang"\nnth = true', ["nth", "1 or more"]),
    ('on = "rest:* /v2/*"\ndo = "hang"\nafter = "soon"', ["after", "10:30"]),
    ('on = "market:open"\ndo = "mute"', ["stream", '"trade"']),
    ('on = "market:open"\ndo = "mute"\nstream = "both"', ["stream", "'trade' or 'data'"]),
    ('on = "rest:* /v2/*"\ndo = "missing_fields"\nfields = "id"', ["fields", "list of texts"]),
]


@pytest.mark.parametrize(("entry", "words"), WRONG, ids=[row[0][:40] for row in WRONG])
def test_a_wrong_word_is_one_clear_error(tmp_path: Path, entry: str, words: list[str]) -> None:
    """Goal: the error names file, entry, field and remedy in one line. Method: one wrong entry."""
    file = write(tmp_path, "[[fault]]\n" + entry)
    with pytest.raises(ConfigError) as error:
        read_script(file)
    message = str(error.value)
    assert message.startswith(f"{file}: fault 1: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[fault", ["not TOML"]),
        ("[faults]", ["unknown table", "[[fault]]"]),
        ("[fault]\ndo = 'hang'", ["[[fault]]"]),
    ],
)
def test_files_that_are_no_scripts(tmp_path: Path, text: str, words: list[str]) -> None:
    """Goal: what is not a script is told so. Method: broken and wrong TOML, and no file at all."""
    with pytest.raises(ConfigError) as error:
        read_script(write(tmp_path, text))
    assert all(word in str(error.value) for word in words)
    with pytest.raises(ConfigError, match="--faults"):
        read_script(tmp_path / "none.toml")


def example(action: str) -> dict[str, Any]:
    """An entry with every word an action must have."""
    values = {
        "seconds": 1, "count": 1, "whole": 7, "number": "1.5", "text": "AA", "flag": True,
        "words": ["id"], "table": {"qty": "1"},
    }  # fmt: skip
    point = ACTIONS[action].points[0]
    words = {
        name: param.choices[0] if param.choices else values[param.kind]
        for name, param in ACTIONS[action].params.items()
    }
    return {"on": "rest:* /v2/*" if point == REST else point, "do": action, **words}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_of_the_vocabulary_can_be_written(action: str) -> None:
    """Goal: each action is accepted at each of its points with all its words.
    Method: build an entry from the vocabulary itself.
    """
    entry = example(action)
    assert rule_of(entry, "here", may_be_now=True).do == action
    for point in ACTIONS[action].points:
        if point != REST:
            rule = rule_of({**entry, "on": point}, "here", may_be_now=True)
            assert rule.on == point


def book(*rules: Rule) -> tuple[FaultBook, list[str]]:
    """A book and the names of what fired."""
    fired: list[str] = []
    return FaultBook(rules, lambda rule, point, subject: fired.append(rule.do)), fired


def test_nth_and_times_count_what_fits() -> None:
    """Goal: a rule fires from the nth fitting occurrence on, so many times.
    Method: ten occurrences, every second of the symbol.
    """
    rule = Rule(place="", on=POST, do="drop", nth=2, times=2, symbol="AA")
    faults, fired = book(rule)
    hits = [
        number
        for number in range(10)
        if faults.first_at(POST, Subject(symbol="AA" if number % 2 else "BB"), OPENS_AT)
    ]
    assert hits == [3, 5]
    assert fired == ["drop", "drop"]
    assert rule.state()["seen"] == 5


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        ({"symbol": "A*"}, True),
        ({"symbol": "BB"}, False),
        ({"role": "stop"}, True),
        ({"role": "entry"}, False),
        ({"client_order_id": "velez-*-1"}, True),
        ({"side": "sell", "type": "stop", "event": "fill"}, True),
        ({"event": "new"}, False),
    ],
)
def test_conditions_are_patterns_on_the_order(words: dict[str, str], fits: bool) -> None:
    """Goal: every condition must hold, each as a pattern. Method: one stop order's fill."""
    subject = Subject("AA", "velez-AA-1430-stop-1", "sell", "stop", "fill")
    faults, _ = book(Rule(place="", on="market:fill", do="bust", **words))  # type: ignore[arg-type]  # fields by name
    assert bool(faults.first_at("market:fill", subject, OPENS_AT)) is fits


def test_the_first_rule_meets_a_request_and_all_meet_an_event() -> None:
    """Goal: a request has one fault at a time, in the script's order; an event has all of them.
    Method: two rules at the same point, asked both ways.
    """
    first, second = (Rule(place="", on="rest:* /v2/*", do=do) for do in ("drop", "reset"))
    faults, _ = book(first, second)
    found = [faults.first_at("rest:GET /v2/clock", NOBODY, OPENS_AT) for _ in range(3)]
    assert found == [first, second, None]
    both, _ = book(
        *(Rule(place="", on="trade_stream:event", do=do) for do in ("delay", "duplicate"))
    )
    assert [rule.do for rule in both.all_at("trade_stream:event", NOBODY, OPENS_AT)] == [
        "delay",
        "duplicate",
    ]
    assert not faults.waits_at(NOW)
