"""What must hold at every step, seen from outside: at the exchange's door and on the disk.

Shares nothing with the daemon: it looks at requests as they leave and arrive, at what is durable
when they do, and at the exchange's own orders and positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from algo_trader.core import events as ev
from algo_trader.core.types import ZERO, Role, Symbol
from algo_trader.simulation.conduct import Conduct
from algo_trader.simulation.loop import now
from algo_trader.simulation.world import World

if TYPE_CHECKING:
    from algo_trader.simulation.exchange import SimulatedExchange

DEAF = frozenset({"orders", "reconcile", "account"})
"""Causes that keep entries closed because the broker cannot be asked."""
STREAMS = 2
TRADE_STREAM = "trade stream"
REQUESTS = 8
"""From a fill to its stop so many trips may be made one after the other: asked about and told, the
executions asked for and told, the stop placed.
"""
FOUND_S = 75.0
"""Shares that somebody else has bought are found by the comparison of every minute."""
BARE_S = 5.0
"""Shares may lack a working stop for so long."""
QUIET_BARE_S = 1.5
"""The same where nothing at all has gone wrong."""
TOLD_S = 12.0
"""From then on an operator must have been told, whatever was lost on the way: an order whose answer
and whose fill's frame are both lost is asked about when its request is given up, after 8.5 s.
"""
ALERT_HOLDS_S = 75.0
"""An alert explains missing cover for so long: the daemon tells again each minute."""
UNCOVERED = "uncovered"
BARE_AFTER_START_S = 30.0
ALERTS = frozenset(
    {
        UNCOVERED,
        "broker_unreachable",
        "order_refused",
        "outcome_unknown",
        "sweep_failed",
        "line_lost",
        "abandoned",
        "discrepancy",
        "halted",
        "reconcile_failed",
        "cancel_unanswered",
        "cancel_refused",
        "account_unknown",
        "entries_closed",
    }
)
"""What the daemon tells an operator that explains missing cover."""


class Witness:
    """One run's. `bare_s` are the times for which shares lacked a working stop, in seconds."""

    def __init__(self, world: World) -> None:
        self.bare_s: list[float] = []
        self.checks: Counter[str] = Counter()
        self.exchange: SimulatedExchange
        self.is_alive = False
        self.world = world
        self.alive_since = 0.0
        self._alerted_at = float("-inf")
        self._standing: set[str] = set()
        self._intended: dict[str, ev.OrderRequest] = {}
        self._entries: set[str] = set()
        self._begun: set[str] = set()
        """What is on its way when a halt comes, and is canceled after it."""
        self._submitting: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._is_halted = False
        self._deaths_at_start = 0
        self._bare_since: dict[Symbol, float] = {}
        self._conduct = Conduct(self)

    # -- the process --

    def born(self) -> None:
        """An incarnation begins."""
        self.is_alive, self.alive_since = True, now()
        self._standing.clear()

    def died(self, *, is_crash: bool, was_trading: bool) -> None:
        """It has ended: by a crash or otherwise, after it began to trade or before."""
        self.is_alive = False
        self._deaths_at_start = 0 if was_trading or not is_crash else self._deaths_at_start + 1
        seen = {
            "died with bare shares": is_crash and bool(self._bare_since),
            "died while reconciling": is_crash and not was_trading,
            "died thrice at the start": self._deaths_at_start >= 3,
        }
        self.world.tally.update(f"seen: {what}" for what, is_so in seen.items() if is_so)

    def hear(self, event: str, fields: Mapping[str, Any]) -> None:
        """What the daemon's log says."""
        if event in ALERTS:
            self._alerted_at = now()
        if event == "entries_closed":
            self._standing.add(str(fields.get("cause")))
        elif event == "entries_cleared":
            self._standing.discard(str(fields.get("cause")))

    # -- the disk --

    def note_durable(self, facts: Sequence[ev.Fact]) -> None:
        """These facts cannot be lost any more."""
        self._conduct.note_durable(facts)
        for fact in facts:
            match fact:
                case ev.OrderIntended():
                    self._intended[fact.request.order_id] = fact.request
                    if fact.role is Role.ENTRY:
                        self._entries.add(fact.request.order_id)
                case ev.OrderSubmitting():
                    self._submitting[fact.order_id] += 1
                case ev.Halted():
                    self._is_halted = True
                    self._begun.update(self._submitting)
                case ev.Resumed():
                    self._is_halted = False

    # -- the door --

    def note_leaving(
        self, method: str, terms: Mapping[str, Any] | None, *, may_be_taken: bool
    ) -> None:
        """A request is about to leave: was it on record, and may it leave (again)?"""
        if method not in ("POST", "PATCH"):
            return
        name = _name(terms)
        self.checks["sent only what was on record"] += 1
        request = self._intended.get(name)
        if request is None:
            self.world.complain(f"{name} was sent before it was on record as intended")
            return
        if not self._submitting[name]:
            self.world.complain(f"{name} was sent before it was on record that it leaves")
        stated = (terms or {}).get("qty")
        if stated is not None and Decimal(stated) != request.qty:
            self.world.complain(f"{name}: {stated} shares were sent, {request.qty} are on record")
        self._conduct.note_leaving(method, terms or {})
        if name in self._entries:
            self.checks["no entry under a halt"] += 1
            if self._is_halted and name not in self._begun:
                self.world.complain(f"the entry {name} was sent although trading is halted")
            self._begun.add(name)
            self._sent[name] += may_be_taken
            if self._sent[name] > 1:
                self.world.complain(f"the entry {name} was sent twice")

    def note_answered(self, path: str) -> None:
        """A question was answered, and the answer can be read."""
        self._conduct.note_answered(path)

    def note_arrival(self, method: str, terms: Mapping[str, Any] | None) -> None:
        """A request is at the exchange."""
        name = _name(terms)
        if method == "POST" and name in self._entries:
            self.checks["entries only in a session"] += 1
            if self.exchange.market.table.at(int(self.exchange.time_now)) is None:
                self.world.tally["seen: an entry arrived after the close"] += 1

    # -- the account --

    def look(self) -> None:
        """Every share at the exchange has a working closing order there, and no more than one."""
        for symbol in self.world.plan.symbols:
            self._look_at(symbol)
        self._conduct.look()

    def _look_at(self, symbol: Symbol) -> None:
        held = self.exchange.held(symbol)
        if held and self.is_alive and len(self.world.away) == STREAMS:
            self.world.tally["seen: deaf with a position"] += 1
        stops = exits = ZERO
        for order in self.exchange.desk.blotter.open_orders(symbol):
            is_closing = (order.action == "sell") is (held > 0) and held != 0
            if not is_closing or _name_of(order) in self._entries:
                continue
            if order.stop_price is not None or order.type == "trailing_stop":
                stops += order.qty_open
            elif order.type == "market":
                exits += order.qty_open
        self.checks["never more than held is closed"] += 1
        if stops + exits > abs(held) and held:
            self.world.tally["seen: more closing orders than shares"] += 1
            if not self.world.plan.has_hands:
                self.world.complain(
                    f"{stops} by stops and {exits} at market would close {held} {symbol}"
                )
        self.checks["every share has its stop"] += 1
        if stops + exits >= abs(held):
            began = self._bare_since.pop(symbol, None)
            if began is not None:
                self.bare_s.append(now() - began)
                if now() - began > BARE_S and self.is_alive and not self.is_alerted(began):
                    self.world.tally["seen: bare for longer, mended, not told of"] += 1
            return
        began = self._bare_since.setdefault(symbol, now())
        self._judge_bare(symbol, held, began)

    def _judge_bare(self, symbol: Symbol, held: Decimal, began: float) -> None:
        if not self.has_settled:
            return
        since = max(began, self.alive_since)
        is_excused = (
            self.world.has_gone_wrong and self.is_alerted(began) and self._is_still_told()
        )
        if now() - since > self._bound_s and not is_excused:
            self.world.complain(
                f"{held} {symbol} without a working stop for {now() - since:.1f} s, and no reason"
            )
            self._bare_since[symbol] = now()

    @property
    def has_settled(self) -> bool:
        """Whether the process has had the time to look around."""
        patience_s = BARE_AFTER_START_S if self.world.has_gone_wrong else BARE_S
        return self.is_alive and now() - self.alive_since >= patience_s

    @property
    def _bound_s(self) -> float:
        """How long the daemon may take, given how slow its lines are."""
        plan = self.world.plan
        found_s = FOUND_S if plan.has_hands else TOLD_S
        if not self.world.has_gone_wrong:
            found_s = QUIET_BARE_S
        return found_s + REQUESTS * plan.latency_s

    def is_alerted(self, began: float) -> bool:
        """Whether the operator has been told since, or knows that fills may go unheard."""
        return (
            self._alerted_at >= began
            or TRADE_STREAM in self.world.away
            or not self._standing.isdisjoint(DEAF)
        )

    def _is_still_told(self) -> bool:
        """Whether the last alert is recent, or `status` shows what is wrong."""
        return (
            now() - self._alerted_at <= ALERT_HOLDS_S
            or TRADE_STREAM in self.world.away
            or not self._standing.isdisjoint({*DEAF, UNCOVERED})
        )


def _name(terms: Mapping[str, Any] | None) -> str:
    return str((terms or {}).get("client_order_id", ""))


def _name_of(order: Any) -> str:
    return str(order.client_order_id)
