"""Overrides of settings: facts, the table that is folded from them, and the proof of it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import OPENS_AT, WHEN, record

from algo_trader.core import events as ev
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file

KEY = "risk.max_open_positions"
STAMP = "2024-01-02T14:30:00.000250Z"


def change(value: str | None, key: str = KEY) -> ev.SettingChanged:
    """The fact of a change."""
    return ev.SettingChanged(at=OPENS_AT, key=key, value=value)


def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    """The table as it is."""
    return ledger._driver.execute("SELECT * FROM settings_override ORDER BY key").fetchall()


def test_the_row_follows_from_the_facts(tmp_path: Path) -> None:
    """Goal: the row holds value, wall clock and what was before; the end of an override deletes
    it, and what comes after begins anew.
    """
    with Ledger.open(tmp_path / "trading.db", lambda: WHEN) as ledger:
        ledger.append([change("3")])
        assert rows(ledger) == [(KEY, "3", STAMP, None)]
        ledger.append([change("4"), change("false", "velez.enabled"), change("5")])
        assert rows(ledger) == [(KEY, "5", STAMP, "4"), ("velez.enabled", "false", STAMP, None)]
        assert ledger.overrides() == {KEY: "5", "velez.enabled": "false"}
        ledger.append([change(None)])
        ledger.append([change(None, "never.set")])
        assert ledger.overrides() == {"velez.enabled": "false"}
        ledger.append([change("6")])
        assert rows(ledger)[0] == (KEY, "6", STAMP, None)
        told = "SELECT detail FROM order_event WHERE kind = 'SettingChanged' AND seq IN (1, 5)"
        assert ledger._driver.execute(told).fetchall() == [(f"{KEY}=3",), (f"{KEY} unset",)]
        assert ledger.verify() == []


def test_another_process_goes_on(tmp_path: Path) -> None:
    """Goal: what was before is known after a restart too."""
    path = tmp_path / "trading.db"
    with Ledger.open(path, lambda: WHEN) as ledger:
        ledger.append([change("3")])
    with Ledger.open(path, lambda: WHEN) as ledger:
        ledger.append([change("4")])
        assert rows(ledger) == [(KEY, "4", STAMP, "3")]
    assert verify_file(path) == []


def test_override_while_no_daemon_runs(tmp_path: Path) -> None:
    """Goal: market time stands where the facts end, the wall clock goes on; without an override
    its end is nothing to record. Method: a clock two years later.
    """
    now = WHEN + timedelta(days=730)
    with Ledger.open(tmp_path / "trading.db", lambda: now) as ledger:
        ledger.override(KEY, "2")
        first = ev.SettingChanged(at=int(now.timestamp()), key=KEY, value="2")
        assert list(ledger.facts()) == [first]
        ledger.append([change("3")])
        ledger.override(KEY, "4")
        ledger.override(KEY, None)
        ledger.override(KEY, None)
        assert list(ledger.facts())[2:] == [change("4"), change(None)]
        assert ledger.last_at() == OPENS_AT


def test_last_at_of_nothing(tmp_path: Path) -> None:
    """Goal: an empty ledger has no market time."""
    with Ledger.open(tmp_path / "trading.db") as ledger:
        assert ledger.last_at() is None


def test_the_trading_rows_do_not_notice(tmp_path: Path) -> None:
    """Goal: a change between two steps leaves beliefs as they are."""
    steps = record().steps[:200]
    with (
        Ledger.open(tmp_path / "with.db", lambda: WHEN) as changed,
        Ledger.open(tmp_path / "without.db", lambda: WHEN) as plain,
    ):
        for step in steps:
            changed.append([change("3"), *step])
            plain.append(step)
        assert [trade.trade for trade in changed.trades()] == [t.trade for t in plain.trades()]
        assert changed.fold().cash == plain.fold().cash
        assert changed.verify() == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE settings_override SET value = '99'", f"{KEY}: value is '99', its facts make"),
        ("UPDATE settings_override SET previous_value = '7'", "previous_value is '7'"),
        ("UPDATE settings_override SET updated_at = ''", "updated_at is ''"),
        ("DELETE FROM settings_override", f"settings_override {KEY}: the row is missing"),
        (
            "INSERT INTO settings_override VALUES ('broker.provider', 'x', '', NULL)",
            "settings_override broker.provider: no fact makes this row",
        ),
    ],
)
def test_a_row_changed_by_hand_is_found(tmp_path: Path, statement: str, told: str) -> None:
    """Goal: `verify` names an override that no fact made."""
    path = tmp_path / "trading.db"
    with Ledger.open(path) as ledger:
        ledger.append([change("3")])
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute(statement)
    driver.close()
    found = verify_file(path)
    assert len(found) == 1
    assert told in found[0]


KEYS = st.sampled_from(["risk.a", "risk.b", "watchlist"])
VALUES = st.none() | st.text(st.characters(codec=None), max_size=8)


@given(
    changes=st.lists(st.tuples(KEYS, VALUES), max_size=12), cuts=st.sets(st.integers(0, 11))
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_changes_prove_right(
    tmp_path: Path, changes: list[tuple[str, str | None]], cuts: set[int]
) -> None:
    """Goal: whatever was set and unset, in whatever transactions and processes, the keys in force
    are those last set, and the proof agrees. Method: a dict beside it.
    """
    path = tmp_path / "trading.db"
    path.unlink(missing_ok=True)
    wanted: dict[str, str] = {}
    clock = iter(range(10_000))

    def now() -> datetime:
        return datetime.fromtimestamp(OPENS_AT + next(clock), UTC)

    ledger = Ledger.open(path, now)
    try:
        for number, (key, value) in enumerate(changes):
            if number in cuts:
                ledger.close()
                ledger = Ledger.open(path, now)
            ledger.append([change(value, key)])
            wanted.pop(key, None)
            if value is not None:
                wanted[key] = value
        assert ledger.overrides().keys() == wanted.keys()
        assert ledger.verify() == []
    finally:
        ledger.close()
