"""docs/exchange.md names every option, point, action, condition and journal entry there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from algo_trader.cli.exchange import serve
from algo_trader.exchange.control import Control
from algo_trader.exchange.fault_script import rule_of
from algo_trader.exchange.fault_words import ACTIONS, CLOCK, CONDITIONS, NOW, POINTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "exchange.md").read_text()
QUOTED = set(re.findall(r"`([^`\n]+)`", PAGE))


def rows(action: str) -> str:
    """The table rows that define an action."""
    return "\n".join(
        line
        for line in PAGE.splitlines()
        if line.startswith("| `") and f"`{action}`" in line.split("|")[1]
    )


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_is_explained_with_its_words(action: str) -> None:
    """Goal: nothing can be scripted that the page does not tell. Method: find the action's rows and
    each of its words in them.
    """
    found = rows(action)
    assert found
    for word in ACTIONS[action].params:
        # Which line suffers is told once, below the tables.
        if word not in ("stream", "order", "of"):
            assert f"`{word}`" in found, word


def test_points_conditions_and_options() -> None:
    """Goal: the other tables are whole. Method: compare with the program's own lists."""
    for word in (*POINTS, CLOCK, NOW, *CONDITIONS):
        assert word in QUOTED, word
    options = {name for option in serve.params if isinstance(option, click.Option)
               for name in option.opts}  # fmt: skip
    for name in options - {"-h", "--help"}:
        assert name in QUOTED, name


def test_the_testers_door_is_listed() -> None:
    """Goal: every request of the tester's door is in its table."""
    for method, path, _ in Control.deeds(Control.__new__(Control)):
        assert f"`{method} {path}" in PAGE, path


def test_every_kind_of_entry_is_listed() -> None:
    """Goal: the journal's kinds are the page's. Method: collect them from the source."""
    kinds = set()
    for file in (ROOT / "algo_trader" / "exchange").glob("*.py"):
        kinds |= set(re.findall(r'(?:_tell|journal\.add|\.add)\(\s*"(\w+)"', file.read_text()))
    assert len(kinds) > 10
    assert kinds <= QUOTED


def test_the_example_script_is_one() -> None:
    """Goal: the page's script can be used as it stands."""
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    entries = tomllib.loads(found[1])["fault"]
    assert [rule_of(entry, "page").do for entry in entries] == ["execute_then_drop", "drop_bar"]
