"""The oracle of the kills finds what it is for, in doctored journals and ledgers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kill_books import MarketBook, read_ledger
from kill_oracle import Span, judge, quiet_findings, uncovered

BEGAN = 1_000.0
ENTRY, STOP, MOVED, OTHER = (
    "PA-s-AA-1-entry-1", "PA-s-AA-1-stop-1", "PA-s-AA-1-stop-2", "PA-s-BB-1-entry-1",
)  # fmt: skip
COLUMNS = (
    "seq INTEGER, at TEXT, recorded_at TEXT, session TEXT, kind TEXT, payload TEXT, "
    "order_local_id TEXT, new_state TEXT, qty_filled TEXT, cum_qty TEXT, fill_price TEXT, "
    "broker_id TEXT, detail TEXT"
)


def update(at: float, event: str, name: str, status: str, **more: Any) -> dict[str, Any]:
    """An entry of the journal: what the exchange told of an order."""
    order = {
        "id": f"b-{name}", "client_order_id": name, "symbol": name.split("-")[2],
        "side": "buy" if "-entry-" in name else "sell", "type": "stop", "qty": "10",
        "filled_qty": "10" if status == "filled" else "0", "status": status, "legs": None,
        "replaced_by": None,
    }  # fmt: skip
    return {"kind": "update", "real": at, "data": {"event": event, "order": {**order, **more}}}


def filled(at: float, name: str, price: str) -> dict[str, Any]:
    """All ten shares changed hands."""
    entry = update(at, "fill", name, "filled")
    entry["data"] |= {"qty": "10", "price": price}
    return entry


def asked(at: float, method: str, name: str) -> dict[str, Any]:
    """An entry of the journal: a request for an order."""
    body = {"client_order_id": name}
    path = "/v2/orders"
    return {
        "kind": "request", "real": at, "id": f"{method}-{name}-{at}", "method": method,
        "path": path, "body": body,
    }  # fmt: skip


def fact(at: float, kind: str, name: str | None = None, **columns: Any) -> dict[str, Any]:
    """A row of the ledger."""
    payload: dict[str, Any] = {}
    if kind == "OrderIntended" and name is not None:
        decision, _, _ = name.rpartition("-")
        payload = {"role": "", "request": {"symbol": "AA"}, "decision": decision}
    stamp = datetime.fromtimestamp(at, UTC).isoformat()
    return {
        "at": stamp, "recorded_at": stamp, "kind": kind, "payload": json.dumps(payload),
        "order_local_id": name, **columns,
    }  # fmt: skip


def sent(at: float, name: str) -> list[dict[str, Any]]:
    """The facts of an order that was taken at once."""
    return [
        fact(at, "OrderIntended", name),
        fact(at, "OrderSubmitting", name),
        fact(at + 0.1, "OrderAccepted", name, broker_id=f"b-{name}"),
    ]


def fill_fact(at: float, name: str, price: str) -> dict[str, Any]:
    """The fact of all ten shares."""
    return fact(
        at, "OrderFilled", name, qty_filled="10", cum_qty="10", fill_price=price,
        broker_id=f"b-{name}",
    )  # fmt: skip


@dataclass
class Story:
    """A position bought, covered, its stop moved, and sold by it; another entry rests."""

    journal: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    states: dict[str, tuple[str, str | None, str]]
    spans: list[Span]
    pnl: str = "-10"
    cash: str = "990"
    positions: tuple[dict[str, Any], ...] = ()
    before: int = 4
    """How many facts the image before had."""
    changed: bool = False


def story() -> Story:
    """As it should be."""
    resting = update(1007, "new", OTHER, "new")
    return Story(
        journal=[
            asked(1001, "POST", ENTRY), update(1001, "new", ENTRY, "new"),
            filled(1002, ENTRY, "100"),
            asked(1003, "POST", STOP), update(1003, "new", STOP, "new"),
            asked(1004, "PATCH", MOVED),
            update(1004, "replaced", STOP, "replaced", replaced_by=f"b-{MOVED}"),
            update(1004, "new", MOVED, "new"), filled(1005, MOVED, "99"),
            asked(1007, "POST", OTHER), resting,
        ],
        facts=[
            *sent(1000.5, ENTRY), fill_fact(1002.1, ENTRY, "100"), *sent(1002.5, STOP),
            *sent(1003.5, MOVED), fact(1004.1, "OrderReplaced", STOP, broker_id=f"b-{STOP}"),
            fill_fact(1005.1, MOVED, "99"), *sent(1006.5, OTHER),
        ],
        states={
            ENTRY: ("filled", f"b-{ENTRY}", "10"), STOP: ("canceled", f"b-{STOP}", "0"),
            MOVED: ("filled", f"b-{MOVED}", "10"), OTHER: ("accepted", f"b-{OTHER}", "0"),
        },
        spans=[Span(BEGAN, ready_at=BEGAN + 0.5, ended_at=1010.0)],
    )  # fmt: skip


def write(told: Story, file: Path) -> None:
    """The ledger of a story."""
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as driver, driver:
        driver.execute(f"CREATE TABLE order_event ({COLUMNS})")
        driver.execute(
            "CREATE TABLE order_state (local_id TEXT, state TEXT, broker_id TEXT, qty_filled TEXT)"
        )
        driver.execute("CREATE TABLE trade (pnl TEXT)")
        for number, row in enumerate(told.facts, start=1):
            names = ", ".join(["seq", *row])
            marks = ", ".join("?" * (len(row) + 1))
            values = [row.get("seq", number), *(row[name] for name in row)]
            driver.execute(f"INSERT INTO order_event ({names}) VALUES ({marks})", values)
        for name, state in told.states.items():
            driver.execute("INSERT INTO order_state VALUES (?, ?, ?, ?)", (name, *state))
        driver.execute("INSERT INTO trade VALUES (?)", (told.pnl,))


def findings(told: Story, place: Path) -> set[str]:
    """The kinds of what the oracle finds in it."""
    market = MarketBook()
    for entry in told.journal:
        market.add(entry)
    (place / "scratch").mkdir(exist_ok=True)
    write(told, place / "trading.db")
    ledger = read_ledger(place / "trading.db", place / "scratch")
    before = ledger.digests[: told.before]
    if told.changed:
        before = [*before[:-1], "another"]
    found = judge(
        market, ledger, [*before, *["more"] * (told.before - len(before))], told.spans,
        known_until=2_000.0, is_quiet=True, settled=ledger.unanswered,
    )  # fmt: skip
    orders = [
        {
            "id": order.order_id, "client_order_id": order.client_order_id, "legs": None,
            "symbol": order.symbol, "side": order.side, "type": order.kind,
            "qty": str(order.qty), "filled_qty": str(order.filled),
        }
        for order in market.orders.values()
        if order.is_open
    ]  # fmt: skip
    found += quiet_findings(
        market, ledger, {"cash": told.cash}, told.positions, orders, Decimal(1000)
    )
    return {line.partition(":")[0] for line in found}


def test_a_clean_story(tmp_path: Path) -> None:
    """Goal: nothing is found where nothing is wrong, and the time without a stop is measured."""
    assert findings(story(), tmp_path) == set()
    market = MarketBook()
    for entry in story().journal:
        market.add(entry)
    assert [seconds for _, seconds in uncovered(market, story().spans)] == [1.0]


def _never_recorded(told: Story) -> None:
    told.facts = [row for row in told.facts if row["order_local_id"] != OTHER]
    del told.states[OTHER]


def _recorded_late(told: Story) -> None:
    late = datetime.fromtimestamp(1007.5, UTC).isoformat()
    for row in told.facts:
        if row["order_local_id"] == OTHER:
            row["recorded_at"] = late


def _asked_again(told: Story) -> None:
    told.journal.insert(1, asked(1001, "POST", ENTRY))


def _two_orders(told: Story) -> None:
    told.journal.append(update(1008, "new", OTHER, "new", id="b-second"))


def _two_entries(told: Story) -> None:
    second = OTHER.replace("-1", "-2").replace("BB-2", "BB-1")
    told.journal += [asked(1008, "POST", second), update(1008, "new", second, "new")]
    told.facts += sent(1007.5, second)
    told.states[second] = ("accepted", f"b-{second}", "0")


def _fill_lost(told: Story) -> None:
    told.facts = [row for row in told.facts if row.get("fill_price") != "99"]


def _fill_twice(told: Story) -> None:
    told.facts.append(fill_fact(1009, MOVED, "99"))


def _other_price(told: Story) -> None:
    for row in told.facts:
        if row.get("fill_price") == "99":
            row["fill_price"] = "98"


def _other_end(told: Story) -> None:
    told.states[MOVED] = ("canceled", f"b-{MOVED}", "0")


def _ended_here_alone(told: Story) -> None:
    told.states[OTHER] = ("canceled", f"b-{OTHER}", "0")


def _never_there(told: Story) -> None:
    ghost = "PA-s-CC-1-stop-1"
    told.facts += sent(1008, ghost)
    told.states[ghost] = ("accepted", f"b-{ghost}", "0")


def _unsettled(told: Story) -> None:
    ghost = "PA-s-CC-1-entry-1"
    told.facts += sent(1008, ghost)[:2]
    told.states[ghost] = ("submitted", None, "0")


def _turned(told: Story) -> None:
    told.journal += [
        asked(1008, "POST", "PA-s-AA-1-exit-1"), filled(1008, "PA-s-AA-1-exit-1", "99")
    ]  # fmt: skip
    told.facts += [*sent(1007.8, "PA-s-AA-1-exit-1"), fill_fact(1008, "PA-s-AA-1-exit-1", "99")]
    told.states["PA-s-AA-1-exit-1"] = ("filled", "b-PA-s-AA-1-exit-1", "10")
    told.positions, told.cash = ({"symbol": "AA", "qty": "-10"},), "1980"


def _bare(told: Story) -> None:
    told.journal = [entry for entry in told.journal if entry["real"] != 1003]
    told.journal = [entry for entry in told.journal if entry["real"] != 1004]
    told.facts = [row for row in told.facts if row["order_local_id"] not in (STOP, MOVED)]
    told.states = {key: state for key, state in told.states.items() if key not in (STOP, MOVED)}
    told.journal = [entry for entry in told.journal if entry["real"] != 1005]
    told.positions, told.cash = ({"symbol": "AA", "qty": "10"},), "0"


DOCTORED: dict[str, tuple[Callable[[Story], None], set[str]]] = {
    "a request without a record": (
        _never_recorded,
        {"sent without a record", "order unknown to the ledger"},
    ),
    "a record after the request": (_recorded_late, {"sent before its record"}),
    "an entry that was sent twice": (_asked_again, {"entry sent again"}),
    "an id with two orders": (_two_orders, {"order doubled", "decision doubled",
                                            "order unknown to the ledger"}),
    "a decision with two entries": (_two_entries, {"decision doubled"}),
    "a fill that is lost": (_fill_lost, {"fill lost", "positions differ", "cash differs"}),
    "a fill that counts twice": (
        _fill_twice,
        {"fill invented", "positions differ", "cash differs"},
    ),
    "a fill at another price": (
        _other_price,
        {"fill lost", "fill invented", "cash differs"},
    ),
    "an order that ended otherwise": (_other_end, {"end differs"}),
    "an order that has not ended": (_ended_here_alone, {"end differs"}),
    "an order of ours that was never there": (_never_there, {"order unknown to the exchange"}),
    "an order without an answer": (_unsettled, {"order unknown to the exchange"}),
    "a position that was turned": (_turned, {"position turned", "not protected", "uncovered"}),
    "shares without a stop": (_bare, {"uncovered", "not protected"}),
    "a halt for nothing": (
        lambda told: told.facts.append(fact(1009, "Halted")),
        {"alarm without a cause"},
    ),
    "a trade of another profit": (lambda told: setattr(told, "pnl", "-11"), {"profit differs"}),
    "facts that have gone": (lambda told: setattr(told, "before", 99), {"facts lost"}),
    "a fact that was changed": (lambda told: setattr(told, "changed", True), {"fact changed"}),
}  # fmt: skip


@pytest.mark.parametrize(("doctor", "kinds"), DOCTORED.values(), ids=list(DOCTORED))
def test_what_is_wrong_is_found(
    doctor: Callable[[Story], None], kinds: set[str], tmp_path: Path
) -> None:
    """Goal: each thing that may not be is found, under its name. Method: the clean story with one
    thing changed.
    """
    told = story()
    doctor(told)
    told.spans[0].ended_at = 1040.0
    assert findings(told, tmp_path) == kinds


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    """Goal: a hole in the numbers of the facts is told."""
    told = story()
    last = len(told.facts)
    write(told, tmp_path / "trading.db")
    with closing(sqlite3.connect(tmp_path / "trading.db")) as driver, driver:
        driver.execute(f"UPDATE order_event SET seq = seq + 1 WHERE seq = {last}")
    (tmp_path / "scratch").mkdir()
    ledger = read_ledger(tmp_path / "trading.db", tmp_path / "scratch")
    found = judge(MarketBook(), ledger, [], [], known_until=0.0, is_quiet=False)
    assert f"ledger: seq {last + 1} stands at place {last}" in found


@pytest.mark.parametrize(
    ("spans", "is_found"),
    [
        ([Span(1000, 1000.5, 1006.9)], False),
        ([Span(1000, 1000.5, 1007.5)], True),
        ([Span(1000, 1000.5, 1007.5, has_alerted=True)], False),
        ([Span(1000, 1000.5, 1009, pauses=[(1003, 1006)])], False),
        ([Span(1000, 1000.5, 1003), Span(1004, 1005, 1033)], False),
        ([Span(1000, 1000.5, 1003), Span(1004, 1005, 1035)], True),
        ([Span(1000, 1000.5, 1003), *(Span(n, n + 0.1, n + 9) for n in range(1010, 1060, 10))],
         True),
    ],
)  # fmt: skip
def test_how_long_shares_may_be_bare(spans: list[Span], is_found: bool) -> None:
    """Goal: 5 s of a daemon that ran when it began, 30 s of one that was started since, and no more
    than 30 s of all together; standing still does not count, and an alert is enough.
    """
    market = MarketBook()
    for entry in story().journal[:3]:
        market.add(entry)
    assert [bool(line) for line, _ in uncovered(market, spans)] == [is_found]
