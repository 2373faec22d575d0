"""A desk to try things on: three sessions, two stocks, and every update it tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from algo_trader.core.session import SessionTable
from algo_trader.core.types import MINUTE, Bar, Session
from algo_trader.exchange.desk import ApiFault, Desk
from algo_trader.exchange.options import DeskOptions
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

OPEN = 1_704_205_800
"""2024-01-02 09:30 in New York."""
CLOSE = OPEN + 390 * MINUTE
DAY_S = 86_400
SESSIONS = SessionTable(
    [
        Session(date(2024, 1, 2 + number), OPEN + number * DAY_S, CLOSE + number * DAY_S)
        for number in range(3)
    ]
)


def bar(minute: int, ohlc: str, symbol: str = "AA") -> Bar:
    """A bar of the first session by its minute."""
    opened, high, low, close = map(Decimal, ohlc.split())
    return Bar(symbol, OPEN + minute * MINUTE, opened, high, low, close, 100)


def body(action: str, kind: str, qty: object = 10, lasts: str = "day", **more: Any) -> Any:
    """The body of a POST for AA."""
    terms = {"side": action, "type": kind, "qty": qty, "time_in_force": lasts}
    return {"symbol": "AA", **terms, **more}


@dataclass
class Told:
    """A desk, and the updates it has told since the last look."""

    desk: Desk
    updates: list[dict[str, Any]] = field(default_factory=list)
    now: float = OPEN + 60.0

    def events(self) -> list[str]:
        """Event, type and status of every update since the last look."""
        found = [
            f"{data['event']} {data['order']['type']} {data['order']['status']}"
            for data in self.updates
        ]
        self.updates.clear()
        return found

    def submit(self, action: str, kind: str, qty: object = 10, **more: Any) -> dict[str, Any]:
        """Submit an order for AA now."""
        return self.desk.submit(body(action, kind, qty, **more), self.now)

    def play(self, minute: int, ohlc: str, symbol: str = "AA") -> bool:
        """A bar meets the orders, half a minute after its start."""
        self.now = max(self.now, OPEN + minute * MINUTE + 30.0)
        return self.desk.match(bar(minute, ohlc, symbol), self.now)

    def status(self, order: dict[str, Any]) -> str:
        """How an order stands now."""
        return str(self.desk.order(order["id"])["status"])

    def position(self) -> Decimal:
        """Shares of AA."""
        return self.desk.venue.account.qty("AA")


def told(
    *,
    cash: int = 10_000,
    costs: Costs | None = None,
    options: DeskOptions | None = None,
    **rules: Any,
) -> Told:
    """A desk in the second minute of the first session; AA traded at 10 and BB at 50."""
    desk = Desk(
        account_number="PA1",
        cash=Decimal(cash),
        costs=costs or Costs(slippage_per_share=Decimal(0)),
        rules=VenueRules(**rules),
        sessions=SESSIONS,
        symbols=["BB", "AA"],
        options=options,
    )
    made = Told(desk)
    desk.on_update = made.updates.append
    desk.match(bar(0, "10 10 10 10"), OPEN + 30.0)
    desk.match(bar(0, "50 50 50 50", "BB"), OPEN + 30.0)
    return made


@contextmanager
def refused(status: int, code: int | None, message: str, **extras: Any) -> Iterator[None]:
    """The block is answered with exactly this error."""
    with pytest.raises(ApiFault) as caught:
        yield
    fault = caught.value
    assert (fault.status, fault.code, fault.message, fault.extras) == (
        status,
        code,
        message,
        extras,
    )
