"""What outlives the simulated process, and what is noted about a run.

The dice of each matter are thrown in the order in which things happen, which is the same at every
run. The trace is the run's fingerprint: two runs are the same if their traces are.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from hashlib import blake2b
from random import Random
from typing import Any, TypeVar

from algo_trader.core.types import Word
from algo_trader.simulation.loop import now
from algo_trader.simulation.plan import Plan

Kind = TypeVar("Kind", bound=Word)
TAIL = 200
"""Lines of the trace that are kept."""


class World:
    """The notes of one run: complaints, counts, the trace."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.complaints: list[str] = []
        self.tally: Counter[str] = Counter()
        """What happened and how often, by words such as `fault: POST lost`."""
        self.is_calm = False
        """From here on nothing goes wrong any more."""
        self.life = 0
        self.away: set[str] = set()
        """Streams that are not connected."""
        self.connected_at: dict[str, float] = {}
        """When each stream came last."""
        self.lost_at: dict[str, float] = {}
        """When each stream went last."""
        self.before: list[str] = []
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._digest = blake2b(digest_size=16)
        self._dice: dict[str, Random] = {}
        self._count: Counter[str] = Counter()
        self._faults = 0

    @property
    def has_gone_wrong(self) -> bool:
        """Whether anything has been otherwise than it should be: only that excuses anything."""
        return bool(self._faults or self.plan.deeds or self.plan.disk_pct or self.tally["death"])

    def dice(self, about: str) -> Random:
        """The dice of a matter, which go on where they were left."""
        found = self._dice.get(about)
        if found is None:
            found = self._dice[about] = self.plan.dice(about)
        return found

    def scripted(self, sort: str) -> Word | None:
        """What is to go wrong with this one, the next of its sort."""
        if not self.plan.scripted:
            return None
        self._count[sort] += 1
        fault = self.plan.scripted.get(f"{sort} {self._count[sort]}")
        if fault is not None:
            self.tally[f"fault: {sort} {fault}"] += 1
            self._faults += 1
        return fault

    def drawn(self, about: str, rates: Mapping[Kind, float]) -> Kind | None:
        """Which of the kinds happens this time, if any."""
        if self.is_calm or not rates:
            return None
        dice = self.dice(about)
        for kind, rate in rates.items():
            if dice.random() < rate:
                self.tally[f"fault: {about} {kind}"] += 1
                self._faults += 1
                return kind
        return None

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        line = f"{now():10.3f} {self.life} {what}"
        self._digest.update(line.encode())
        self._tail.append(line)

    def complain(self, detail: str) -> None:
        """Something is wrong, which must never be."""
        self.note(f"!!! {detail}")
        if not self.complaints:
            self.before = list(self._tail)
        if len(self.complaints) < TAIL:
            self.complaints.append(f"{now():.3f} s, life {self.life}: {detail}")

    @property
    def fingerprint(self) -> str:
        """The digest of all that was noted."""
        return self._digest.hexdigest()

    @property
    def tail(self) -> list[str]:
        """The last lines of the trace before the first complaint, or before the end."""
        return self.before or list(self._tail)

    def log(self, event: str, /, *, level: str = "info", **fields: Any) -> None:
        """The daemon's log: what it tells an operator is part of what happened."""
        self.tally[f"log: {event}"] += 1
        if level in ("warning", "error", "critical") or event in ("filled", "order_sent"):
            self.note(f"[{level}] {event} {fields}")
