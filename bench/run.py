"""Measure algo-trader against its targets: `uv run python bench/run.py [--rivals] [--quick]`.

Every figure comes from processes of its own, started in turn so that a slow spell of the machine
falls on all of them alike; medians are reported. Data, the rivals' virtualenv and bytecode live
in a cache folder outside of the repository. The exit code says nothing about the targets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

sys.dont_write_bytecode = True  # nothing is written into the repository

from measure import Child, Row, Series, judge, run_child, table  # noqa: E402 - after that

HERE = Path(__file__).resolve().parent
RIVAL_PACKAGES = ("backtrader==1.9.78.123", "nautilus_trader==1.221.0", "pyarrow")
YEAR = 252
YEAR_BARS = YEAR * 390
PATH_TARGET = 300_000
FIVE_TARGET = 200_000
LINEAR_TARGET = 2.1
BACKTRADER_TARGET = 25.0
NAUTILUS_TARGET = 12.0
COLD_TARGET_S = 1.0
MEMORY_TARGET_MB = 160.0
HELP_TARGET_MS = 80.0


class Bench(NamedTuple):
    """Where things are and how often they are run."""

    cache: Path
    repeats: int
    starts: int

    def child(self, *command: str | Path) -> Child:
        """Run one command in the cache folder, its bytecode kept there too."""
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(self.cache / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        scratch = self.cache / "scratch"
        scratch.mkdir(exist_ok=True)
        return run_child([str(word) for word in command], scratch, environment)


def default_cache() -> Path:
    """A folder of this user's in the system's temporary directory."""
    return Path(tempfile.gettempdir()) / f"algo-trader-bench-{os.getuid()}"


def make_bars(bench: Bench) -> tuple[list[Path], Path]:
    """Five files of a symbol-year each, and one of two years of the first symbol."""
    folders = [bench.cache / "data" / name for name in ("year", "two-years")]
    for folder, symbols, sessions in zip(folders, (5, 1), (YEAR, 2 * YEAR), strict=True):
        made = bench.child(
            sys.executable, HERE / "generate.py", folder,
            "--symbols", str(symbols), "--sessions", str(sessions),
        )  # fmt: skip
        if made.failure:
            raise SystemExit(f"no bars could be made: {made.failure}")
    return sorted(folders[0].glob("*.parquet")), next(folders[1].glob("*.parquet"))


def rivals_python(cache: Path) -> Path | None:
    """The interpreter of the rivals' private virtualenv, made with uv; None if it cannot be."""
    python = cache / "rivals" / "bin" / "python"
    uv = shutil.which("uv")
    if uv is None:
        print("rivals left out: uv is not on the path")
        return None
    steps = [["pip", "install", "--quiet", "--python", str(python), *RIVAL_PACKAGES]]
    if not python.exists():
        steps.insert(0, ["venv", "--quiet", "--python", sys.executable, str(cache / "rivals")])
    for step in steps:
        if subprocess.run([uv, *step], cwd=cache, check=False).returncode:
            print("rivals left out: their packages could not be installed")
            return None
    return python


def run_engines(bench: Bench, with_rivals: bool) -> tuple[dict[str, Series], bool]:
    """Every engine once a round, in turn, a fresh process each time."""
    year, two_years = make_bars(bench)
    python = rivals_python(bench.cache) if with_rivals else None
    ours = (sys.executable, HERE / "ours.py")
    commands: dict[str, tuple[str | Path, ...]] = {
        "one": (*ours, year[0]),
        "two years": (*ours, two_years),
        "five": (*ours, *year),
    }
    if python is not None:
        for name in ("backtrader", "nautilus"):
            commands[name] = (python, HERE / "rivals" / f"{name}_sma.py", year[0])
    series = {name: Series(name) for name in commands}
    for _ in range(bench.repeats):
        for name, command in commands.items():
            if series[name].failure is None:
                series[name].add_report(bench.child(*command))
    return series, python is not None


def path_rows(series: dict[str, Series]) -> list[Row]:
    """The whole path's speed for one and five symbols, and how it grows with the history."""
    one, five, two = series["one"], series["five"], series["two years"]
    rows = [
        speed_row("one symbol-year, bars/s", one, PATH_TARGET),
        speed_row("five symbols together, bars/s", five, FIVE_TARGET),
    ]
    short, long = one.middle("seconds"), two.middle("seconds")
    growth = long / short if short and long else None
    note = one.failure or two.failure
    rows.append(judge("two years' time over one's", growth, ".2f", most=LINEAR_TARGET, note=note))
    return rows


def speed_row(measure: str, series: Series, least: float | None = None) -> Row:
    """Median bars per second, with lowest, highest and the number of trades as a note."""
    speed, note = series.middle("bars_per_s"), series.failure
    if speed is not None:
        note = f"{series.spread('bars_per_s')}; {series.middle('trades'):,.0f} trades"
    return judge(measure, speed, ",.0f", least=least, note=note)


def rival_rows(series: dict[str, Series]) -> list[Row]:
    """The rivals' speed on the same bars, and ours over theirs."""
    ours = series["one"].middle("bars_per_s")
    rows, met = [], []
    for name, least in (("backtrader", BACKTRADER_TARGET), ("nautilus", NAUTILUS_TARGET)):
        theirs = series[name].middle("bars_per_s")
        ratio = ours / theirs if ours and theirs else None
        note = series["one"].failure or series[name].failure
        rows.append(speed_row(f"{name}, bars/s", series[name]))
        row = judge(f"ours over {name}", ratio, ".1f", least=least, note=note)
        rows.append(row)
        met.append(row.is_met)
    either = None if met == [None, None] else any(met)
    rows.append(Row("one of the two ratios is enough", "", "", either))
    return rows


def cold_rows(bench: Bench) -> list[Row]:
    """A whole `algo-trader backtest` from Parquet: wall time and peak memory of the process."""
    bars = bench.cache / "data" / "year" / "SYNA.parquet"
    program = Path(sys.executable).with_name("algo-trader")
    command = (program, "backtest", bars.stem, "--bars", bars, "--no-save", "--json")
    cold = Series("cold")
    first = bench.child(*command)  # untimed: it fills the caches of bytecode and of the disk
    cold.failure = first.failure or wrong_bars(first.output)
    for _ in range(bench.starts if cold.failure is None else 0):
        cold.add_child(bench.child(*command))
    seconds, peak = cold.middle("seconds"), cold.middle("peak_mb")
    return [
        judge("wall time, s", seconds, ".2f", most=COLD_TARGET_S, note=cold.failure),
        judge("peak memory, MB", peak, ".0f", most=MEMORY_TARGET_MB, note=cold.failure),
    ]


def wrong_bars(output: str) -> str | None:
    """What is wrong with a backtest's JSON if it is not of a whole symbol-year."""
    try:
        bars = json.loads(output)["run"]["bars"]
    except (ValueError, KeyError, TypeError) as error:
        return f"not a backtest's JSON: {error}"
    return None if bars == YEAR_BARS else f"{bars} bars instead of {YEAR_BARS}"


def help_rows(bench: Bench) -> list[Row]:
    """`algo-trader --help` and an empty program of the same interpreter, in turn."""
    program = Path(sys.executable).with_name("algo-trader")
    asked, bare = Series("help"), Series("bare")
    bench.child(program, "--help")  # untimed, as above
    for _ in range(3 * bench.starts):
        if asked.failure is None:
            asked.add_child(bench.child(program, "--help"))
        bare.add_child(bench.child(sys.executable, "-c", "pass"))
    slow, quick = asked.middle("seconds"), bare.middle("seconds")
    over = None if slow is None or quick is None else (slow - quick) * 1e3
    return [
        judge("python -c pass, ms", None if quick is None else quick * 1e3, ".0f"),
        judge("--help over it, ms", over, ".0f", most=HELP_TARGET_MS, note=asked.failure),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each section and print its table as soon as it is there."""
    parser = argparse.ArgumentParser(description="Measure algo-trader against its targets.")
    parser.add_argument("--rivals", action="store_true", help="run backtrader and nautilus too")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="default: %(default)s")
    asked = parser.parse_args(arguments)
    cache: Path = asked.cache.resolve()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    bench = Bench(cache, repeats=2 if asked.quick else 5, starts=3 if asked.quick else 10)
    load = os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}")
    sections: list[tuple[str, Callable[[], list[Row]]]] = [
        ("Cold process from Parquet, one symbol-year", lambda: cold_rows(bench)),
        ("Start of the command line", lambda: help_rows(bench)),
    ]
    series, has_rivals = run_engines(bench, asked.rivals)
    print(table("Whole path, bars loaded", path_rows(series)))
    if has_rivals:
        print(table("Rivals, the same bars", rival_rows(series)))
    for title, rows in sections:
        print(table(title, rows()))


if __name__ == "__main__":
    main()
