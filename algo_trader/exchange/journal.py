"""What the exchange saw and did, one JSON object a line, in memory and in a file if one is named.

An oracle may judge a client by it afterwards. The secret key never gets in: it is taken out of
every line before the line is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from algo_trader.core.errors import ConfigError
from algo_trader.exchange.wire import dumps, rfc3339

HIDDEN = "***"


class Journal:
    """Entries in order. `now` tells virtual time; each entry holds its number and both times."""

    def __init__(self, now: Callable[[], float], secret: str, file: Path | None = None) -> None:
        self._now = now
        self._secret = json.dumps(secret)[1:-1]
        self._lines: list[str] = []
        self._file: TextIO | None = None
        if file is not None:
            try:
                self._file = file.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise ConfigError(f"--journal {file}: {error.strerror}: name another") from error

    def add(self, kind: str, **facts: Any) -> None:
        """Keep one entry."""
        line = dumps(
            {
                "n": len(self._lines) + 1,
                "at": rfc3339(self._now()),
                "real": round(time.time(), 6),
                "kind": kind,
                **facts,
            }
        )
        if self._secret:
            line = line.replace(self._secret, HIDDEN)
        self._lines.append(line)
        if self._file is not None:
            self._file.write(line + "\n")

    def entries(self, kind: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The entries numbered above `after`, all or those of one kind."""
        return [entry for entry in self._read(after) if kind is None or entry["kind"] == kind]

    def _read(self, after: int) -> Iterator[dict[str, Any]]:
        for line in self._lines[max(after, 0) :]:
            yield json.loads(line)

    def __len__(self) -> int:
        return len(self._lines)

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None
