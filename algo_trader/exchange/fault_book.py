"""The faults in force: which rule fires at a point, for whom, and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from algo_trader.exchange.fault_words import REST
from algo_trader.exchange.wire import NEW_YORK


class Moment(NamedTuple):
    """A point in virtual time: an instant, or a time of every day in New York."""

    instant: float | None = None
    second_of_day: int | None = None

    def is_reached(self, now: float) -> bool:
        """Whether virtual time is at or past it."""
        if self.instant is not None:
            return now >= self.instant
        moment = datetime.fromtimestamp(now, NEW_YORK)
        seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
        return seconds >= (self.second_of_day or 0)


class Subject(NamedTuple):
    """What an occurrence is about, as far as it is known."""

    symbol: str | None = None
    client_order_id: str | None = None
    side: str | None = None
    type: str | None = None
    event: str | None = None
    order_id: str | None = None


NOBODY = Subject()


def subject_of(order: Mapping[str, Any], event: str | None = None) -> Subject:
    """The subject that an order's JSON names."""
    return Subject(
        symbol=order.get("symbol"),
        client_order_id=order.get("client_order_id"),
        side=order.get("side"),
        type=order.get("type"),
        event=event,
        order_id=order.get("id"),
    )


@dataclass(slots=True, kw_only=True)
class Rule:
    """One fault: from the `nth` fitting occurrence on, `times` times (0: for ever)."""

    place: str
    on: str
    do: str
    args: dict[str, Any] = field(default_factory=dict)
    nth: int = 1
    times: int = 1
    after: Moment | None = None
    until: Moment | None = None
    symbol: str | None = None
    client_order_id: str | None = None
    role: str | None = None
    side: str | None = None
    type: str | None = None
    event: str | None = None
    seen: int = 0
    fired: int = 0

    def is_at(self, point: str) -> bool:
        """Whether the rule stands at this point; a request's may be a glob."""
        if not self.on.startswith(REST):
            return self.on == point
        return point.startswith(REST) and fnmatchcase(point, self.on)

    def concerns(self, subject: Subject, now: float) -> bool:
        """Whether the conditions hold."""
        if self.after is not None and not self.after.is_reached(now):
            return False
        if self.until is not None and self.until.is_reached(now):
            return False
        wanted: Iterable[tuple[str | None, str | None]] = (
            (self.symbol, subject.symbol),
            (self.client_order_id, subject.client_order_id),
            (self.role and f"*-{self.role}-*", subject.client_order_id),
            (self.side, subject.side),
            (self.type, subject.type),
            (self.event, subject.event),
        )
        return all(
            pattern is None or (value is not None and fnmatchcase(value, pattern))
            for pattern, value in wanted
        )

    def is_its_turn(self) -> bool:
        """Count one occurrence; whether the rule fires at it."""
        self.seen += 1
        if self.seen < self.nth or (self.times and self.fired >= self.times):
            return False
        self.fired += 1
        return True

    def state(self) -> dict[str, Any]:
        """What a tester may want to know of it."""
        return {
            "place": self.place,
            "on": self.on,
            "do": self.do,
            "seen": self.seen,
            "fired": self.fired,
        }


class FaultBook:
    """The rules in force. `tell` hears of each that fires."""

    def __init__(self, rules: Iterable[Rule], tell: Callable[[Rule, str, Subject], None]) -> None:
        self.rules = list(rules)
        self._tell = tell

    def add(self, rule: Rule) -> None:
        """Put a rule in force; those before it have precedence."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Take every rule out of force."""
        self.rules.clear()

    def waits_at(self, point: str) -> bool:
        """Whether any rule stands at this point."""
        return any(rule.is_at(point) for rule in self.rules)

    def all_at(self, point: str, subject: Subject, now: float) -> list[Rule]:
        """The rules that fire at this occurrence, in order."""
        fired = [
            rule
            for rule in self.rules
            if rule.is_at(point) and rule.concerns(subject, now) and rule.is_its_turn()
        ]
        for rule in fired:
            self._tell(rule, point, subject)
        return fired

    def first_at(self, point: str, subject: Subject, now: float) -> Rule | None:
        """The one rule that fires at this occurrence; rules behind it do not see it."""
        for rule in self.rules:
            if rule.is_at(point) and rule.concerns(subject, now) and rule.is_its_turn():
                self._tell(rule, point, subject)
                return rule
        return None
