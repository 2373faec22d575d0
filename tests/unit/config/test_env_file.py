"""The settings file: quotes around names and values, the data directory, what is not read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_trader.config import load_settings
from algo_trader.config.env_file import data_dir_of
from algo_trader.core.errors import ConfigError

SPELLINGS = [
    "{name}={value}",
    "export {name}={value}",
    '{name}="{value}"',
    "{name} = '{value}'  # why",
    '"{name}"="{value}"',
    "'{name}'={value}",
    '"{name}"={value}',
    "{name}=other\n{name}={value}",
    "\ufeff{name}={value}",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_quotes_change_nothing(tmp_path: Path, spelling: str) -> None:
    """Goal: no line of ours is passed over in silence, and both readers agree."""
    path = tmp_path / "my.env"
    path.write_text(spelling.format(name="ALGO_VELEZ__SMA_FAST", value="7"), encoding="utf-8")
    assert load_settings(env_file=path, environ={}).settings.velez.sma_fast == 7
    assert data_dir_of(path) is None
    path.write_text(spelling.format(name="ALGO_DATA_DIR", value="a/b"), encoding="utf-8")
    assert data_dir_of(path) == Path("a/b")
    load_settings(env_file=path, environ={})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ALGO_DATA_DIR", "ALGO_DATA_DIR ({path} line 1) has no value"),
        ("\nALGO_DATA_DIR='x", "({path} line 2) cannot be read; write NAME=value, quotes closed"),
        ("ALGO_DATA_DIR={path}", "({path} line 1), which is not a folder"),
        ("ALGO_DATA_DIR=~nobody-of-this-name/x", "({path} line 1): "),
    ],
)
def test_a_data_directory_that_is_none(tmp_path: Path, content: str, message: str) -> None:
    """Goal: never another directory than the one that was meant."""
    path = tmp_path / "my.env"
    path.write_text(content.format(path=path))
    with pytest.raises(ConfigError) as caught:
        data_dir_of(path)
    assert message.format(path=path) in str(caught.value)


def test_no_file_and_no_line_is_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: the default is the caller's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert data_dir_of(None) is None
    for content in ("", "ALGO_DATA_DIR=", "OTHER='", "algorithm=1"):
        Path(".env").write_text(content)
        assert data_dir_of(None) is None
    Path(".env").write_text("ALGO_DATA_DIR=~/algo")
    assert data_dir_of(None) == tmp_path / "me" / "algo"
    Path(".env").unlink()
    Path(".env").symlink_to("gone.env")
    with pytest.raises(ConfigError, match=r"\.env does not exist"):
        data_dir_of(None)


def settings_of(path: Path) -> object:
    return load_settings(env_file=path, environ={})


@pytest.mark.parametrize("read", [data_dir_of, settings_of])
def test_what_is_no_file_is_not_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """Goal: an error in place of waiting for ever; /dev/null is the usual word for no file."""
    pipe = tmp_path / "pipe.env"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="it is not a regular file"):
            read(path)
    read(Path(os.devnull))


def test_the_data_directory_costs_no_table_of_settings(tmp_path: Path) -> None:
    """Goal: a verb that only wants the directory starts at once. Method: a fresh interpreter."""
    (tmp_path / ".env").write_text("ALGO_DATA_DIR=x")
    script = (
        "import sys; from algo_trader.config.env_file import data_dir_of; "
        "assert str(data_dir_of(None)) == 'x'; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not {"pydantic", "pydantic_settings"} & set(done.stdout.split())
