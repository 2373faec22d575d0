"""Rows of bars from CSV text, plain or gzip-compressed.

Owns the CSV file: encoding, compression, header and line numbers. What a row must hold is not its
business; it hands on seven texts for each row.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from algo_trader.core.errors import DataError
from algo_trader.feeds.rows import Place, TextRow, column_positions

UNIT = "line"


def csv_rows(path: Path) -> Generator[tuple[int, TextRow], None, None]:
    """The rows of the file, each with the physical line it begins on (the first line is 1).

    Blank lines are passed over. Raises DataError for a file that is not readable CSV in UTF-8
    and for a row that has another number of fields than the header.
    """
    with _text_of(path) as lines:
        records = _records(lines)
        line, names = next(records, (1, []))
        if not names:
            raise DataError(f"{path}: the file is empty: it must begin with its column names")
        pick = itemgetter(*column_positions(f"{path}, line {line}", names))
        width = len(names)
        for line, record in records:
            if len(record) != width:
                raise DataError(
                    f"{Place(path, UNIT, line)}: the row has {len(record)} fields, the header "
                    f"has {width}: complete the row or remove it"
                )
            yield line, pick(record)


class _CsvFault(Exception):
    """The csv module refused the record that begins on `line`."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def _records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line it begins on; a quoted field may span lines."""
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as problem:
        raise _CsvFault(line, str(problem)) from None


@contextmanager
def _text_of(path: Path) -> Iterator[TextIO]:
    """The file's text; whatever goes wrong with the file itself leaves as a DataError."""
    try:
        with _bytes_of(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError:
        raise DataError(
            f"{path}, line {_first_undecodable_line(path)}: the text is not UTF-8: "
            "save the file as UTF-8"
        ) from None
    except _CsvFault as fault:
        raise DataError(
            f"{Place(path, UNIT, fault.line)}: the row is not CSV ({fault}): "
            "check its quotation marks"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(
            f"{path}: the gzip data is broken or cut short ({problem}): fetch the file again"
        ) from None
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise DataError(f"{path}: the file cannot be read ({reason}): check it") from None


def _bytes_of(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _first_undecodable_line(path: Path) -> int:
    """The reader decodes in blocks and cannot tell the line, so the bytes are looked at again."""
    line = 0
    try:
        with _bytes_of(path) as lines:
            for raw in lines:
                line += 1
                raw.decode("utf-8")
    except (UnicodeDecodeError, EOFError, zlib.error, OSError):
        return line  # Damaged gzip ends here as well.
    return line
