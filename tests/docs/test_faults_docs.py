"""docs/faults.md: every test it names is there, and every row has one or says that it has none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
NAMED = re.compile(r"`(test_\w+)::(test_\w+)`")
LETTERS = "ABCDEFGH"


def rows() -> list[list[str]]:
    """The cells of every row that has an id or a test."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "id" and set(row[0]) != {"-"}]


def test_every_named_test_is_there() -> None:
    """Goal: the page proves what it says. Method: each name is looked for in the file of its name.
    """
    files: dict[str, str] = {}
    for file in (ROOT / "tests").rglob("test_*.py"):
        files[file.stem] = files.get(file.stem, "") + file.read_text()
    named = NAMED.findall(PAGE.read_text())
    assert named
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in files[file]]
    assert missing == []


def test_every_row_is_honest() -> None:
    """Goal: a situation has a test, or the page says plainly that it has none."""
    for row in rows():
        assert len(row) == 4, row
        assert NAMED.search(row[3]) or "not covered" in row[3], row
    for letter in LETTERS:
        ids = [name for row in rows() for name in row[0].split(", ") if name.startswith(letter)]
        assert [int(name[1:]) for name in ids] == list(range(1, len(ids) + 1)), letter
