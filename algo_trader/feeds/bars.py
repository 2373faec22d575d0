"""Bars from the files and folders an operator names.

Owns which files are read and what holds across rows and files: each bar once, bars in order of
time, every requested symbol there. What a row must hold is for `rows`; sessions are for `tape`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import attrgetter, lt
from pathlib import Path

from algo_trader.core.errors import DataError
from algo_trader.core.types import Bar, Instant, Symbol, is_symbol, iso, text
from algo_trader.feeds import csv_bars, parquet_bars, parquet_file
from algo_trader.feeds.collector import collector_paused
from algo_trader.feeds.rows import FIELDS, Place, checked_bar, shown
from algo_trader.feeds.shelf import Progress, Shelf

SUFFIXES = (".csv", ".csv.gz", ".parquet")

_start_of = attrgetter("start")
_numbers = attrgetter(*FIELDS[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBars:
    """Bars by symbol, symbols in code-point order, each list ascending by start without doubles."""

    bars: dict[Symbol, list[Bar]]
    rows_read: int
    """Rows in all files, those of symbols not asked for included."""
    duplicates: int
    """Rows dropped because an equal one was kept."""

    def fingerprint(self) -> str:
        """64 hexadecimal digits that depend on the bars alone, not on files, format or order."""
        digest = sha256()
        for symbol, bars in self.bars.items():
            for bar in bars:
                numbers = " ".join(map(text, _numbers(bar)))
                digest.update(f"{symbol} {bar.start} {numbers}\n".encode())
        return digest.hexdigest()


def load_bars(
    paths: Sequence[Path],
    symbols: Collection[Symbol] | None,
    progress: Progress | None = None,
) -> LoadedBars:
    """Read the bars of `symbols`, or of every symbol if that is None, from files and folders.

    A folder stands for the .csv, .csv.gz and .parquet files in it, not those in folders below.
    Every row of the symbols is checked; other rows are passed over. Of equal rows one is kept.
    `progress` is called now and then with the number of rows read so far.

    Raises DataError, one line naming file, row, field and remedy, for a file that cannot be read,
    a row that is wrong, two rows for one minute that differ, and a symbol without a bar.
    """
    for symbol in symbols or ():
        if not is_symbol(symbol):
            raise DataError(
                f"symbol {symbol!r} is not one: write a capital letter, then up to nine capitals, "
                "digits or dots"
            )
    files = files_of_bars(paths)
    shelf = Shelf(symbols)
    rows_read = 0
    for file in files:
        rows_read += _read(file, shelf, _after(progress, rows_read))
    loaded = {symbol: bars for symbol, bars in sorted(shelf.items()) if bars}
    _require(symbols, loaded, shelf, files)
    duplicates = sum(_put_in_order(bars, files) for bars in loaded.values())
    return LoadedBars(bars=loaded, rows_read=rows_read, duplicates=duplicates)


def _after(progress: Progress | None, rows_before: int) -> Progress:
    """Progress over all files from the progress within one."""

    def report(rows: int) -> None:
        if progress is not None:
            progress(rows_before + rows)

    return report


def files_of_bars(paths: Sequence[Path]) -> list[Path]:
    """The files to read, those of a folder by name; DataError for a path that leads to none."""
    if not paths:
        raise DataError("no bars: name at least one file or folder of bars")
    files: list[Path] = []
    for path in paths:
        try:
            files += _files_at(path)
        except OSError as problem:
            raise DataError(f"{path}: cannot be read ({problem.strerror}): check it") from None
    return files


def _files_at(path: Path) -> list[Path]:
    if path.is_dir():
        return _files_in(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder: correct the path")
    if not path.name.lower().endswith(SUFFIXES):
        raise DataError(f"{path}: not a file of bars: its name must end in {_suffixes()}")
    return [_regular(path)]


def _regular(file: Path) -> Path:
    """The path itself; DataError if opening it could wait for ever, as a pipe or a device may.

    A link that leads nowhere is left to who reads the file.
    """
    if file.exists() and not file.is_file():
        raise DataError(f"{file}: not a regular file: remove it, or name a file or folder")
    return file


def _files_in(folder: Path) -> list[Path]:
    """Files of bars in a folder; names that begin with a dot are other programs' side files."""
    files = [
        _regular(entry)
        for entry in sorted(folder.iterdir())
        if entry.name.lower().endswith(SUFFIXES)
        and not entry.name.startswith(".")
        and not entry.is_dir()
    ]
    if not files:
        raise DataError(f"{folder}: no file of bars in this folder: put {_suffixes()} files there")
    return files


def _suffixes() -> str:
    return f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"


def _is_parquet(file: Path) -> bool:
    return file.name.lower().endswith(".parquet")


def _read(file: Path, shelf: Shelf, progress: Progress) -> int:
    if _is_parquet(file):
        return parquet_bars.read_parquet(file, shelf, progress)
    with closing(csv_bars.csv_rows(file)) as rows, collector_paused():
        return shelf.put(file, csv_bars.UNIT, rows, progress)


def _require(
    symbols: Collection[Symbol] | None,
    loaded: dict[Symbol, list[Bar]],
    shelf: Shelf,
    files: Sequence[Path],
) -> None:
    """DataError if there is no bar at all or none of a symbol that was asked for."""
    where = _listed([str(file) for file in files])
    if symbols is None and not loaded:
        raise DataError(f"no bar in {where}: name files that have rows")
    absent = sorted(set(symbols or ()) - loaded.keys())
    if absent:
        there = _listed(sorted(shown(symbol) for symbol in shelf if symbol not in absent))
        raise DataError(
            f"no bar of {', '.join(absent)} in {where}: ask for a symbol that is there "
            f"({there or 'there is none'}) or add the file that has it"
        )


def _listed(names: Sequence[str]) -> str:
    """Names in one line, not more of them than anyone reads."""
    most = 12
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _put_in_order(bars: list[Bar], files: Sequence[Path]) -> int:
    """Sort the bars of a symbol by start and drop equal ones; the number dropped.

    Raises DataError naming both rows if two for one minute differ.
    """
    if _ascends(bars):
        return 0
    bars.sort(key=_start_of)
    if _ascends(bars):
        return 0
    kept: list[Bar] = []
    for bar in bars:
        if kept and kept[-1].start == bar.start:
            if kept[-1] != bar:
                raise _conflict(bar.symbol, bar.start, files)
        else:
            kept.append(bar)
    dropped = len(bars) - len(kept)
    bars[:] = kept
    return dropped


def _ascends(bars: list[Bar]) -> bool:
    """Whether each bar starts after the one before it."""
    starts = list(map(_start_of, bars))
    return all(map(lt, starts, islice(starts, 1, None)))


def _conflict(symbol: Symbol, start: Instant, files: Sequence[Path]) -> DataError:
    """The error for two rows that differ, found by reading again: bars don't know their rows."""
    what = f"two rows for {symbol} at {iso(start)}"
    first: tuple[Place, Bar] | None = None
    for place, bar in _rows_at(symbol, start, files):
        if first is None:
            first = place, bar
        elif bar != first[1]:
            values = zip(FIELDS[2:], _numbers(first[1]), _numbers(bar), strict=True)
            field, one, other = next(each for each in values if each[1] != each[2])
            return DataError(
                f"{first[0]} and {place}: {what} differ in {field}, "
                f"{text(one)} and {text(other)}: remove one of them"
            )
    return DataError(f"{what} differed, but the files changed since: load them again")


def _rows_at(symbol: Symbol, start: Instant, files: Sequence[Path]) -> Iterator[tuple[Place, Bar]]:
    """Every row of a symbol's minute with its place, in the order of files and rows."""
    for file in files:
        if _is_parquet(file):
            unit, numbered = parquet_file.UNIT, parquet_file.parquet_rows(file)
        else:
            unit, numbered = csv_bars.UNIT, csv_bars.csv_rows(file)
        with closing(numbered) as rows:
            for number, row in rows:
                if row[1] == symbol:
                    place = Place(file, unit, number)
                    bar = checked_bar(place, row)
                    if bar.start == start:
                        yield place, bar
