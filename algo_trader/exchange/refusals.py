"""A refusal of the venue as the API's error, with what the account knows about it."""

from __future__ import annotations

from typing import Any

from algo_trader.core.types import Action, ClientOrderId, text
from algo_trader.exchange.blotter import Blotter
from algo_trader.exchange.errors import ApiFault, fault
from algo_trader.exchange.orders import Order
from algo_trader.venue.checks import WASH_TRADE, Refusal, could_trade_together
from algo_trader.venue.venue import Venue


class Refusals:
    """Words refusals."""

    def __init__(self, venue: Venue, blotter: Blotter) -> None:
        self._venue = venue
        self._blotter = blotter

    def fault(self, refusal: Refusal, order: Order) -> ApiFault:
        """The venue's refusal as the API's error, with what the account knows about it."""
        symbol = order.symbol
        if "available" in refusal.figures:
            position = self._venue.account.qty(symbol)
            rivals = self._rivals(order)
            return fault(
                refusal,
                {
                    "available": refusal.figures["available"],
                    "existing_qty": text(abs(position)),
                    "held_for_orders": text(self._venue.books.reserved_qty(symbol, order.action)),
                    "related_orders": [rival.id for rival in rivals],
                    "symbol": symbol,
                },
            )
        if refusal is WASH_TRADE:
            return fault(refusal, self._wash(order))
        return fault(refusal)

    def _rivals(self, order: Order) -> list[Order]:
        """Open orders of the same way that hold shares back."""
        return [
            other
            for other in self._blotter.open_orders(order.symbol)
            if other.action is order.action
            and other.id != order.replaces
            and self._venue.resting_order(ClientOrderId(other.id)) is not None
        ]

    def _wash(self, order: Order) -> dict[str, Any]:
        request = order.request
        for other in self._blotter.open_orders(order.symbol):
            is_exit = self._venue.books.groups.is_exit(ClientOrderId(other.id))
            if not is_exit and could_trade_together(request, other.request):
                extras = {"existing_order_id": other.id}
                buy, sell = (order, other) if order.action is Action.BUY else (other, order)
                if buy.limit_price is None or sell.limit_price is None:
                    reason = "opposite side market/stop order exists"
                    return {**extras, "reject_reason": reason}
                return {
                    **extras,
                    "reject_reason": "opposite side limit order exists",
                    "buy_limit_price": text(buy.limit_price),
                    "sell_limit_price": text(sell.limit_price),
                }
        return {}
