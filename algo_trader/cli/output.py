"""Answers to files and warnings to stderr. A file appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from algo_trader.cli.main import Globals, say
from algo_trader.core.errors import ConfigError
from algo_trader.feeds.bars import SUFFIXES, files_of_bars
from algo_trader.ledger.errors import StorageError

STDOUT = Path("-")


def warn(options: Globals, message: str) -> None:
    """A warning on stderr, unless quiet was asked for."""
    if options.verbosity >= 0:
        say(f"Warning: {message}")


def tell(options: Globals, message: str) -> None:
    """A line on what is done, on stderr, if verbose was asked for."""
    if options.verbosity > 0:
        say(message)


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
        if output == STDOUT:
            raise ConfigError(
                "--decisions and --report write files: name one in place of -, since standard "
                "output carries the answer"
            )
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


class Outputs:
    """The files of one answer: they take their names together, after everything went well.

    Each is written beside its place under a passing name that ends in `.part`. Leaving the block
    gives them all their names or, after an exception of any kind, removes them. Raises ConfigError
    for a file that cannot be made, StorageError for one that cannot be written to its end.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def open(self, path: Path) -> Callable[[str], None]:
        """Begin a file; what is returned adds a line to it."""
        part = _Part(path, _place(path))
        self._parts.append(part)  # Before it is there: a signal may come between any two lines.
        file = part.make()

        def write(line: str) -> None:
            try:
                file.write(line + "\n")
            except OSError as error:
                raise part.failed(error) from error

        return write

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                for part in self._parts:
                    part.finish()
                for part in self._parts:
                    part.take_name()
        finally:
            for part in self._parts:
                part.discard()


class _Part:
    """A file on its way to `place`; messages name it as it was asked for."""

    def __init__(self, asked: Path, place: Path) -> None:
        self._asked = asked
        self._place = place
        self._passing = place.with_name(f".{os.urandom(8).hex()}.part")
        self._file: IO[str] | None = None

    def make(self) -> IO[str]:
        try:
            self._file = self._passing.open("x", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {self._asked}: {error.strerror}") from error
        return self._file

    def finish(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            raise self.failed(error) from error

    def take_name(self) -> None:
        try:
            self._passing.replace(self._place)
        except OSError as error:
            raise self.failed(error) from error

    def discard(self) -> None:
        """Leave nothing under the passing name."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        with suppress(OSError):
            self._passing.unlink(missing_ok=True)

    def failed(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._asked}: {error.strerror}; it was left as it was")
