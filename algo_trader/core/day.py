"""The figures of one session: what it began with, what its trades made, what was told of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from algo_trader.core.pnl import Trade
from algo_trader.core.types import ZERO, Instant


class Day:
    """The present session in a book. `equity` is what it began with, `realized` the P&L of its
    `trades`, both dollars; `tripped` names the circuit breakers that are open until it ends, and
    `objections` the discrepancies on record: what is said again is no news.
    """

    __slots__ = (
        "began_at", "date", "equity", "loss_streak", "objections", "realized", "trades", "tripped",
    )  # fmt: skip

    def __init__(self) -> None:
        self.date: date | None = None
        self.began_at: Instant = 0
        self.equity: Decimal | None = None
        self.realized: Decimal = ZERO
        self.trades: list[Trade] = []
        self.loss_streak = 0
        self.tripped: set[str] = set()
        self.objections: set[str] = set()

    def begin(self, session: date, began_at: Instant, equity: Decimal) -> None:
        """Another session: its figures start again."""
        # A trade that ended in this session may have been found out before the session was opened.
        trades = [trade for trade in self.trades if trade.exit_at >= began_at]
        self.date, self.began_at, self.equity = session, began_at, equity
        self.realized, self.trades, self.loss_streak = ZERO, [], 0
        self.tripped, self.objections = set(), set()
        for trade in trades:
            self.count(trade)

    def count(self, trade: Trade) -> None:
        """A trade of this session is complete."""
        self.trades.append(trade)
        self.realized += trade.pnl
        if trade.pnl < ZERO:
            self.loss_streak += 1
        elif trade.pnl > ZERO:
            self.loss_streak = 0
