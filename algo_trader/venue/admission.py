"""Whether the venue takes an order: the checks in their order, against the books as they are."""

from __future__ import annotations

from algo_trader.core.events import OrderRequest
from algo_trader.core.types import Action, ClientOrderId
from algo_trader.venue import checks
from algo_trader.venue.books import Books, reduces
from algo_trader.venue.checks import Refusal
from algo_trader.venue.groups import GroupKind, OrderGroup, misfit, misplaced
from algo_trader.venue.resting import RestingOrder
from algo_trader.venue.rules import VenueRules


class Admission:
    """Answers why an order would be refused now, or None."""

    def __init__(self, books: Books, rules: VenueRules) -> None:
        self._books = books
        self.rules = rules

    def refusal(
        self, request: OrderRequest, instead_of: RestingOrder | None = None
    ) -> Refusal | None:
        """Of a single order, in the place of a resting one if that is given.

        Exits of a group are no wash trade to anybody: they are complex orders.
        """
        wrong = self.never_right(request)
        if wrong is not None:
            return wrong
        books = self._books
        others = books.resting.get(request.symbol)
        if others and (instead_of is None or books.groups.of(instead_of.request.order_id) is None):
            wash = checks.wash_trade(
                request,
                [
                    order.request
                    for order in others
                    if order is not instead_of
                    and not books.groups.is_exit(order.request.order_id)
                ],
            )
            if wash is not None:
                return wash
        return self._beyond_means(request, instead_of)

    def group_refusal(self, group: OrderGroup) -> Refusal | None:
        """Of a group as a whole. Its members are never a wash trade: they are complex orders."""
        books, first = self._books, group.members[0]
        wrong = misfit(group, allow_stop_entry=self.rules.allow_stop_entries_in_groups)
        if wrong is not None:
            return wrong
        for member in group.members:
            wrong = self.never_right(member)
            if wrong is not None:
                return wrong
        position = books.account.qty(first.symbol)
        is_exit = reduces(first.action, position)
        if group.entry is None:
            if not is_exit:
                return Refusal(checks.UNPROCESSABLE, "oco orders must be exit orders")
        elif is_exit or (
            group.kind is GroupKind.BRACKET and (position or books.resting.get(first.symbol))
        ):
            return Refusal(checks.UNPROCESSABLE, f"{group.kind} orders must be entry orders")
        return misplaced(group, books.market(first.symbol)) or self._beyond_means(first, None)

    def replace_refusal(self, order_id: ClientOrderId, request: OrderRequest) -> Refusal | None:
        """Of an order in the place of an open one."""
        books = self._books
        old = books.by_id.get(order_id)
        group = books.groups.of(order_id)
        if old is None and group is None:
            return checks.NOT_OPEN
        if group is not None:
            qty = group.held[order_id].qty if old is None else old.qty_open
            if request.qty != qty:
                message = f"qty of {group.kind} orders cannot be replaced"
                return Refusal(checks.UNPROCESSABLE, message)
            is_leg = order_id != group.entry_id
            if is_leg and group.kind is GroupKind.OTO and not self.rules.allow_replace_of_oto_legs:
                return Refusal(checks.UNPROCESSABLE, "oto legs cannot be replaced")
        if old is None:
            return self.never_right(request)
        return self.refusal(request, instead_of=old)

    def never_right(self, request: OrderRequest) -> Refusal | None:
        """What is wrong with the order whatever the market and the positions are."""
        if self._books.knows(request.order_id):
            return checks.DUPLICATE_ID
        wrong = checks.malformed(request)
        if wrong is not None:
            return wrong
        rules = self.rules
        if rules.refuse_pct and rules.happens(rules.refuse_pct, "refuse", request.order_id):
            return checks.AT_RANDOM
        return None

    def _beyond_means(
        self, request: OrderRequest, instead_of: RestingOrder | None
    ) -> Refusal | None:
        """What the market, the shares and the money say against it."""
        books, rules = self._books, self.rules
        if rules.refuse_stops_through_market:
            through = checks.stop_through_market(request, books.market(request.symbol))
            if through is not None:
                return through
        position = books.account.qty(request.symbol)
        if reduces(request.action, position):
            held = books.reserved_qty(request.symbol, request.action, instead_of)
            return checks.too_many_shares(request.qty, abs(position) - held)
        if request.action is Action.SELL and not rules.allow_short:
            return checks.NO_SHORTS
        return checks.too_expensive(books.opening_cost(request), books.buying_power(instead_of))
