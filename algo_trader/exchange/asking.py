"""One REST request and its answer, free of HTTP: what the routes read and give.

A route is a function of an Ask. It gives an Answer or raises ApiFault; a value it cannot read is
an ApiFault too, with Alpaca's code for a malformed request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.wire import instant_of, listed, truth

BAD_PARAMETER = 40010001
NO_BODY = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request: parts of the path by name, the query, and the body's JSON."""

    method: str
    path: str
    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    now: float

    def fields(self) -> dict[str, Any]:
        """The body as an object."""
        if not isinstance(self.body, dict):
            raise ApiFault(400, 40010000, "request body format is invalid")
        return self.body

    def flag(self, name: str) -> bool:
        """A boolean of the query; false if it is not there."""
        try:
            return truth(self.query.get(name, ""))
        except ValueError:
            raise _invalid(name) from None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number of the query within bounds."""
        try:
            value = int(self.query.get(name) or default)
        except ValueError:
            raise _invalid(name) from None
        if not least <= value <= most:
            raise _invalid(name)
        return value

    def instant(self, name: str, *, is_end: bool = False) -> float | None:
        """An instant of the query, RFC 3339 or a date."""
        words = self.query.get(name)
        if not words:
            return None
        try:
            return instant_of(words, is_end=is_end)
        except ValueError:
            raise _invalid(name) from None

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """A word of the query among those allowed."""
        word = (self.query.get(name) or default).lower()
        if word not in allowed:
            raise _invalid(name)
        return word

    def words(self, name: str) -> list[str]:
        """A comma list of the query."""
        return listed(self.query.get(name))


@dataclass(slots=True, kw_only=True)
class Answer:
    """Status and body; `raw` instead of JSON where a fault wants it."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json; charset=UTF-8"


Handler: TypeAlias = Callable[[Ask], Answer]


class Route(NamedTuple):
    """What answers a method and a path pattern, in aiohttp's notation."""

    method: str
    pattern: str
    handler: Handler


def refused(fault: ApiFault) -> Answer:
    """The error body of a refusal."""
    return Answer(status=fault.status, body=fault.body)


def _invalid(name: str) -> ApiFault:
    return ApiFault(422, BAD_PARAMETER, f"invalid {name}")
