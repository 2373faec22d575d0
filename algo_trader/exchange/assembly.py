"""The exchange put together from what it replays and whom it serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from algo_trader.core.session import SessionTable
from algo_trader.core.types import Symbol
from algo_trader.exchange.clock import VirtualClock
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.fault_book import Rule
from algo_trader.exchange.floor import Floor
from algo_trader.exchange.server import Exchange, ServerTerms
from algo_trader.feeds.tape import TapeDay
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

LEAD_S = 300.0
"""Virtual time before the first open."""
LEAD_REAL_S = 4.0
"""And no less than so much real time, if it begins when the first client reads the clock."""
SPEED_MOST = 1_000_000.0
"""How fast the clock runs that waits for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Days that trade, the days before them, and the account that trades them.

    `speed` is virtual seconds a real second, None for the most. Nights are jumped over.
    """

    history: Sequence[TapeDay]
    period: Sequence[TapeDay]
    symbols: Sequence[Symbol]
    sessions: SessionTable
    costs: Costs
    rules: VenueRules
    account: str
    cash: Decimal
    speed: float | None


def assemble(
    replayed: Replayed,
    terms: ServerTerms,
    *,
    rules: Iterable[Rule] = (),
    journal_file: Path | None = None,
) -> Exchange:
    """An exchange that is not listening yet. Raises ConfigError for a journal it cannot write."""
    desk = Desk(
        account_number=replayed.account,
        cash=replayed.cash,
        costs=replayed.costs,
        rules=replayed.rules,
        sessions=replayed.sessions,
        symbols=replayed.symbols,
    )
    opens_at = replayed.period[0].session.opens_at
    clock = VirtualClock(opens_at, SPEED_MOST if replayed.speed is None else replayed.speed)
    lead_s = LEAD_S
    if terms.waits_for_clients and replayed.speed is not None:
        lead_s = max(lead_s, LEAD_REAL_S * replayed.speed)
    floor = Floor(
        desk, clock, period=replayed.period, history=replayed.history, lead_s=lead_s
    )
    return Exchange(
        desk,
        floor,
        replayed.sessions,
        terms,
        ends_at=replayed.period[-1].session.closes_at,
        rules=rules,
        journal_file=journal_file,
    )
