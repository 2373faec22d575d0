"""What a durable fact costs: the ledger against a bare file that is appended to and flushed.

    uv run python bench/ledger.py [--facts N] [--folder DIR]

The bare loop writes each fact's payload with one write and one fdatasync: the least that a crash
cannot undo. Both take turns on the same disk, block by block, so that a slow spell falls on both;
compare ratios, not microseconds. The ledger's commits carry more: readable columns, indexes,
checks, triggers and the order and trade rows.

Targets: single-fact commits at least 0.4 of the bare loop's speed, their 99th percentile at most 4
times the bare loop's, and 30,000 facts a second where facts are committed in groups.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from statistics import median, quantiles

from measure import Row, judge, table

from algo_trader.core import events as ev
from algo_trader.core.types import (
    MINUTE,
    Action,
    BrokerOrderId,
    ClientOrderId,
    DecisionId,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from algo_trader.ledger.codec import encode
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer

BLOCK = 250
GROUP = 1_000
WARM = 500
"""Commits before the clock counts: the first ones grow the files."""
PER_SESSION = 20
OPENS_AT = 1_704_205_800
QTY = Decimal(100)


def history() -> Iterator[ev.Fact]:
    """Round trips without end: entry, fill, stop, moved stop, stopped out; some a session."""
    yield ev.AccountPinned(at=OPENS_AT, account="bench", cash=Decimal(100_000))
    first = date(2024, 1, 2)
    for number in count():
        day, nth = divmod(number, PER_SESSION)
        at = OPENS_AT + day * 86_400 + nth * 5 * MINUTE
        if nth == 0:
            equity = Decimal(100_000)
            yield ev.SessionOpened(at=at, session=first + timedelta(days=day), equity=equity)
        yield from _round_trip(number, at)


def _round_trip(number: int, at: int) -> Iterator[ev.Fact]:
    decision = DecisionId(f"bench-velez-SYN-{at}")
    price = Decimal(10_000 + number % 700) / 100
    entry, stop, moved = (
        ClientOrderId(f"{decision}-{name}") for name in ("entry-1", "stop-1", "stop-2")
    )
    yield ev.SignalDecided(
        at=at, decision=decision, strategy="velez", symbol="SYN", side=Side.LONG, entry=price,
        stop=price - 1, expires_at=at + 2 * MINUTE, rule=None,
    )  # fmt: skip
    yield from order_facts(decision, entry, Role.ENTRY, at, price, number)
    yield ev.OrderFilled(at=at + 60, order_id=entry, qty=QTY, price=price, cum_qty=QTY)
    yield ev.StopSet(at=at + 60, strategy="velez", symbol="SYN", price=price - 1)
    yield from order_facts(decision, stop, Role.STOP, at + 60, price - 1, number)
    better = price - Decimal("0.5")
    yield ev.StopSet(at=at + 120, strategy="velez", symbol="SYN", price=better)
    yield from order_facts(decision, moved, Role.STOP, at + 120, better, number, stop)
    yield ev.OrderReplaced(at=at + 120, order_id=stop, replaced_by=moved)
    yield ev.OrderFilled(at=at + 180, order_id=moved, qty=QTY, price=price, cum_qty=QTY)


def order_facts(
    decision: DecisionId,
    order_id: ClientOrderId,
    role: Role,
    at: int,
    price: Decimal,
    number: int,
    replaces: ClientOrderId | None = None,
    symbol: str = "SYN",
) -> Iterator[ev.Fact]:
    """An order's way to the broker: intended, submitted, accepted."""
    is_entry = role is Role.ENTRY
    request = ev.OrderRequest(
        order_id,
        symbol,
        Action.BUY if is_entry else Action.SELL,
        OrderType.STOP,
        TimeInForce.DAY if is_entry else TimeInForce.GTC,
        QTY,
        stop_price=price,
    )
    yield ev.OrderIntended(
        at=at, decision=decision, strategy="velez", side=Side.LONG, role=role, request=request,
        expires_at=at + 120 if is_entry else None, stop_loss=price - 1 if is_entry else None,
        replaces=replaces,
    )  # fmt: skip
    yield ev.OrderSubmitting(at=at, order_id=order_id)
    broker_id = BrokerOrderId(f"{order_id}#{number}")
    yield ev.OrderAccepted(at=at, order_id=order_id, broker_id=broker_id)


def timed(work: Callable[[ev.Fact], None], facts: list[ev.Fact]) -> list[float]:
    """Seconds of each call."""
    clock = time.perf_counter
    spent = []
    for fact in facts:
        begin = clock()
        work(fact)
        spent.append(clock() - begin)
    return spent


def singles(folder: Path, facts: list[ev.Fact]) -> tuple[list[float], list[float]]:
    """Seconds of each bare append and of each ledger commit, in turns."""
    bare: list[float] = []
    ours: list[float] = []
    file = os.open(folder / "bare.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(fact: ev.Fact) -> None:
        os.write(file, encode(fact).encode() + b"\n")
        os.fdatasync(file)

    with Ledger.open(folder / "single.db") as ledger:
        for start in range(0, len(facts), BLOCK):
            block = facts[start : start + BLOCK]
            bare += timed(write, block)
            ours += timed(lambda fact: ledger.append([fact]), block)
    os.close(file)
    return bare[WARM:], ours[WARM:]


def grouped(folder: Path, facts: list[ev.Fact]) -> float:
    """Facts a second where GROUP of them share a commit."""
    with Ledger.open(folder / "grouped.db") as ledger:
        ledger.append(facts[:1])
        begin = time.perf_counter()
        for start in range(1, len(facts), GROUP):
            ledger.append(facts[start : start + GROUP])
        spent = time.perf_counter() - begin
        if ledger.verify():
            raise SystemExit("the grouped ledger does not verify")
    return (len(facts) - 1) / spent


def folded(folder: Path) -> float:
    """Facts a second of a fold from the file."""
    with Ledger.open(folder / "grouped.db") as ledger:
        begin = time.perf_counter()
        ledger.fold()
        return ledger.count() / (time.perf_counter() - begin)


def threaded(folder: Path, facts: list[ev.Fact]) -> list[float]:
    """Seconds of each commit awaited through the writer's thread."""
    spent: list[float] = []

    async def main() -> None:
        writer = Writer(lambda: Ledger.open(folder / "threaded.db"))
        await writer.start()
        for fact in facts:
            begin = time.perf_counter()
            await writer.append([fact])
            spent.append(time.perf_counter() - begin)
        await writer.close()

    asyncio.run(main())
    return spent[WARM:]


def percentile_99(values: list[float]) -> float:
    """The 99th percentile."""
    return quantiles(values, n=100)[98]


def in_us(name: str, values: list[float]) -> Row:
    """Median and 99th percentile in microseconds, for reading only."""
    middle, high = median(values) * 1e6, percentile_99(values) * 1e6
    rate = len(values) / sum(values)
    return Row(name, f"{middle:,.0f} us", "", None, f"p99 {high:,.0f} us, {rate:,.0f}/s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--facts", type=int, default=6_000, help="single-fact commits")
    parser.add_argument("--many", type=int, default=100_000, help="facts committed in groups")
    parser.add_argument("--folder", type=Path, default=None, help="where the disk is to be tried")
    arguments = parser.parse_args()
    facts = list(islice(history(), max(arguments.facts, arguments.many)))
    few = facts[: arguments.facts]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        bare, ours = singles(folder, few)
        hop = threaded(folder, few)
        speed = grouped(folder, facts[: arguments.many])
        fold = folded(folder)
    print(
        table(
            "Durable facts",
            [
                in_us("bare append + fdatasync", bare),
                in_us("ledger, one fact a commit", ours),
                in_us("the same through the writer", hop),
                judge("speed, ledger / bare", sum(bare) / sum(ours), ".2f", least=0.4),
                judge(
                    "p99, ledger / bare",
                    percentile_99(ours) / percentile_99(bare),
                    ".2f",
                    most=4,
                ),
                judge("facts/s in groups", speed, ",.0f", least=30_000, note=f"of {GROUP}"),
                Row("facts/s folded from the file", f"{fold:,.0f}", "", None),
            ],
        )
    )


if __name__ == "__main__":
    main()
