"""How the daemon has to conduct itself: what may leave, when, and what may go on working.

The witness's second book. Like it, it sees requests at the door, facts as they become durable, and
the exchange's own orders; it asks the daemon nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from algo_trader.core import events as ev
from algo_trader.core.types import ZERO, Action, Role, Symbol
from algo_trader.simulation.loop import now

if TYPE_CHECKING:
    from algo_trader.exchange.orders import Order
    from algo_trader.simulation.witness import Witness
    from algo_trader.simulation.world import World

BOOKS = ("/orders", "/positions")
"""What is to be read of the broker before anything is risked."""
TRADE_STREAM, BAR_STREAM = "trade stream", "bar stream"
BARS = "bars"
FIRST_BARS_S = 180
"""Seconds of a session that may be over before there are bars to be missed."""
SENDING_S = 10.0
"""From its decision to its last try to leave an entry takes no longer."""
LINGERS_S = 8.0
"""An entry that must not fill any more has been canceled by then, or an operator was told."""
AT_ONCE_S = 1.5
"""The same where the lines are sound."""
PRICES = ("limit_price", "stop_price")


class Conduct:
    """One run's. `witness` is told nothing; its notes are read."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._requests: dict[str, ev.OrderRequest] = {}
        self._expires_at: dict[str, int] = {}
        self._submitted_at: dict[str, float] = {}
        self._replaces: dict[str, str] = {}
        self._read_at: dict[str, float] = {}
        self._tripped: set[str] = set()
        self._halted_at: float | None = None
        self._told: set[str] = set()
        self._executions = 0
        self._held: dict[Symbol, Decimal] = {}

    # -- the disk --

    def note_durable(self, facts: Sequence[ev.Fact]) -> None:
        """These facts cannot be lost any more."""
        for fact in facts:
            match fact:
                case ev.SessionOpened():
                    self._tripped.clear()
                case ev.LimitTripped():
                    self._tripped.add(fact.rule)
                case ev.Halted():
                    self._halted_at = now()
                case ev.Resumed():
                    self._halted_at = None
                case ev.OrderIntended():
                    self._note_intended(fact)
                case ev.OrderSubmitting():
                    self._submitted_at[fact.order_id] = now()

    def _note_intended(self, fact: ev.OrderIntended) -> None:
        name = fact.request.order_id
        self._requests[name] = fact.request
        if fact.replaces is not None:
            self._replaces[name] = fact.replaces
        if fact.role is not Role.ENTRY:
            return
        self._check("entries end with their candle and their session")
        if fact.expires_at is None or fact.at >= fact.expires_at:
            self._complain(f"the entry {name} was decided when its time was over")
            return
        self._expires_at[name] = fact.expires_at
        session = self._witness.exchange.market.table.at(fact.at)
        if session is None or fact.expires_at > session.closes_at:
            self._complain(f"the entry {name} would outlive its session")
        self._check("no entry after a tripped limit")
        if self._tripped:
            self._complain(f"the entry {name} was decided although {self._tripped} had tripped")

    # -- the door --

    def note_answered(self, path: str) -> None:
        """The broker has told its books."""
        self._read_at[path] = now()

    def note_leaving(self, method: str, terms: Mapping[str, Any]) -> None:
        """A request that is on record is about to leave."""
        name = str(terms.get("client_order_id", ""))
        self._compare(name, terms, is_whole=method == "POST")
        legs = terms.get("stop_loss")
        if legs is not None:
            self._compare(name.replace("-target-", "-stop-"), legs, is_whole=False)
        if method == "PATCH":
            self._judge_move(name)
        if name in self._expires_at:
            self._judge_entry(name)

    def _compare(self, name: str, terms: Mapping[str, Any], *, is_whole: bool) -> None:
        """What is sent is what is on record, to the last digit."""
        self._check("what is sent is what is on record")
        request = self._requests.get(name)
        if request is None:
            return
        if is_whole and (terms["symbol"], terms["side"]) != (request.symbol, request.action):
            self._complain(f"{name}: {terms['side']} {terms['symbol']} was sent")
        if is_whole and "-stop-" in name and terms["time_in_force"] != "gtc":
            self._complain(f"the stop {name} would vanish at the close")
        for field in PRICES:
            stated = terms.get(field)
            if stated is not None and (
                not isinstance(stated, str) or Decimal(stated) != getattr(request, field)
            ):
                self._complain(
                    f"{name}: {field} {stated} was sent, {getattr(request, field)} is on record"
                )

    def _judge_move(self, name: str) -> None:
        """A stop follows the market and never leaves it."""
        request = self._requests[name]
        before = self._requests.get(self._replaces.get(name, ""))
        if before is None or before.stop_price is None or request.stop_price is None:
            return
        if self._world.plan.has_hands:
            return  # It may have been moved by somebody else meanwhile.
        self._check("no stop is moved away")
        moved = request.stop_price - before.stop_price
        if moved < ZERO if request.action is Action.SELL else moved > ZERO:
            self._complain(f"{name} moves the stop from {before.stop_price} to a worse price")

    def _judge_entry(self, name: str) -> None:
        world, submitted_at = self._world, self._submitted_at.get(name, now())
        self._check("entries only after the broker's books were read")
        connected_at = world.connected_at.get(TRADE_STREAM, 0.0)
        since = self._witness.alive_since
        if connected_at < submitted_at:
            since = max(since, connected_at)
        self._judge_feed(name, submitted_at)
        unread = [path for path in BOOKS if self._read_at.get(path, -1.0) < since]
        if unread:
            self._complain(f"the entry {name} was sent before {unread} were read (again)")
        late_s = (self._witness.exchange.time_now - self._expires_at[name]) / world.plan.speed
        if late_s > SENDING_S:
            self._complain(f"the entry {name} was sent when its time was over")

    def _judge_feed(self, name: str, submitted_at: float) -> None:
        """No entry while bars are missed, nor before those that were missed are asked for."""
        world, exchange = self._world, self._witness.exchange
        self._check("entries only on a whole feed")
        came_at = world.connected_at.get(BAR_STREAM, 0.0)
        if BAR_STREAM in world.away:
            if world.lost_at[BAR_STREAM] < submitted_at:
                self._complain(f"the entry {name} was decided while the feed was away")
            return
        if came_at >= submitted_at:
            return
        session = exchange.market.table.at(int(exchange.time_now))
        if session is None:
            return
        came_market = exchange.time_now - (now() - came_at) * exchange.clock.speed
        had_begun = came_market > session.opens_at + FIRST_BARS_S
        if had_begun and self._read_at.get(BARS, -1.0) < came_at:
            self._complain(f"the entry {name} was sent before missed bars were asked for")

    # -- the account --

    def look(self) -> None:
        """No entry works that must not, and no closing order has opened a position."""
        self._look_at_positions()
        self._look_for_twins()
        witness = self._witness
        if not witness.has_settled:
            return
        self._check("entries end in time")
        for order in witness.exchange.desk.blotter.open_orders():
            if order.client_order_id in self._expires_at:
                self._look_at_entry(order)

    def _look_at_entry(self, order: Order) -> None:
        name, exchange = order.client_order_id, self._witness.exchange
        since = [self._witness.alive_since]
        overdue_s = (exchange.time_now - self._expires_at[name]) / exchange.clock.speed
        if overdue_s > 0:
            why, since = "its time is over", [*since, now() - overdue_s]
        elif self._halted_at is not None:
            why, since = "trading is halted", [*since, self._halted_at]
        else:
            return
        began = max(since)
        plan = self._world.plan
        bound_s = (AT_ONCE_S if plan.has_sound_lines else LINGERS_S) + 4 * plan.latency_s
        if now() - began > bound_s and name not in self._told and not self._is_alerted(began):
            self._told.add(name)
            self._complain(f"the entry {name} works on although {why}")

    def _look_for_twins(self) -> None:
        self._check("one entry in a symbol")
        working = Counter(
            order.symbol
            for order in self._witness.exchange.desk.blotter.open_orders()
            if order.client_order_id in self._expires_at
        )
        for symbol, count in working.items():
            if count > 1 and symbol not in self._told:
                self._told.add(symbol)
                self._complain(f"{count} entries work in {symbol} at once")

    def _is_alerted(self, began: float) -> bool:
        # The word of the halt itself is none on the order.
        return self._world.has_gone_wrong and self._witness.is_alerted(began + 0.001)

    def _look_at_positions(self) -> None:
        exchange = self._witness.exchange
        executions = exchange.desk.blotter.executions
        opened = {
            done.order.symbol
            for done in executions[self._executions :]
            if done.order.client_order_id not in self._requests
            or done.order.client_order_id in self._expires_at
        }
        self._executions = len(executions)
        for symbol in self._world.plan.symbols:
            held, before = exchange.held(symbol), self._held.get(symbol, ZERO)
            if held == before:
                continue
            self._held[symbol] = held
            self._check("closing orders only close")
            is_opened = held and (before == ZERO or (held > 0) is not (before > 0))
            if is_opened and symbol not in opened and not self._world.plan.has_hands:
                self._complain(f"a closing order has opened a position of {held} {symbol}")

    # -- inside --

    @property
    def _world(self) -> World:
        return self._witness.world

    def _check(self, what: str) -> None:
        self._witness.checks[what] += 1

    def _complain(self, detail: str) -> None:
        self._world.complain(detail)
