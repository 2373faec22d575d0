"""The port between candles and strategies: something that turns each candle into indicators."""

from __future__ import annotations

from typing import Any, Protocol

from algo_trader.core.types import Candle


class IndicatorSource(Protocol):
    """Keeps the running state of one symbol's indicators."""

    def update(self, candle: Candle) -> Any:
        """Take the next candle of the stream; returns an immutable set of values after it."""
        ...
