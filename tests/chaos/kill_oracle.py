"""What must be so after any death: both books against each other, and the time between them.

`judge` is asked after every life, with what the exchange did before that life began as the least
that the ledger must hold; with `is_quiet`, when nothing is under way, everything must be equal.
Each finding is one line that begins with its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kill_books import COVERS, ZERO, Bare, Execution, LedgerBook, MarketBook

RUNNING_S, RESTARTED_S = 5.0, 30.0
"""How long shares may have no stop: of a running daemon's time, and after a start."""
CLOCK_S = 0.002
"""How far two readings of one clock by two processes may seem to be in disorder."""
STATES = {
    "filled": {"filled"},
    "canceled": {"canceled"},
    "replaced": {"canceled"},
    "expired": {"expired"},
    "rejected": {"rejected"},
}
"""What the ledger may call an order that has ended so at the exchange."""
NEVER_THERE = frozenset({"rejected", "submit_failed"})
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "submit_failed"})
ALARMS = ("Halted", "Discrepancy", "SharesGone", "SharesAdopted", "CashAdjusted")
"""Facts that nobody gave cause for: only this daemon traded."""


@dataclass
class Span:
    """The time of one process: `ready_at` once it had reconciled, `pauses` in which it stood."""

    began_at: float
    ready_at: float | None = None
    ended_at: float | None = None
    pauses: list[tuple[float, float]] = field(default_factory=list)
    has_alerted: bool = False

    def within(self, since: float, until: float) -> float:
        """Seconds of [since, until] in which it ran."""
        end = until if self.ended_at is None else min(until, self.ended_at)
        began = max(since, self.began_at)
        stood = sum(max(0.0, min(end, b) - max(began, a)) for a, b in self.pauses)
        return max(0.0, end - began - stood)

    def ready_within(self, since: float, until: float) -> float:
        """The same, once it had reconciled."""
        return 0.0 if self.ready_at is None else self.within(max(since, self.ready_at), until)


def judge(
    market: MarketBook,
    ledger: LedgerBook,
    before: Sequence[str],
    spans: Sequence[Span],
    *,
    known_until: float,
    is_quiet: bool,
    settled: Collection[str] = (),
) -> list[str]:
    """The findings; `before` are the digests of the facts of the last image, and what the exchange
    did before `known_until` is in the ledger by now. So is what became of the orders `settled`.
    """
    return [
        *_file(ledger, before),
        *_asked(market, ledger),
        *_doubled(market),
        *_fills(market, ledger, known_until),
        *_ends(market, ledger, known_until, is_quiet, settled),
        *_turned(market.executions),
        *_alarms(ledger),
        *(line for line, _ in uncovered(market, spans) if line),
    ]


def _file(ledger: LedgerBook, before: Sequence[str]) -> Iterator[str]:
    if ledger.complaint:
        yield f"ledger: {ledger.complaint}"
    if len(ledger.digests) < len(before):
        yield f"facts lost: {len(before)} before, {len(ledger.digests)} after"
    elif before and ledger.digests[len(before) - 1] != before[-1]:
        place = next(n for n, each in enumerate(before) if ledger.digests[n] != each)
        yield f"fact changed: number {place + 1} of {len(before)}"


def _asked(market: MarketBook, ledger: LedgerBook) -> Iterator[str]:
    """Whatever was sent was on record before; an entry is sent once."""
    for asked in market.asked:
        recorded = ledger.sent.get(asked.client_order_id)
        if recorded is None:
            yield f"sent without a record: {asked.client_order_id}"
        elif recorded > asked.at + CLOCK_S:
            yield f"sent before its record: {asked.client_order_id}, {recorded - asked.at:.3f} s"
    posts = Counter(
        asked.client_order_id
        for asked in market.asked
        if asked.method == "POST" and "-entry-" in asked.client_order_id
    )
    for key, count in posts.items():
        if count - market.refused_at_once.get(key, 0) > 1:
            yield f"entry sent again: {key}, {count} times"


def _doubled(market: MarketBook) -> Iterator[str]:
    ids, decisions = Counter[str](), Counter[str]()
    for order in market.orders.values():
        ids[order.client_order_id] += 1
        if order.is_entry and order.status != "rejected":
            decisions[order.client_order_id.rpartition("-entry-")[0]] += 1
    asked = {each.client_order_id for each in market.asked}
    for key, count in ids.items():
        if count > 1 and key in asked and not _is_chain(market, key):
            yield f"order doubled: {key} is {count} orders"
    for key, count in decisions.items():
        if count > 1:
            yield f"decision doubled: {key} has {count} entries"


def _is_chain(market: MarketBook, key: str) -> bool:
    """Whether all but one of this name are stops whose own name was not told."""
    named = [order for order in market.orders.values() if order.client_order_id == key]
    return sum(order.status != "replaced" for order in named) <= 1


def _fills(market: MarketBook, ledger: LedgerBook, known_until: float) -> Iterator[str]:
    """Every execution once, with its quantity and price, and no other."""
    here = Counter((fill.order_id, fill.cum_qty, fill.qty, fill.price) for fill in ledger.fills)
    there = Counter[tuple[str, Decimal, Decimal, Decimal]]()
    for each in market.executions:
        name = ledger.name_of(each.order_id, each.client_order_id)
        if name is None:
            if each.at < known_until:
                yield f"order unknown to the ledger: {each.client_order_id} was filled"
            continue
        key = (name, each.cum_qty, abs(each.shares), each.price)
        there[key] += 1
        if each.at < known_until and not here[key]:
            yield f"fill lost: {name} {each.shares} at {each.price}, {each.cum_qty} in all"
    for key, count in here.items():
        if count > there[key]:
            yield f"fill invented: {key[0]} {key[2]} at {key[3]}, {count - there[key]} times"


def _ends(
    market: MarketBook,
    ledger: LedgerBook,
    known_until: float,
    is_quiet: bool,
    settled: Collection[str],
) -> Iterator[str]:
    """What the exchange has ended is ended alike; when all is quiet the rest is open in both."""
    own = Counter[str]()
    for each in market.executions:
        own[each.order_id] += int(abs(each.shares))
    for order in market.orders.values():
        name = ledger.name_of(order.order_id, order.client_order_id)
        if name is None:
            if order.since < known_until:
                yield f"order unknown to the ledger: {order.client_order_id} {order.status}"
            continue
        state = ledger.orders[name].state
        if order.ended_at is not None and order.ended_at < known_until:
            states = STATES[order.status]
            if order.status == "filled" and own[order.order_id] < order.qty:
                states = {*states, "canceled"}  # It began with what the one before had filled.
            if order.status in ("replaced", "canceled") and 0 < own[order.order_id] < order.qty:
                states = {*states, "filled"}  # Its pair has filled the rest.
            if state not in states:
                yield f"end differs: {name} is {state}, {order.status} at the exchange"
        elif order.is_open and state in ENDED:
            yield f"end differs: {name} is {state}, {order.status} at the exchange"
    if is_quiet:
        for name, known in ledger.orders.items():
            is_open_question = name in ledger.unanswered and name not in settled
            if not (
                known.broker_id in market.orders or known.state in NEVER_THERE or is_open_question
            ):
                yield f"order unknown to the exchange: {name} is {known.state}"


def _turned(executions: Iterable[Execution]) -> Iterator[str]:
    """What reduces never opens, and never grows a position."""
    for each in executions:
        was = each.position - each.shares
        if "-entry-" not in each.client_order_id and abs(each.position) >= abs(was):
            yield f"position turned: {each.client_order_id} made {was} into {each.position}"


def _alarms(ledger: LedgerBook) -> Iterator[str]:
    for kind in ALARMS:
        if ledger.kinds.get(kind):
            yield f"alarm without a cause: {kind}, {ledger.kinds[kind]} times"


def uncovered(market: MarketBook, spans: Sequence[Span]) -> list[tuple[str, float]]:
    """Of each interval without a full stop: a finding or nothing, and the seconds of it in which a
    daemon ran that had reconciled.
    """
    found = []
    for bare in (*market.bare, *market.open_bare()):
        found.append((_too_long(bare, spans), _ready_seconds(bare, spans)))
    return found


def _ends_at(bare: Bare, spans: Sequence[Span]) -> float:
    if bare.until is not None:
        return bare.until
    return max((span.ended_at or span.began_at for span in spans), default=bare.since)


def _ready_seconds(bare: Bare, spans: Sequence[Span]) -> float:
    end = _ends_at(bare, spans)
    return sum(span.ready_within(bare.since, end) for span in spans)


def _too_long(bare: Bare, spans: Sequence[Span]) -> str:
    end = _ends_at(bare, spans)
    if (seconds := _ready_seconds(bare, spans)) > RESTARTED_S and not _has_alerted(bare, spans):
        return f"uncovered: {bare.symbol} for {seconds:.1f} s of running daemons"
    for span in spans:
        was_ready = span.ready_at is not None and span.ready_at <= bare.since
        bound = RUNNING_S if was_ready else RESTARTED_S
        if (ran := span.within(bare.since, end)) > bound and not span.has_alerted:
            return f"uncovered: {bare.symbol} for {ran:.1f} s of one daemon, {bound:g} at most"
    return ""


def _has_alerted(bare: Bare, spans: Sequence[Span]) -> bool:
    end = _ends_at(bare, spans)
    return any(span.has_alerted and span.within(bare.since, end) for span in spans)


def quiet_findings(
    market: MarketBook,
    ledger: LedgerBook,
    account: dict[str, Any],
    positions: Sequence[dict[str, Any]],
    orders: Sequence[dict[str, Any]],
    initial: Decimal,
) -> list[str]:
    """With nothing under way: what the exchange answers, its journal and the ledger are one."""
    found = []
    held = {row["symbol"]: Decimal(row["qty"]) for row in positions}
    ours: dict[str, Decimal] = {}
    cash = initial
    sides = {
        ledger.name_of(each.order_id, each.client_order_id): each for each in market.executions
    }
    for fill in ledger.fills:
        execution = sides.get(fill.order_id)
        if execution is not None:
            shares = fill.qty if execution.shares > 0 else -fill.qty
            ours[execution.symbol] = ours.get(execution.symbol, ZERO) + shares
            cash -= shares * fill.price
    ours = {symbol: qty for symbol, qty in ours.items() if qty}
    if ours != held:
        found.append(f"positions differ: {ours}, at the exchange {held}")
    if cash != Decimal(account["cash"]):
        found.append(f"cash differs: {cash}, at the exchange {account['cash']}")
    if not held and initial + ledger.pnl != Decimal(account["cash"]):
        found.append(f"profit differs: {ledger.pnl} of trades, cash {account['cash']}")
    cover: dict[str, Decimal] = {}
    for row in (leg for order in orders for leg in (order, *(order["legs"] or ()))):
        is_ours = row["id"] in ledger.by_broker_id
        if not is_ours:
            found.append(f"order unknown to the ledger: {row['client_order_id']} is open")
        if row["type"] in COVERS and "-entry-" not in row["client_order_id"]:
            left = Decimal(row["qty"]) - Decimal(row["filled_qty"])
            cover[row["symbol"]] = cover.get(row["symbol"], ZERO) + (
                left if row["side"] == "sell" else -left
            )
    for symbol in held.keys() | cover.keys():
        has, stops = held.get(symbol, ZERO), cover.get(symbol, ZERO)
        if has != stops:
            found.append(f"not protected: {symbol} has {has} shares, stops over {stops}")
    return found
