"""A start goes on from a snapshot that proves right, and from the first fact where none does.

Method: real ledgers with a snapshot; a snapshot is spoilt through another program's connection, or
the process dies while it is written. What is folded must be what all the facts make, always.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded import record

from algo_trader.core import events as ev
from algo_trader.ledger import fold_snapshot
from algo_trader.ledger.errors import FactRefused, StorageError
from algo_trader.ledger.fold_snapshot import OURS, RULES, Snapshot, link
from algo_trader.ledger.fold_state import dump
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.projection import Projector
from algo_trader.ledger.verify import verify_file

STEPS = record().steps
FACTS = record().facts


class Told:
    """What a ledger tells."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def __call__(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def folds(self) -> list[object]:
        """After which fact each fold began."""
        return [fields["after_snapshot"] for name, fields in self.events if name == "ledger_folded"]

    def ignored(self) -> list[str]:
        """Why snapshots were ignored."""
        return [str(fields["reason"]) for name, fields in self.events if name == "snapshot_ignored"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed ledger with a snapshot two thirds on its way."""
    path = tmp_path / "trading.db"
    cut = len(FACTS) * 2 // 3
    with Ledger.open(path) as ledger:
        ledger.append(FACTS[:cut])
        ledger.keep_fold()
        ledger.append(FACTS[cut:])
    return path


def cut_of(path: Path) -> int:
    """The fact that the snapshot is of."""
    return len(FACTS) * 2 // 3


def whole(count: int = len(FACTS)) -> str:
    """What the first so many facts fold to, without any ledger."""
    projector = Projector()
    for fact in FACTS[:count]:
        projector.fold(fact, "")
    projector.take()
    return dump(projector)


def come_to(path: Path) -> tuple[str, Told]:
    """What a start folds the file to, and what it tells."""
    told = Told()
    with Ledger.open(path, tell=told) as ledger:
        ledger.fold()
        assert ledger._projector is not None
        return dump(ledger._projector), told


def change(path: Path, statement: str, *values: Any) -> None:
    """What another program may do to the file, whose connection knows no rules."""
    driver = sqlite3.connect(path, isolation_level=None)
    assert driver.execute(statement, values).rowcount == 1
    driver.close()


def stored(path: Path) -> list[Snapshot]:
    """The rows of the table."""
    driver = sqlite3.connect(path, isolation_level=None)
    columns = ", ".join(Snapshot._fields)
    rows = driver.execute(f"SELECT {columns} FROM fold_snapshot").fetchall()
    driver.close()
    return [Snapshot(*row) for row in rows]


def test_a_start_folds_what_came_after(path: Path) -> None:
    """Goal: the facts before the snapshot are not folded again, and nothing is different."""
    state, told = come_to(path)
    assert told.folds() == [cut_of(path)]
    assert told.ignored() == []
    assert state == whole()
    assert verify_file(path) == []


def test_lives_of_any_length(tmp_path: Path) -> None:
    """Goal: snapshots at any fact, life after life, change no row. Method: close after every few
    steps with a snapshot; compare all rows with a ledger that never made one.
    """
    path, plain = tmp_path / "one.db", tmp_path / "two.db"
    for begin in range(0, 160, 7):
        with Ledger.open(path) as ledger:
            for step in STEPS[begin : begin + 7]:
                ledger.append(step)
            ledger.keep_fold()
            assert ledger.unkept == 0
    with Ledger.open(plain) as ledger:
        for step in STEPS[:161]:
            ledger.append(step)
    assert rows(path) == rows(plain)
    assert len(stored(path)) == 1
    assert verify_file(path) == []


def rows(path: Path) -> list[Any]:
    """Every row but for the wall clock."""
    driver = sqlite3.connect(path, isolation_level=None)
    found = [
        driver.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
        for table, columns in (
            ("order_event", "seq, at, session, kind, payload, old_state, new_state, detail"),
            ("order_state", "*"),
            ("trade", "*"),
        )
    ]
    driver.close()
    return found


def test_nothing_new_is_not_written(path: Path) -> None:
    """Goal: a snapshot is written once. Method: count the changes of the connection."""
    with Ledger.open(path) as ledger:
        ledger.fold()
        assert ledger.unkept == len(FACTS) - cut_of(path)
        ledger.keep_fold()
        before = ledger._driver.total_changes
        ledger.keep_fold()
        assert ledger._driver.total_changes == before
    (snapshot,) = stored(path)
    assert snapshot.seq == len(FACTS)
    assert verify_file(path) == []


def test_a_ledger_without_facts_keeps_none(tmp_path: Path) -> None:
    """Goal: nothing to stand for, nothing written."""
    with Ledger.open(tmp_path / "trading.db") as ledger:
        ledger.keep_fold()
    assert stored(tmp_path / "trading.db") == []


def resealed(path: Path, **changed: Any) -> None:
    """Another row in the snapshot's place, with a digest that is right for it."""
    (found,) = stored(path)
    made = found._replace(**changed)
    driver = sqlite3.connect(path, isolation_level=None)
    fact = driver.execute("SELECT kind, payload FROM order_event WHERE seq = ?", (made.seq,))
    row = fact.fetchone() or ("", "")
    digest = link(f"{made.seq}\n{OURS}\n{made.chain}\n{made.state}", *row)
    values = (*made._replace(digest=digest), found.seq)
    driver.execute(
        "UPDATE fold_snapshot SET seq = ?, rules = ?, chain = ?, state = ?, digest = ?"
        " WHERE seq = ?",
        values,
    )
    driver.close()


UNREADABLE = '{"seq":1}'


@pytest.mark.parametrize(
    ("statement", "why", "said"),
    [
        ("SET state = replace(state, '\"cash\":\"1', '\"cash\":\"9')", "digest", "digest"),
        ("SET state = '{}'", "digest", "digest"),
        ("SET digest = ''", "digest", "digest"),
        ("SET chain = ''", "digest", "not of these facts"),
        ("SET seq = seq - 1", "digest", "not of these facts"),
        ("SET seq = 1000000", "which is not there", "a row that order_event does not have"),
        ("SET rules = 'older'", "another version of the program", None),
    ],
)
def test_a_damaged_snapshot_is_ignored(
    path: Path, statement: str, why: str, said: str | None
) -> None:
    """Goal: told of in one line, folded from the first, healed by the next one; verify names it,
    but for one that only is another version's.
    """
    change(path, f"UPDATE fold_snapshot {statement}")
    found = verify_file(path)
    assert any(said in line for line in found) if said else not found
    state, told = come_to(path)
    assert why in told.ignored()[0]
    assert told.folds() == [0]
    assert state == whole()
    with Ledger.open(path) as ledger:
        ledger.fold()
        ledger.keep_fold()
    assert come_to(path)[1].folds() == [len(FACTS)]
    assert verify_file(path) == []


@pytest.mark.parametrize(
    ("state", "why"), [(UNREADABLE, "not readable"), (None, "is that of fact 10")]
)
def test_a_state_that_is_no_state_is_ignored(path: Path, state: str | None, why: str) -> None:
    """Goal: also where the digest is right for it: a slip of ours must not stop a start."""
    resealed(path, state=state or whole(10))
    folded, told = come_to(path)
    assert why in told.ignored()[0]
    assert folded == whole()
    assert why in verify_file(path)[0]


def test_verify_folds_the_facts_itself(path: Path) -> None:
    """Goal: a state that is readable, sealed and wrong is found. Method: another amount of cash."""
    (snapshot,) = stored(path)
    resealed(path, state=snapshot.state.replace('"loss_streak":', '"loss_streak":1'))
    assert verify_file(path) == [
        f"fold_snapshot {snapshot.seq}: its state is not what the facts make it"
    ]


def test_a_fact_that_was_changed_is_not_stood_for(path: Path) -> None:
    """Goal: a snapshot of other facts is not used: of the last one at a start, of any by verify."""
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("DROP TRIGGER no_update_order_event")
    driver.close()
    for seq, is_seen in ((cut_of(path), True), (5, False)):
        before = "SET payload = replace(payload, '\"at\":', '\"at\": ') WHERE seq ="
        change(path, f"UPDATE order_event {before} {seq}")
        assert bool(come_to(path)[1].ignored()) is is_seen
        assert any("not of these facts" in line for line in verify_file(path))
        after = "SET payload = replace(payload, '\"at\": ', '\"at\":') WHERE seq ="
        change(path, f"UPDATE order_event {after} {seq}")


def test_an_older_program_is_another_version(path: Path, monkeypatch: Any) -> None:
    """Goal: a change of any rule makes another version. Method: this program's rules by another
    name; and every module that folds is among the rules.
    """
    monkeypatch.setattr(fold_snapshot, "OURS", "f" * 64)
    state, told = come_to(path)
    assert told.ignored() == ["it was made by another version of the program"]
    assert state == whole()
    for name in ("core.book", "core.orders", "ledger.projection", "ledger.fold_state"):
        assert f"algo_trader.{name}" in RULES
    assert len(OURS) == 64


def test_without_the_rules_source_there_are_none(path: Path, monkeypatch: Any) -> None:
    """Goal: a program that cannot tell its rules from others' writes and reads no snapshot."""
    monkeypatch.setattr(fold_snapshot, "OURS", "")
    before = stored(path)
    with Ledger.open(path) as ledger:
        ledger.fold()
        assert ledger._mark.seq == 0
        ledger.keep_fold()
    assert stored(path) == before


def test_a_refused_fact_costs_no_whole_fold(path: Path) -> None:
    """Goal: the book that is folded anew after a refusal begins at the snapshot too."""
    told = Told()
    with Ledger.open(path, tell=told) as ledger:
        ledger.fold()
        again = next(fact for fact in FACTS if isinstance(fact, ev.OrderIntended))
        for _ in range(2):
            with pytest.raises(FactRefused):
                ledger.append([again])
        assert set(told.folds()) == {cut_of(path)}
        ledger.append([ev.Halted(at=FACTS[-1].at, reason="r")])
        assert ledger.own_book().halted == "r"


def test_one_that_cannot_be_written_takes_nothing_along(path: Path) -> None:
    """Goal: a snapshot that the file refuses leaves the one before, and the ledger at work."""
    before = stored(path)
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute(
        "CREATE TRIGGER nope BEFORE INSERT ON fold_snapshot BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    driver.close()
    with Ledger.open(path) as ledger:
        ledger.fold()
        with pytest.raises(FactRefused, match="no"):
            ledger.keep_fold()
        assert ledger.unkept
        ledger.append([ev.Halted(at=FACTS[-1].at, reason="r")])
    assert stored(path) == before


def test_a_failing_disk_ends_the_ledger(path: Path) -> None:
    """Goal: what a write of unknown outcome means does not depend on what was written. Method: a
    file that may not grow.
    """
    with Ledger.open(path) as ledger:
        ledger.fold()
        pages = ledger._driver.execute("PRAGMA page_count").fetchone()[0]
        ledger._driver.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        ledger._driver.execute("CREATE TEMP TABLE t (x)")
        ledger._mark = fold_snapshot.Mark()
        big = "x" * 100_000
        ledger.own_book().day.objections.add(big)
        with pytest.raises(StorageError):
            ledger.keep_fold()
        assert ledger.is_poisoned
    with Ledger.open(path) as ledger:
        assert ledger.count() == len(FACTS)


CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from algo_trader.ledger.ledger import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
ledger.fold()
def look(sql):
    if sql.startswith(sys.argv[3]):
        os.kill(os.getpid(), 9)
ledger._driver.set_trace_callback(look)
ledger.keep_fold()
"""


@pytest.mark.parametrize("moment", ["BEGIN", "DELETE", "INSERT", "COMMIT"])
def test_death_while_it_is_written(path: Path, moment: str) -> None:
    """Goal: the snapshot before is still there, and of use. Method: kill -9 before a statement."""
    before = stored(path)
    command = [sys.executable, "-c", CHILD, str(path), os.path.dirname(__file__), moment]
    assert subprocess.run(command, check=False).returncode == -9
    state, told = come_to(path)
    assert told.folds() == [cut_of(path)]
    assert state == whole()
    assert stored(path) == before
    assert verify_file(path) == []
