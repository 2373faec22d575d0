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
        return None if bar.high < stop else max(min(stop + slippage, bar.high), bar.low)
    return None if bar.low > stop else min(max(stop - slippage, bar.low), bar.high)


def stop_limit_fill(
    action: Action, stop: Decimal, limit: Decimal, bar: Bar, slippage: Decimal
) -> tuple[bool, Decimal | None]:
    """Whether the bar triggers a resting stop-limit order, and its fill price or None.

    The limit order begins where the stop is met. Beyond its limit there it fills, at the limit, if
    the price came back for certain: any time in a bar that opened beyond the stop, else at its
    close.
    """
    if action is Action.BUY:
        if bar.high < stop:
            return False, None
        met, back = max(bar.open, stop), bar.low if bar.open >= stop else bar.close
    else:
        if bar.low > stop:
            return False, None
        met, back = min(bar.open, stop), bar.high if bar.open <= stop else bar.close
    return True, _limit_from(action, met, back, limit, bar, slippage)


def entry_bar_stop_limit_fill(
    action: Action, stop: Decimal, limit: Decimal, bar: Bar, slippage: Decimal
) -> tuple[bool, Decimal | None]:
    """`stop_limit_fill` on the very bar that filled the entry: a touched stop is hit, at the stop.
    """
    if bar.high < stop if action is Action.BUY else bar.low > stop:
        return False, None
    return True, _limit_from(action, stop, bar.close, limit, bar, slippage)


def _limit_from(
    action: Action, met: Decimal, back: Decimal, limit: Decimal, bar: Bar, slippage: Decimal
) -> Decimal | None:
    """Fill price of a limit order that begins at the price `met` and then sees `back`, or None."""
    if action is Action.BUY:
        if met <= limit:
            return min(met + slippage, limit, bar.high)
        return limit if back <= limit else None
    if met >= limit:
        return max(met - slippage, limit, bar.low)
    return limit if back >= limit else None


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
