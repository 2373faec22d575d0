"""The simulated disk: its record is what happens, its cuts are what a cut may do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import recorded
from storage_histories import HISTORIES, History
from storage_lab import Lab
from storage_life import Life
from storage_platter import Change, Loss, Op, Platter
from storage_vfs import missing

pytestmark = pytest.mark.skipif(bool(missing().reason), reason=missing().reason)
CHANCE = Random(1)
CHILD = """
import sys
sys.path[:0] = sys.argv[1:3]
from storage_histories import HISTORIES
from storage_lab import Lab
from storage_life import Life
from storage_platter import Change
(history,) = (found for found in HISTORIES if found.name == sys.argv[3])
base = history.base()
with Lab().disk(base.files) as disk:
    life = Life(disk, base.story())
    print("begins", flush=True)
    history.live(life)
    print("ends", flush=True)
    life.die()
for op in disk.ops:
    if op.change is Change.SYNCED or op.change is Change.NAMES_SYNCED:
        print("synced", op.name or disk.folder.name)
"""


def written(platter: Platter, name: str, offset: int, data: bytes) -> None:
    """Write to a file."""
    platter.do(Op(Change.WRITTEN, name, offset, data))


def test_a_cut_takes_what_was_not_synced() -> None:
    """Goal: a sync saves bytes, not names; a cut takes all, nothing, or sectors of the rest."""
    platter = Platter({"old": b"a" * 2048})
    written(platter, "old", 256, b"b" * 1024)
    assert platter.after(Loss.ALL, CHANCE) == {"old": b"a" * 2048}
    assert platter.after(Loss.NONE, CHANCE)["old"] == b"a" * 256 + b"b" * 1024 + b"a" * 768
    seen = {platter.after(Loss.TORN, CHANCE)["old"] for _ in range(200)}
    assert len(seen) == 8  # The write lies on three sectors, the first and the last in part.
    platter.do(Op(Change.SYNCED, "old"))
    assert platter.after(Loss.ALL, CHANCE)["old"] == platter.after(Loss.NONE, CHANCE)["old"]
    platter.do(Op(Change.MADE, "new"))
    written(platter, "new", 0, b"x")
    platter.do(Op(Change.SYNCED, "new"))
    platter.do(Op(Change.RENAMED, "new", other="newer"))
    assert set(platter.after(Loss.ALL, CHANCE)) == {"old"}
    assert {tuple(platter.after(Loss.TORN, CHANCE)) for _ in range(50)} == {
        ("old",),
        ("new", "old"),
        ("newer", "old"),
    }
    platter.do(Op(Change.NAMES_SYNCED))
    assert platter.after(Loss.ALL, CHANCE)["newer"] == b"x"


def test_a_failed_sync_saves_nothing() -> None:
    """Goal: what a failed sync did not save, the next one saves, unless the system forgot."""
    for drops, left in ((False, b"bb"), (True, b"aa")):
        platter = Platter({"file": b"aa"})
        written(platter, "file", 0, b"bb")
        platter.do(Op(Change.SYNC_FAILED, "file", drops=drops))
        assert platter.after(Loss.ALL, CHANCE) == {"file": b"aa"}
        platter.do(Op(Change.SYNCED, "file"))
        assert platter.after(Loss.ALL, CHANCE) == {"file": left}
        assert platter.after(Loss.NONE, CHANCE) == {"file": b"bb"}


@pytest.mark.parametrize("name", ["create", "backup", "restore", "checkpoint"])
def test_syncs_are_those_that_the_system_saw(name: str, tmp_path: Path) -> None:
    """Goal: the disk takes for saved what SQLite and the ledger do sync, names of folders included,
    and nothing else. Method: what strace sees of a process, in order, against its disk's record.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "calls"
    folders = (str(Path(__file__).parent), str(Path(recorded.__file__).parent))
    trace = ("strace", "-f", "-y", "-s", "64", "-e", "trace=fsync,fdatasync,write", "-o", str(log))
    command = [*trace, sys.executable, "-c", CHILD, *folders, name]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ptrace" in child.stderr:
        pytest.skip("strace may not trace here")
    assert child.returncode == 0, child.stderr
    lines = log.read_text().splitlines()
    (first,) = (n for n, line in enumerate(lines) if '"begins' in line)
    (last,) = (n for n, line in enumerate(lines) if '"ends' in line)
    sync = re.compile(r"f(?:data)?sync\(\d+<([^>]*)>")
    found = [sync.search(line) for line in lines[first:last]]
    seen = [Path(match[1]).name for match in found if match is not None]
    said = [line.split()[1] for line in child.stdout.splitlines() if line.startswith("synced")]
    assert seen == said
    assert len(seen) > 4


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_the_record_is_what_happened(history: History) -> None:
    """Goal: nothing is done to the folder that the disk does not know of. Method: a platter that
    lost nothing has the very files that lie in the real folder.
    """
    base = history.base()
    with Lab().disk(base.files) as disk:
        life = Life(disk, base.story())
        history.live(life)
        life.die()
        real = {path.name: path.read_bytes() for path in disk.folder.iterdir()}
    platter = disk.platter()
    for op in disk.ops:
        platter.do(op)
    assert platter.after(Loss.NONE, CHANCE) == real
    assert life.story.steps
