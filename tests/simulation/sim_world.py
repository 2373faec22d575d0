"""What outlives the simulated process: the network, the faults to come, and the witness's notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.broker import BrokerOrder
from algo_trader.core.types import ClientOrderId, Instant, Role


class Fault(StrEnum):
    """What becomes of a request on its way."""

    NONE = "none"
    LOST = "lost"
    """It never arrives, and no answer comes."""
    NO_REPLY = "no reply"
    """It arrives, its answer does not."""
    LATE = "late"
    """No answer comes; it arrives after the first look-ups have said that it is not there."""
    TWICE = "twice"
    """It arrives twice, and the answer is the one to the second."""
    UNSENT = "unsent"
    """It certainly did not leave."""
    REFUSED = "refused"
    """The broker refuses what it would otherwise have done."""


EVERY_FAULT = tuple(Fault)[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which requests meet which fault, drawn from `seed` and the order: the same at every run.

    `pct` of the first two requests of a sort about an order meet one of `kinds`; none does from
    `until` (market time) on. `lag_s` is how old the answers to questions about orders are;
    `deaf_pct` of the questions get no answer, `echo_pct` of the reports come again.
    """

    seed: int = 0
    pct: int = 0
    kinds: Sequence[Fault] = EVERY_FAULT
    until: Instant = 1 << 40
    lag_s: float = 0.0
    deaf_pct: int = 0
    echo_pct: int = 0
    timeout_s: float = 2.0
    settle_s: float = 6.0
    minute_s: float = 20.0

    def chance(self, *about: object) -> Random:
        """The dice of one matter."""
        return Random("|".join(map(str, (self.seed, *about))))

    def fault(self, sort: str, order_id: ClientOrderId, attempt: int, now: Instant) -> Fault:
        """What happens to the request of this sort about this order."""
        if attempt > 2 or now >= self.until:
            return Fault.NONE
        chance = self.chance(sort, order_id, attempt)
        return chance.choice(self.kinds) if chance.random() * 100 < self.pct else Fault.NONE


def role_of(order_id: ClientOrderId) -> Role:
    """What an order is for, by its name."""
    return Role(order_id.split("-")[-2])


@dataclass
class World:
    """All that a crash of the process leaves alone.

    `on_the_wire` are requests that arrive later, by virtual time. `versions` are an order's states
    at the broker and since when. `minutes` counts the settled minutes that were looked at, and
    `patience` is how many of them in a row a position may lack cover.
    """

    plan: FaultPlan | None
    patience: int = 0
    complaints: list[str] = field(default_factory=list)
    on_the_wire: list[tuple[float, cmd.Command]] = field(default_factory=list)
    versions: dict[ClientOrderId, list[tuple[float, BrokerOrder]]] = field(default_factory=dict)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bare_minutes: Counter[str] = field(default_factory=Counter)
    minutes: int = 0
    _recorded: Counter[tuple[str, ClientOrderId]] = field(default_factory=Counter)
    _sent: Counter[tuple[str, ClientOrderId]] = field(default_factory=Counter)

    def complain(self, detail: str) -> None:
        """Something is wrong."""
        self.complaints.append(detail)

    def note_durable(self, facts: Sequence[ev.Fact]) -> None:
        """These facts are on the disk."""
        for fact in facts:
            if isinstance(fact, ev.OrderIntended):
                self._recorded["intended", fact.request.order_id] += 1
            elif isinstance(fact, ev.OrderSubmitting):
                self._recorded["sent", fact.order_id] += 1
            elif isinstance(fact, ev.CancelRequested):
                self._recorded["cancel", fact.order_id] += 1

    def note_sent(self, command: cmd.Command) -> None:
        """This request is about to leave: was it on record, and may it leave again?"""
        if isinstance(command, cmd.Cancel):
            self._note_one("cancel", command.order_id)
        for request in cmd.placed_by(command):
            if not self._recorded["intended", request.order_id]:
                self.complain(f"{request.order_id} was sent before it was on record as intended")
            self._note_one("sent", request.order_id)

    def _note_one(self, sort: str, order_id: ClientOrderId) -> None:
        self._sent[sort, order_id] += 1
        if self._sent[sort, order_id] > self._recorded[sort, order_id]:
            self.complain(f"{order_id}: {sort} was not on record when it left")
        if sort == "sent" and self._sent[sort, order_id] > 1 and role_of(order_id) is Role.ENTRY:
            self.complain(f"the entry {order_id} was sent twice")
