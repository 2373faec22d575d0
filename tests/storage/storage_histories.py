"""Short canonical histories of a ledger: each goes once through one kind of work.

They begin on a folder that lies safe on the disk: empty, a ledger of a few steps with a position
held, one of version 1, one that a killed process left with its WAL.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import recorded
from recorded import OPENS_AT, WHEN, record
from storage_disk import Disk
from storage_life import COPY, NAME, Life, State, Story, copied, state_of

from algo_trader.core.events import Fact, Halted, SettingChanged
from algo_trader.ledger import shape
from algo_trader.ledger.backup import backup
from algo_trader.ledger.database import read_only
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.migrate import upgrade
from algo_trader.ledger.verify import shape_differences

STEPS = record(1, 1, 20).steps
HELD, CLOSED = 13, 17
"""Steps before which a position is held, and after which it is closed."""
LATER = [Halted(at=OPENS_AT + 86_400, reason="later")]


class Base(NamedTuple):
    """Files to begin with, and what they hold."""

    files: dict[str, bytes]
    state: State
    copies: dict[str, State]
    is_older: bool = False

    def story(self) -> Story:
        """A story that begins here."""
        return Story(self.state, dict(self.copies), is_older=self.is_older)


class History(NamedTuple):
    """A piece of a ledger's life."""

    name: str
    base: Callable[[], Base]
    live: Callable[[Life], None]


def _based(make: Callable[[Path], State]) -> Callable[[], Base]:
    """A base, made once by the real code in a folder of its own."""

    @cache
    def base() -> Base:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            state = make(folder)
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
            copy = copied(folder / COPY)
            copies = {} if copy is None else {COPY: copy}
            return Base(files, state, copies, is_older=make is _version_1)

    return base


def _written(path: Path, steps: list[list[Fact]]) -> State:
    upgrade(path)
    with Ledger.open(path, lambda: WHEN) as ledger:
        for step in steps:
            ledger.append(step)
        return state_of(ledger)


def _version_1(folder: Path) -> State:
    driver = sqlite3.connect(folder / NAME)
    driver.executescript(Path(recorded.__file__).with_name("version_1.sql").read_text())
    driver.close()
    found = copied(folder / NAME)
    assert found is not None
    return found


def _killed(folder: Path) -> State:
    """A WAL of some commits next to the file, and an older copy."""
    _written(folder / NAME, STEPS[:2])
    disk = Disk(folder)
    with disk.mounted():
        life = Life(disk, Story(State()))
        life.start()
        backup(life.opened, folder / COPY)
        life.append(*STEPS[2:HELD])
        state = state_of(life.opened)
        life.die()
    return state


EMPTY = _based(lambda folder: State())
HOLDING = _based(lambda folder: _written(folder / NAME, STEPS[:HELD]))
TRADED = _based(lambda folder: _written(folder / NAME, STEPS[:CLOSED]))
VERSION_1 = _based(_version_1)
KILLED = _based(_killed)


@cache
def _shape_1() -> dict[str, str]:
    with tempfile.TemporaryDirectory() as name:
        _version_1(Path(name))
        driver = read_only(Path(name, NAME))
        try:
            return shape.fingerprint(driver)
        finally:
            driver.close()


def between_versions(path: Path) -> list[str]:
    """How a file whose upgrade was cut short differs from one of the version that it names."""
    driver = read_only(path)
    try:
        (version,) = driver.execute("PRAGMA user_version").fetchone()
        wanted = _shape_1() if version == 1 else shape.expected()
        return list(shape_differences(shape.fingerprint(driver), wanted))
    finally:
        driver.close()


def _create(life: Life) -> None:
    life.start()
    life.append(*STEPS[:2])
    life.close()


def _append(life: Life) -> None:
    life.start()
    life.append(*STEPS[HELD : HELD + 3])
    life.close()


def _group(life: Life) -> None:
    life.start()
    life.append(STEPS[HELD], [fact for step in STEPS[HELD + 1 : CLOSED] for fact in step])
    life.append([fact for step in STEPS[CLOSED : CLOSED + 12] for fact in step])
    life.close()


def _settings(life: Life) -> None:
    life.start()
    for value in ("1", "2", None):
        life.append([SettingChanged(at=OPENS_AT + 86_400, key="risk.x", value=value)])
    life.close()


def _notes(life: Life) -> None:
    life.start()
    for text in ("first", "second"):
        life.note(text)
    life.append(LATER)
    life.close()


def _checkpoint(life: Life) -> None:
    """The WAL is folded into the file while the ledger is used, and begins anew."""
    life.start()
    life.execute("PRAGMA wal_autocheckpoint = 12")
    life.append(*STEPS[HELD : HELD + 9])
    life.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    life.append(STEPS[HELD + 9])
    life.close()


def _backup(life: Life) -> None:
    life.start()
    life.append(STEPS[HELD])
    life.back_up()
    life.append(STEPS[HELD + 1])
    life.back_up()
    life.close()


def _reopen(life: Life) -> None:
    """Two lives in good order, one that is killed, one that clears up after it."""
    for number, end in enumerate((life.close, life.die, life.close)):
        life.start()
        life.append(STEPS[HELD + number])
        end()


def _restore(life: Life) -> None:
    """A copy is put in the place of a file that has a WAL."""
    life.restore()
    life.start()
    life.append(LATER)
    life.close()


def _upgrade(life: Life) -> None:
    life.start()
    life.append(LATER)
    life.close()


HISTORIES = (
    History("create", EMPTY, _create),
    History("append", HOLDING, _append),
    History("group with a trade", HOLDING, _group),
    History("settings", HOLDING, _settings),
    History("notes", TRADED, _notes),
    History("checkpoint", HOLDING, _checkpoint),
    History("backup", HOLDING, _backup),
    History("reopen", HOLDING, _reopen),
    History("after a kill", KILLED, _append),
    History("restore", KILLED, _restore),
    History("upgrade", VERSION_1, _upgrade),
)
