"""The settings file, `.env` or another: its lines, and the data directory it may name.

Owns which file is read and what python-dotenv's grammar makes of it. What the names mean is for
`loading`. Imports neither pydantic nor the table of settings, so that a verb which only wants the
data directory starts at once.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from algo_trader.config.messages import quoted
from algo_trader.config.values import ENV_PREFIX
from algo_trader.core.errors import ConfigError

DEFAULT_ENV_FILE = Path(".env")
DATA_DIR = "ALGO_DATA_DIR"
KEY_NAMES = ("ALGO_BROKER_API_KEY", "ALGO_BROKER_SECRET_KEY")
"""The broker's key and its secret."""
OTHER_KEY_NAMES = ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
"""The same under the names that Alpaca's own programs use."""
_NAME = re.compile(r"\s*(?:export\s+)?[\"']?(\w*)")


class Line(NamedTuple):
    """A variable of ours as it stands in the file; `where` is file and line in words."""

    name: str
    value: str
    where: str


def env_file_in_force(named: Path | None) -> Path | None:
    """The file that was named, else `.env` of the working directory if there is one."""
    if named is None and os.path.lexists(DEFAULT_ENV_FILE):
        return DEFAULT_ENV_FILE
    return named


def is_ours(name: str) -> bool:
    """Whether a variable is meant for this program."""
    # In any case, so that algo_risk__... is not passed over but told its right name.
    return name.upper().startswith(ENV_PREFIX)


def lines_of(
    path: Path, problems: list[str], also: Collection[str] = ()
) -> Iterator[Line]:
    """The file's variables of ours in its order, and those of the names in `also`; lines that say
    nothing go to `problems`.

    `${NAME}` is not expanded: that would read the process's environment past the caller. Raises
    ConfigError for a file that cannot be read.
    """
    from dotenv.parser import parse_stream  # 30 ms, paid only where there is a file.

    for binding in parse_stream(io.StringIO(_content(path))):
        source = binding.original.string
        # The parser counts the blank lines before a line as part of it.
        blank = source[: len(source) - len(source.lstrip())].count("\n")
        where = f"{path} line {binding.original.line + blank}"
        if binding.error:
            # The library would log this and go on without the line.
            if ENV_PREFIX in source.upper():
                name = quoted(_name_at(source))
                problems.append(f"{name} ({where}) cannot be read; write NAME=value, quotes closed")
            continue
        if binding.key is None:
            continue
        name = binding.key.strip("\"'")  # The grammar leaves double quotes on a name.
        if not is_ours(name) and name not in also:
            continue
        if binding.value is None:
            name = _name_at(name)
            problems.append(f"{name} ({where}) has no value; write {name}=value")
        else:
            yield Line(name, binding.value, where)


def _name_at(source: str) -> str:
    """The name that a line begins with. What follows it is not shown: it may be a secret."""
    found = _NAME.match(source)
    return found[1] if found is not None else ""


def data_dir_of(named: Path | None) -> Path | None:
    """The data directory that the settings file names, a leading `~` expanded; None if it does not.

    Of two lines the last holds. ConfigError for a file or line that cannot be read, and for a path
    that is no folder.
    """
    path = env_file_in_force(named)
    if path is None:
        return None
    problems: list[str] = []
    last = None
    for line in lines_of(path, problems):
        last = line if line.name == DATA_DIR else last
    if problems:
        raise ConfigError("\n".join(problems))
    if last is None or not last.value:
        return None
    try:
        folder = Path(last.value).expanduser()
        is_in_the_way = folder.exists() and not folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{DATA_DIR} is {quoted(last.value)} ({last.where}): {error}") from None
    if is_in_the_way:
        raise ConfigError(
            f"{DATA_DIR} is {quoted(last.value)} ({last.where}), which is not a folder: name one"
        )
    return folder


def _content(path: Path) -> str:
    try:
        if path.exists() and not (path.is_file() or path == Path(os.devnull)):
            # Reading a pipe or a device could wait for ever.
            raise ConfigError(
                f"the settings file {path} cannot be read: it is not a regular file; check "
                "--env-file"
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"the settings file {path} does not exist; check --env-file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"the settings file {path} cannot be read: {reason}") from None
