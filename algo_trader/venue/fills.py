"""At what price a bar fills an order, or that it does not.

Rule (strategy page, section 10; details page, "Orders and fills"): slippage works against us and a
fill never leaves the bar's range. On the bar that filled the entry the order of events inside the
minute is unknown: a stop the bar has touched counts as hit, at the stop, the open is not used.
"""

from __future__ import annotations

from decimal import Decimal

from algo_trader.core.types import Action, Bar


def stop_fill(action: Action, stop: Decimal, bar: Bar, slippage: Decimal) -> Decimal | None:
    """Fill price of a resting stop order, or None if the bar does not reach it."""
    if action is Action.BUY:
        if bar.high < stop:
            return None
        return min(max(bar.open, stop) + slippage, bar.high)
    if bar.low > stop:
        return None
    return max(min(bar.open, stop) - slippage, bar.low)


def entry_bar_stop_fill(
    action: Action, stop: Decimal, bar: Bar, slippage: Decimal
) -> Decimal | None:
    """Fill price of a protective stop on the very bar that filled the entry, or None."""
    if action is Action.BUY:
        return None if bar.high < stop else min(stop + slippage, bar.high)
    return None if bar.low > stop else max(stop - slippage, bar.low)


def limit_fill(action: Action, limit: Decimal, bar: Bar) -> Decimal | None:
    """Fill price of a resting limit order, or None; a limit knows no slippage."""
    if action is Action.BUY:
        return None if bar.low > limit else min(bar.open, limit)
    return None if bar.high < limit else max(bar.open, limit)


def market_fill(action: Action, bar: Bar, slippage: Decimal) -> Decimal:
    """Fill price of a market order at the close of the last completed bar."""
    if action is Action.BUY:
        return min(bar.close + slippage, bar.high)
    return max(bar.close - slippage, bar.low)
