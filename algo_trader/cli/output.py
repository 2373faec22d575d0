"""Answers to files and warnings to stderr. A file appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import click

from algo_trader.cli.main import Globals
from algo_trader.core.errors import ConfigError
from algo_trader.feeds.bars import SUFFIXES, files_of_bars


def warn(options: Globals, message: str) -> None:
    """A warning on stderr, unless quiet was asked for."""
    if options.verbosity >= 0:
        click.echo(f"Warning: {message}", err=True)


def require_outputs(
    outputs: Sequence[Path | None], bars: Sequence[Path], others: Sequence[str | Path | None]
) -> None:
    """Before any work: every answer can be written, and none over an input or another answer.

    `bars` are the paths of the input, folders included; `others` are further files of the run.
    ConfigError names the path and the remedy.
    """
    taken = {_place(file) for file in files_of_bars(bars)}
    taken |= {_place(Path(other)) for other in others if other}
    folders = {_place(path) for path in bars if path.is_dir()}
    for output in filter(None, outputs):
        place = _place(output)
        if place.exists() and not place.is_file():
            raise ConfigError(f"{output} is not a regular file: name a file to write")
        if place in taken:
            raise ConfigError(f"{output} is a file of this run already: write the answer elsewhere")
        if place.parent in folders and place.name.lower().endswith(SUFFIXES):
            raise ConfigError(
                f"{output} would be read as bars by the next run: write it outside {output.parent}"
            )
        if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
            raise ConfigError(f"cannot write {output}: {output.parent} is no folder to write in")
        taken.add(place)


def _place(path: Path) -> Path:
    """Where a path leads; ConfigError for a loop of links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{path} leads nowhere: {error}") from error


class AtomicLines:
    """A text file of lines that takes its name only when everything went well.

    Without a path it is nothing at all. Raises ConfigError where the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else _place(path)
        self._file: IO[str] | None = None

    def write(self, line: str) -> None:
        """Add one line."""
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
        except OSError as error:
            raise ConfigError(f"cannot write {self._path}: {error.strerror}") from error

    def __enter__(self) -> AtomicLines:
        if self._path is not None:
            try:
                self._file = tempfile.NamedTemporaryFile(
                    "w", encoding="utf-8", dir=self._path.parent, prefix=".", suffix=".part",
                    delete=False,
                )
            except OSError as error:
                raise ConfigError(f"cannot write {self._path}: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None or self._path is None:
            return
        part = Path(self._file.name)
        try:
            self._file.close()
            if kind is None:
                umask = os.umask(0)
                os.umask(umask)
                part.chmod(0o666 & ~umask)
                part.replace(self._path)
        except OSError as failure:
            raise ConfigError(f"cannot write {self._path}: {failure.strerror}") from failure
        finally:
            part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with AtomicLines(path) as lines:
        lines.write(text)
