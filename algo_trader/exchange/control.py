"""The tester's own door, `/_control`: inject a fault by hand, read the journal, drive the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from algo_trader.core.errors import ConfigError
from algo_trader.exchange.asking import Answer, Ask, refused
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.fault_book import Rule
from algo_trader.exchange.fault_script import rule_of
from algo_trader.exchange.journal import Journal

PLACE = "fault"
STEPS_MOST = 1_000_000

Deed = Callable[[Ask], Awaitable[Answer]]


class Controlled(Protocol):
    """What can be driven by hand."""

    def inject(self, rule: Rule) -> None:
        """Put a rule in force, or carry it out now. Raises ApiFault."""
        ...

    def clear_faults(self) -> None:
        """Take every rule out of force."""
        ...

    async def step(self, steps: int) -> int:
        """Play the next steps of the floor; how many there were."""
        ...

    def state(self) -> dict[str, Any]:
        """Virtual time, connections, rules and what else a tester asks for."""
        ...


class Control:
    """Answers of the tester's door."""

    def __init__(self, exchange: Controlled, journal: Journal) -> None:
        self._exchange = exchange
        self._journal = journal

    def deeds(self) -> list[tuple[str, str, Deed]]:
        """Method, path and what answers it."""
        return [
            ("POST", "/_control/fault", self._fault),
            ("DELETE", "/_control/faults", self._clear),
            ("GET", "/_control/journal", self._read),
            ("GET", "/_control/state", self._state),
            ("POST", "/_control/step", self._step),
        ]

    async def _fault(self, ask: Ask) -> Answer:
        try:
            rule = rule_of(ask.fields(), PLACE, may_be_now=True)
            self._exchange.inject(rule)
        except ConfigError as error:
            return Answer(status=422, body={"message": str(error)})
        except ApiFault as fault:
            return refused(fault)
        return Answer(body=rule.state())

    async def _clear(self, ask: Ask) -> Answer:
        self._exchange.clear_faults()
        return Answer(status=204)

    async def _read(self, ask: Ask) -> Answer:
        after = ask.number("after", 0, 0, len(self._journal) + 1)
        return Answer(body=self._journal.entries(ask.query.get("kind") or None, after))

    async def _state(self, ask: Ask) -> Answer:
        return Answer(body=self._exchange.state())

    async def _step(self, ask: Ask) -> Answer:
        steps = 1 if ask.body is None else ask.fields().get("steps", 1)
        if not isinstance(steps, int) or not 1 <= steps <= STEPS_MOST:
            return Answer(status=422, body={"message": "steps: give a whole number, 1 or more"})
        return Answer(body={"steps": await self._exchange.step(steps)})
