"""Alpaca's keys: which of several holds, what is missing, and that no text ever shows one.

Method: a settings file and an environment by hand; values that could be told from anything else.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_trader.config import load_settings
from algo_trader.config.env_file import data_dir_of
from algo_trader.config.keys import load_keys
from algo_trader.core.errors import ConfigError

OURS = ("ALGO_BROKER_API_KEY", "ALGO_BROKER_SECRET_KEY")
THEIRS = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
CANARY = "CANARY7d1f03aa"


def pair(names: tuple[str, str], source: str) -> dict[str, str]:
    """Both halves, told apart by where they come from."""
    return {names[0]: f"key-{source}", names[1]: f"secret-{source}"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Makes a settings file of variables or of raw lines."""

    def make(variables: dict[str, str] | None = None, *lines: str) -> Path:
        path = tmp_path / "my.env"
        said = [f"{name}={value}" for name, value in (variables or {}).items()]
        path.write_text("\n".join([*said, *lines]) + "\n")
        return path

    return make


@pytest.mark.parametrize(
    ("in_file", "in_environment", "wanted"),
    [
        (pair(OURS, "file"), {}, "file"),
        (pair(THEIRS, "file"), {}, "file"),
        ({}, pair(OURS, "environment"), "environment"),
        ({}, pair(THEIRS, "environment"), "environment"),
        (pair(OURS, "file"), pair(OURS, "environment"), "environment"),
        (pair(THEIRS, "file"), pair(THEIRS, "environment"), "environment"),
        (pair(OURS, "ours") | pair(THEIRS, "theirs"), {}, "ours"),
        ({}, pair(OURS, "ours") | pair(THEIRS, "theirs"), "ours"),
        (pair(OURS, "ours"), pair(THEIRS, "theirs"), "ours"),
    ],
)
def test_which_keys_hold(
    write: Callable[..., Path],
    in_file: dict[str, str],
    in_environment: dict[str, str],
    wanted: str,
) -> None:
    """Goal: our names before Alpaca's, the environment before the file; never a mixture."""
    keys = load_keys(write(in_file), in_environment)
    assert (keys.key_id, keys.secret) == (f"key-{wanted}", f"secret-{wanted}")


def test_one_half_from_each_place(write: Callable[..., Path]) -> None:
    """Goal: each name by itself is looked up in both places. Method: one half in each."""
    keys = load_keys(write({OURS[0]: "key"}), {OURS[1]: "secret"})
    assert (keys.key_id, keys.secret) == ("key", "secret")


def test_spaces_around_a_key(write: Callable[..., Path]) -> None:
    """Goal: what a paste leaves around a key is no part of it."""
    keys = load_keys(write({OURS[0]: '" key "'}), {OURS[1]: "\tsecret\n"})
    assert (keys.key_id, keys.secret) == ("key", "secret")


@pytest.mark.parametrize("names", [OURS, THEIRS])
@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_half_a_pair(
    write: Callable[..., Path], names: tuple[str, str], half: int, empty: str | None
) -> None:
    """Goal: the missing half is named; the other kind's half does not stand in for it."""
    given = {names[half]: CANARY}
    missing = names[1 - half]
    if empty is not None:
        given[missing] = empty
    if names is OURS:
        given |= pair(THEIRS, "theirs")
    with pytest.raises(ConfigError, match=f"^{missing} is missing") as caught:
        load_keys(write(), given)
    assert CANARY not in everything(caught.value)


def test_an_empty_variable_of_the_environment_counts(write: Callable[..., Path]) -> None:
    """Goal: who empties a variable means it: the file's value does not come back."""
    with pytest.raises(ConfigError, match=f"^{OURS[1]} is missing"):
        load_keys(write(pair(OURS, "file")), {OURS[1]: ""})


def test_no_keys_at_all(write: Callable[..., Path]) -> None:
    """Goal: both names and the way without keys are told."""
    with pytest.raises(ConfigError, match=r"no keys for Alpaca: set .* or start with --broker emb"):
        load_keys(write({"ALGO_BROKER__PAPER": "true"}), {"PATH": "/bin"})


BROKEN = [
    "{name}='{value}",
    '{name}="{value}',
    'export {name}="{value}',
    "{name}: {value}",
    "{name} {value}",
    "{name}:{value}",
    "{name}={value}\x07",
    "{name}='{value} {value}'",
    "{name}='\u201c{value}\u201d'",
    '"{name}": "{value}"',
]


@pytest.mark.parametrize("spelling", BROKEN)
@pytest.mark.parametrize("name", [*OURS, *THEIRS])
def test_no_text_shows_a_key(write: Callable[..., Path], spelling: str, name: str) -> None:
    """Goal: a line that is written wrongly is named, by file and name, without its value.

    Method: every reader of the file over lines with a canary; what they say is searched.
    """
    other = {each: "PKOTHER" for each in (*OURS, *THEIRS) if each != name}
    path = write(other, spelling.format(name=name, value=CANARY))
    for read in (
        lambda: load_keys(path, {}),
        lambda: load_settings(env_file=path, environ={}),
        lambda: data_dir_of(path),
    ):
        assert CANARY not in outcome(read)


@pytest.mark.parametrize("value", [f"{CANARY} {CANARY}", f"{CANARY}\x07", f"\u201c{CANARY}\u201d"])
@pytest.mark.parametrize("name", OURS)
def test_a_value_that_is_no_key(write: Callable[..., Path], name: str, value: str) -> None:
    """Goal: refused by name, before any library can put it into words of its own."""
    with pytest.raises(ConfigError, match=f"^{name} holds") as caught:
        load_keys(write(), pair(OURS, "x") | {name: value})
    assert CANARY not in everything(caught.value)


def test_keys_show_nothing_of_themselves() -> None:
    """Goal: neither in a log nor in a traceback of somebody else's. Method: every way to a text."""
    keys = load_keys(None, dict.fromkeys(OURS, CANARY))
    for said in (repr(keys), str(keys), f"{keys}", f"{[keys]!r}", f"{keys!r:>40}"):
        assert CANARY not in said
    assert not hasattr(keys, "__dict__")
    assert keys.scrubbed(f"no {CANARY}!".encode()) == b"no ***!"


def outcome(read: Callable[[], object]) -> str:
    """What a reader made, or what it said instead."""
    try:
        return repr(read())
    except ConfigError as error:
        return everything(error)


def everything(error: BaseException) -> str:
    """Whatever a caller may print of it."""
    return "".join(traceback.format_exception(error, limit=0)) + repr(error.args)
