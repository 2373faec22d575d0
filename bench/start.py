"""How long a start takes as the ledger grows: from the process's first instruction to the book that
reconciliation begins with.

    uv run python bench/start.py [--quick] [--json] [--cache DIR]

Ledgers of 10,000, 100,000 and 1,000,000 facts (years of trading by hand-made but legal facts:
signals refused and taken, entries that fill, expire or are moved, stop-outs, corrections) are made
once and kept in the cache. A start is a process of its own that does what `algo-trader start` does
with the ledger: bring it to this version, check it, read the settings in it, `Daemon.prepare()`.
The last three are without broker and bars. It is measured

* as a life leaves it that ended in good order (a snapshot of the last fact);
* as a crash may leave it at worst (20,000 facts after the last snapshot);
* without a snapshot, as after an upgrade of the program: every fact is folded.

Beside it, in the same run: a process that only reads every fact's row with sqlite3. Compare ratios,
not seconds. Medians of several starts; the files are in the system's cache.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from random import Random
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

from ledger import OPENS_AT, QTY, order_facts
from measure import Row, judge, run_child, table
from run import default_cache

from algo_trader.core import events as ev
from algo_trader.core.types import MINUTE, ClientOrderId, DecisionId, Role, Side
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import examine
from algo_trader.ledger.writer import KEPT_BETWEEN
from algo_trader.runtime.paths import AccountFolder

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
SIGNALS = 60
"""A session, over all symbols."""
SIZES = (10_000, 100_000, 1_000_000)
GROUP = 1_000
READY_S = 3.0
GROWTH = 1.5
TAIL = KEPT_BETWEEN - 1
FORMS = ("ended", "crashed", "unknown")
NOTES = {
    "ended": "snapshot of the last fact",
    "crashed": f"{TAIL:,} facts after the snapshot, or all",
    "unknown": "no snapshot: every fact is folded",
}


def history() -> Iterator[ev.Fact]:
    """Sessions without end: per session so many signals, drawn from a seed."""
    chance = Random(1)
    yield ev.AccountPinned(at=OPENS_AT, account="bench", cash=Decimal(100_000))
    for day in count():
        at = OPENS_AT + day * 86_400
        session = date(2024, 1, 2) + timedelta(days=day)
        yield ev.SessionOpened(at=at, session=session, equity=Decimal(100_000))
        for number in range(SIGNALS):
            begin = at + number * 6 * MINUTE
            yield from _signal(chance, SYMBOLS[number % len(SYMBOLS)], begin)
        if chance.random() < 0.2:
            price = Decimal(chance.randint(9_000, 11_000)) / 100
            yield ev.BarCorrected(
                at=at, symbol="AAA", start=at, open=price, high=price, low=price, close=price,
                volume=Decimal(100),
            )  # fmt: skip


def _signal(chance: Random, symbol: str, at: int) -> Iterator[ev.Fact]:
    """A signal and what comes of it: nothing, an entry that expires, or a round trip."""
    decision = DecisionId(f"bench-velez-{symbol}-{at}")
    price = Decimal(chance.randint(9_000, 11_000)) / 100
    fate = chance.random()
    rule = "MAX_POSITIONS" if fate < 0.4 else None
    yield ev.SignalDecided(
        at=at, decision=decision, strategy="velez", symbol=symbol, side=Side.LONG, entry=price,
        stop=price - 1, expires_at=at + 2 * MINUTE, rule=rule,
    )  # fmt: skip
    if rule is not None:
        return
    ids = (f"{decision}-{name}" for name in ("entry-1", "stop-1", "stop-2"))
    entry, stop, moved = map(ClientOrderId, ids)
    yield from order_facts(decision, entry, Role.ENTRY, at, price, at, symbol=symbol)
    if fate < 0.7:
        yield ev.CancelRequested(at=at + 120, order_id=entry, reason="EXPIRED")
        yield ev.OrderCanceled(at=at + 120, order_id=entry)
        return
    half = QTY / 2
    yield ev.OrderFilled(at=at + 60, order_id=entry, qty=half, price=price, cum_qty=half)
    yield ev.OrderFilled(at=at + 60, order_id=entry, qty=half, price=price, cum_qty=QTY)
    yield ev.StopSet(at=at + 60, strategy="velez", symbol=symbol, price=price - 1)
    yield from order_facts(decision, stop, Role.STOP, at + 60, price - 1, at, symbol=symbol)
    better = price - Decimal("0.5")
    yield ev.StopSet(at=at + 120, strategy="velez", symbol=symbol, price=better)
    yield from order_facts(decision, moved, Role.STOP, at + 120, better, at, stop, symbol=symbol)
    yield ev.OrderReplaced(at=at + 120, order_id=stop, replaced_by=moved)
    if fate > 0.99 and at % 2:
        return  # Held over night.
    yield ev.OrderFilled(at=at + 180, order_id=moved, qty=QTY, price=better, cum_qty=QTY)


def made(cache: Path, facts: int, form: str) -> Path:
    """A ledger of so many facts in that form; all forms are made once, of one another."""
    paths = {name: cache / f"ledger-1-{facts}-{name}-{TAIL}.db" for name in FORMS}
    path, crashed = paths[form], paths["crashed"]
    if path.exists():
        return path
    partial = path.with_name(path.name + ".making")
    partial.unlink(missing_ok=True)
    if path != crashed:
        shutil.copyfile(made(cache, facts, "crashed"), partial)
    with Ledger.open(partial, check=False) as ledger:
        if form == "ended":
            ledger.keep_fold()
        elif form == "unknown":
            ledger._driver.execute("DELETE FROM fold_snapshot")
        else:
            told = history()
            for number, rest in ((facts - TAIL, TAIL), (facts, 0)):
                while group := list(islice(told, min(GROUP, max(0, number - ledger.count())))):
                    ledger.append(group)
                if rest and ledger.count():
                    ledger.keep_fold()
    partial.rename(path)
    return path


def prepared(path: Path) -> dict[str, Any]:
    """In a process of its own: a start up to the book, and what of it was the ledger's."""
    begin = time.perf_counter()
    from algo_trader.cli.alpaca_account import open_ledger
    from algo_trader.config import load_settings
    from algo_trader.engine.intake import Intake
    from algo_trader.ledger.writer import Writer
    from algo_trader.runtime.daemon import Daemon, Parts
    from algo_trader.runtime.gate import Gate
    from algo_trader.runtime.lines import Lines
    from algo_trader.runtime.pump import PumpTerms
    from algo_trader.strategies import Velez
    from algo_trader.wiring.trading import Trading, wire_engine

    def log(event: str, /, **fields: object) -> None:
        pass

    imported = time.perf_counter()
    place = AccountFolder(path.parent)
    settings = load_settings(environ={}, env_file=None).settings
    trading = Trading(name="velez", cls=Velez, parameters={}, symbols=SYMBOLS)
    open_ledger(place, 1 << 40)
    parts = Parts(
        broker_name="none",
        broker=cast(Any, None),
        market=cast(Any, SimpleNamespace(now=OPENS_AT)),
        writer=Writer(lambda: Ledger.open(place.ledger, check=False)),
        make_engine=lambda book: wire_engine(book, settings, trading, None),
        make_intake=lambda engine: Intake(engine, settings.reconcile.stop_pct),
        terms=PumpTerms(is_lockstep=False),
        ends_with_market=False,
        log=log,
        narrate=lambda book, facts: None,
        gate=(gate := Gate(log)),
        lines=Lines(gate, log),
    )

    async def main() -> int:
        daemon = Daemon(parts)
        await daemon.prepare()
        return daemon.facts

    facts = asyncio.run(main())
    ended = time.perf_counter()
    return {
        "facts": facts,
        "imports_s": imported - begin,
        "ledger_s": ended - imported,
        "cpu_s": time.process_time(),
    }


def read(path: Path) -> dict[str, Any]:
    """In a process of its own: every fact's row, by sqlite3 alone."""
    begin = time.perf_counter()
    with closing(sqlite3.connect(path)) as driver:
        rows = driver.execute("SELECT seq, kind, payload FROM order_event ORDER BY seq")
        facts = sum(1 for _ in rows)
    return {"facts": facts, "ledger_s": time.perf_counter() - begin}


def child(work: str, path: Path, cache: Path, repeats: int) -> dict[str, float]:
    """Medians of a process's wall time, its own figures and its peak memory, each on a copy."""
    home = cache / "home"
    ledger = AccountFolder(home).ledger
    command = [sys.executable, str(Path(__file__).absolute()), "--work", work, str(ledger)]
    found: dict[str, list[float]] = {}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALGO_")}
    for _ in range(repeats):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        shutil.copyfile(path, ledger)
        done = run_child(command, cache, environment)
        if done.failure is not None:
            raise SystemExit(f"{work} {path}: {done.failure}")
        said = {**json.loads(done.output), "wall_s": done.seconds, "peak_mb": done.peak_mb}
        for name, value in said.items():
            found.setdefault(name, []).append(value)
    shutil.rmtree(home)
    return {name: median(values) for name, values in found.items()}


def copied(path: Path, cache: Path) -> dict[str, float]:
    """Seconds of a backup's copy and of its proof, the longest wait of an append meanwhile."""
    from algo_trader.ledger.writer import Writer

    source, target = cache / "copied.db", cache / "copy.db"
    target.unlink(missing_ok=True)
    shutil.copyfile(path, source)

    async def main() -> dict[str, float]:
        writer = Writer(lambda: Ledger.open(source, check=False))
        await writer.start()
        await writer.run(lambda ledger: ledger.own_book().cash)
        waits = []
        begin = time.perf_counter()
        copying = asyncio.create_task(writer.copy(target))
        while not copying.done():
            at = time.perf_counter()
            await writer.append([ev.Halted(at=1 << 32, reason="bench")])
            waits.append(time.perf_counter() - at)
            await asyncio.sleep(0)
        await copying
        seconds = time.perf_counter() - begin
        await writer.close()
        return {"copy_s": seconds, "append_wait_ms": max(waits) * 1e3, "appends": len(waits)}

    found = asyncio.run(main())
    begin = time.perf_counter()
    if examine(target).differences:
        raise SystemExit("the copy does not prove right")
    found["proof_s"] = time.perf_counter() - begin
    source.unlink()
    target.unlink()
    return found


def measured(cache: Path, sizes: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """All figures."""
    starts: dict[str, dict[str, dict[str, float]]] = {}
    for facts in sizes:
        found = starts[str(facts)] = {}
        paths = {form: made(cache, facts, form) for form in FORMS}
        for form, path in paths.items():
            long = form == "unknown" and facts > SIZES[1]
            found[form] = child("prepare", path, cache, 1 if long else repeats)
        found["rows"] = child("read", paths["ended"], cache, repeats)
    last = made(cache, sizes[-1], "ended")
    size_mb = last.stat().st_size / 1e6
    return {"starts": starts, "file_mb": size_mb, "copies": copied(last, cache)}


def rows(found: dict[str, Any], sizes: tuple[int, ...]) -> Iterator[Row]:
    """What is judged."""
    starts = found["starts"]

    def bound(most: float | None) -> float | None:
        """Small files are checked whole, so that their starts grow: only the largest is judged."""
        return most if sizes == SIZES else None

    for facts in sizes:
        for form in FORMS:
            one = starts[str(facts)][form]
            most = READY_S if form != "unknown" else None
            note = f"{NOTES[form]}; {one['ledger_s'] * 1e3:,.0f} ms the ledger's, "
            yield judge(
                f"{facts:,} facts, {form} (s)", one["wall_s"], ".2f", most=most,
                note=f"{note}{one['cpu_s']:.2f} s CPU, {one['peak_mb']:.0f} MB",
            )  # fmt: skip
        seconds = starts[str(facts)]["rows"]["ledger_s"]
        yield Row(f"{facts:,} rows read (s)", f"{seconds:.2f}", "", None, "by sqlite3 alone")
    few, many = str(sizes[-2]), str(sizes[-1])
    for form, most in (("ended", GROWTH), ("crashed", GROWTH), ("unknown", None)):
        ratio = starts[many][form]["wall_s"] / starts[few][form]["wall_s"]
        yield judge(f"growth over tenfold, {form}", ratio, ".2f", most=bound(most))
    base = starts[many]["rows"]["ledger_s"]
    ratio = starts[many]["ended"]["ledger_s"] / base
    yield judge("ledger's part / rows read", ratio, ".2f", most=bound(0.5))
    copies = found["copies"]
    note = f"{found['file_mb']:,.0f} MB; {copies['appends']:,.0f} appends meanwhile"
    yield Row("a backup's copy (s)", f"{copies['copy_s']:.2f}", "", None, note)
    yield judge("longest append meanwhile (ms)", copies["append_wait_ms"], ".0f", most=100)
    yield Row("a backup's proof (s)", f"{copies['proof_s']:.1f}", "", None, "as verify")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="up to 100,000 facts")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work, path = arguments.work
        print(json.dumps(prepared(Path(path)) if work == "prepare" else read(Path(path))))
        sys.stdout.flush()
        os._exit(0)
    cache = arguments.cache / "start"
    cache.mkdir(parents=True, exist_ok=True)
    sizes = SIZES[:-1] if arguments.quick else SIZES
    found = measured(cache, sizes, arguments.repeats)
    if arguments.json:
        judged = [row._asdict() for row in rows(found, sizes)]
        print(json.dumps({**found, "rows": judged}, indent=2))
    else:
        print(table("Starts", rows(found, sizes)))


if __name__ == "__main__":
    main()
