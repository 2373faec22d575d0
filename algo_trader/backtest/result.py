"""A finished backtest, and the JSON document that `backtest --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from algo_trader.backtest.equity import EquityCurve
from algo_trader.backtest.metrics import Metrics
from algo_trader.core.pnl import Trade, trade_json
from algo_trader.core.types import Symbol, text


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """What was run, and what came of it.

    `params` holds every effective setting by section; `bars_dropped` are those outside regular
    hours; `signals_refused` counts signals by the risk rule that refused them.
    """

    strategy: str
    symbols: list[Symbol]
    first: date
    last: date
    interval_minutes: int
    capital: Decimal
    params: dict[str, Any]
    bars: int
    candles: int
    bars_dropped: int
    signals_taken: int
    signals_refused: dict[str, int]
    elapsed_s: float
    metrics: Metrics
    trades: list[Trade]
    curve: EquityCurve

    @property
    def bars_per_s(self) -> int:
        """Bars a second over the run itself, without loading."""
        return round(self.bars / self.elapsed_s) if self.elapsed_s > 0 else 0

    def as_json(self) -> dict[str, Any]:
        """The document: money, prices, quantities and ratios are strings, undefined is null."""
        return {
            "run": {
                "strategy": self.strategy,
                "symbols": self.symbols,
                "from": self.first.isoformat(),
                "to": self.last.isoformat(),
                "interval_minutes": self.interval_minutes,
                "initial_capital": text(self.capital),
                "params": self.params,
                "bars": self.bars,
                "candles": self.candles,
                "bars_dropped": self.bars_dropped,
                "signals": {"taken": self.signals_taken, "refused": self.signals_refused},
                "elapsed_s": round(self.elapsed_s, 6),
                "bars_per_s": self.bars_per_s,
            },
            "metrics": {
                name: text(value) if isinstance(value, Decimal) else value
                for name, value in self.metrics._asdict().items()
            },
            "trades": [trade_json(trade) for trade in self.trades],
        }
