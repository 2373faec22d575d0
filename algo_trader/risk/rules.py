"""The checks on a signal, each a small class, in the order in which they refuse.

Rule (risk page, "Checks on a signal"). A rule looks at a RiskView and says whether it refuses; it
changes nothing. Anything missing or not finite counts as unknown, and unknown means no new risk.
Reducing orders never pass here: they have a narrower gate of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple, Protocol

from algo_trader.risk.limits import RiskLimits


class RiskView(NamedTuple):
    """What the rules may look at, at the moment of a signal. Money in dollars.

    `buying_power` is what is left after every resting entry is counted as filled.
    `tripped` holds the breakers that are open this session.
    """

    halted: bool
    ready: bool
    has_unknown_order: bool
    tripped: frozenset[str] | set[str]
    open_positions: int
    resting_entries: int
    session_equity: Decimal | None
    equity: Decimal
    buying_power: Decimal
    is_symbol_halted: bool = False
    has_foreign_shares: bool = False


class Rule(Protocol):
    """One reason to refuse a signal."""

    name: ClassVar[str]

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Whether new risk is forbidden."""
        ...


class HaltRule:
    """An operator's halt, a kill or a broken invariant is on record."""

    name: ClassVar[str] = "HALTED"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Until an operator resumes."""
        return view.halted


class ReadinessRule:
    """Reconciliation is not finished, a stream is stale or the account is unknown."""

    name: ClassVar[str] = "NOT_READY"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Also when a figure of the account is missing or not a finite number."""
        return not (
            view.ready
            and view.session_equity is not None
            and view.session_equity.is_finite()
            and view.equity.is_finite()
            and view.buying_power.is_finite()
        )


class TradingHaltRule:
    """The exchange has stopped trading in the symbol."""

    name: ClassVar[str] = "TRADING_HALT"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Until it has resumed."""
        return view.is_symbol_halted


class UnknownOrderRule:
    """The symbol has an order whose outcome is unknown."""

    name: ClassVar[str] = "UNKNOWN_ORDER"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Until the broker has been asked and has answered."""
        return view.has_unknown_order


class ForeignSharesRule:
    """Shares of the symbol are held that no strategy of ours has bought.

    A broker keeps one position a symbol: ours would be netted against them, and neither could be
    closed by its own size, nor keep a stop that the other's orders do not forbid.
    """

    name: ClassVar[str] = "FOREIGN_SHARES"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Until they are gone."""
        return view.has_foreign_shares


class BreakerRule:
    """A circuit breaker of that name is open for the rest of the session."""

    name: ClassVar[str]

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """The breaker decides when to open; here it only has to be open."""
        return self.name in view.tripped


class DailyLossRule(BreakerRule):
    """The session's loss has reached its limit."""

    name = "DAILY_LOSS"


class ConsecutiveLossesRule(BreakerRule):
    """The last trades of the session were all losses."""

    name = "CONSECUTIVE_LOSSES"


class MaxPositionsRule:
    """Positions and resting or unknown entries fill all places."""

    name: ClassVar[str] = "MAX_POSITIONS"

    def refuses(self, view: RiskView, limits: RiskLimits) -> bool:
        """Every entry that may still fill is counted as filled."""
        return view.open_positions + view.resting_entries >= limits.max_open_positions


RULES: Sequence[Rule] = (
    HaltRule(),
    ReadinessRule(),
    TradingHaltRule(),
    UnknownOrderRule(),
    ForeignSharesRule(),
    DailyLossRule(),
    ConsecutiveLossesRule(),
    MaxPositionsRule(),
)

QTY_ZERO = "QTY_ZERO"

ALL_RULES = (*(rule.name for rule in RULES), QTY_ZERO)
"""Every reason for which a signal may be refused, in the order of the checks."""


def first_refusal(view: RiskView, limits: RiskLimits) -> str | None:
    """The name of the first rule that refuses, or None."""
    for rule in RULES:
        if rule.refuses(view, limits):
            return rule.name
    return None
