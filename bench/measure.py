"""Child processes measured, and the table the figures are printed in.

This module and `run` import the standard library only. On Linux a child's peak memory starts from
the peak of the process it was started by, so a parent that had numpy or pyarrow in it would be
reported as its children's memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of `ru_maxrss`."""


class Child(NamedTuple):
    """One finished process: wall time, peak resident memory (MB of 10^6 bytes) and its words."""

    seconds: float
    peak_mb: float
    output: str
    failure: str | None


class Row(NamedTuple):
    """One line of the table; `is_met` is None where nothing could be measured or is asked."""

    measure: str
    value: str
    target: str
    is_met: bool | None
    note: str = ""


def run_child(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Child:
    """Run a command in `folder` to its end; a failure is told in its last line of stderr."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, cwd=folder, env=dict(environment), stdout=output, stderr=errors
            )
        except OSError as error:
            return Child(0.0, 0.0, "", str(error))
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        failure = None
        if process.returncode:
            said = read_back(errors).strip().splitlines() or ["no message"]
            failure = f"exit {process.returncode}: {said[-1]}"
        return Child(seconds, usage.ru_maxrss * RSS_UNIT / 1e6, read_back(output), failure)


def read_back(file: Any) -> str:
    """What a child wrote into a temporary file."""
    file.seek(0)
    return str(file.read().decode(errors="replace"))


class Series:
    """Repeated results of one thing measured; the first failure ends it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.figures: dict[str, list[float]] = {}
        self.failure: str | None = None

    def add(self, figures: Mapping[str, float]) -> None:
        """Keep one repeat's figures."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def add_child(self, child: Child) -> None:
        """Keep a child's wall time and peak memory, or that it failed."""
        self.failure = self.failure or child.failure
        if child.failure is None:
            self.add({"seconds": child.seconds, "peak_mb": child.peak_mb})

    def add_report(self, child: Child) -> None:
        """Keep what an engine's line of JSON says, or that it failed."""
        self.failure = self.failure or child.failure
        if child.failure is None:
            said = json.loads(child.output.splitlines()[-1])
            self.add({name: said[name] for name in ("bars", "seconds", "bars_per_s", "trades")})

    def middle(self, name: str) -> float | None:
        """The median of a figure, None if the series failed or is empty."""
        values = self.figures.get(name)
        return median(values) if values and self.failure is None else None

    def spread(self, name: str) -> str:
        """Lowest and highest of a figure, as text."""
        values = self.figures[name]
        return f"{min(values):,.0f} to {max(values):,.0f}"


def judge(
    measure: str,
    value: float | None,
    form: str,
    *,
    least: float | None = None,
    most: float | None = None,
    note: str | None = None,
) -> Row:
    """A row for one figure and its bound; without a figure, `note` says why there is none."""
    target, is_met = "", None
    if least is not None:
        target = f">= {least:{form}}"
        is_met = value is not None and value >= least
    elif most is not None:
        target = f"<= {most:{form}}"
        is_met = value is not None and value <= most
    if value is None:
        return Row(measure, "n/a", target, None, note or "not measured")
    return Row(measure, f"{value:{form}}", target, is_met, note or "")


def table(title: str, rows: Iterable[Row]) -> str:
    """The rows under a title, in columns."""
    words = {True: "pass", False: "FAIL", None: "-"}
    lines = [title]
    for row in rows:
        line = f"  {row.measure:<32} {row.value:>9}  {row.target:<10} {words[row.is_met]:<5}"
        lines.append(f"{line} {row.note}".rstrip())
    return "\n".join(lines)
