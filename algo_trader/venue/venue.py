"""The venue: a broker's order books for our own orders, matched against one-minute bars.

It accepts, refuses, rests, fills, cancels and replaces orders as a broker would, and answers with
facts. It knows nothing of strategies, roles or our book: an order closes if it reduces the net
position. Deterministic; time comes with every call. Bar t is matched twice: `match` takes the
orders that rest (closing ones first), `match_entry_bar` only the closing stops that were accepted
in answer to those fills.

Orders may come in groups (groups.py); their active members rest like any other order.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from algo_trader.core.commands import Cancel, Command, Replace, SubmitPair
from algo_trader.core.events import (
    CancelRefused,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    Report,
)
from algo_trader.core.types import (
    ZERO,
    Action,
    Bar,
    ClientOrderId,
    Instant,
    OrderType,
    Symbol,
    TimeInForce,
)
from algo_trader.venue import checks
from algo_trader.venue.account import Account
from algo_trader.venue.admission import Admission
from algo_trader.venue.books import Books, reduces
from algo_trader.venue.costs import Costs
from algo_trader.venue.groups import Group, GroupKind, OrderGroup
from algo_trader.venue.pricing import at_once_price, entry_bar_price, resting_price
from algo_trader.venue.resting import RestingOrder, VenueState
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.trailing import follow_all, take_mark

NO_REPORTS: tuple[Report, ...] = ()
_BRIEF = (TimeInForce.IOC, TimeInForce.FOK)


class Venue:
    """One account at a simulated broker.

    `price_in_bar` is the last price of the last match that filled something. While `is_open` is
    false orders are queued: nothing fills at once.
    """

    def __init__(self, cash: Decimal, costs: Costs, rules: VenueRules | None = None) -> None:
        self.costs = costs
        self.rules = rules or VenueRules()
        self.books = Books(Account(cash))
        self.admission = Admission(self.books, self.rules)
        self.last_bar = self.books.last_bar
        self.resting = self.books.resting
        self.price_in_bar: Decimal = ZERO

    def restore(self, state: VenueState) -> None:
        """Go on where another venue stopped; for a venue that has seen nothing yet."""
        books = self.books
        books.account = state.account
        books.last_bar.update(state.last_bar)
        for order in state.resting:
            books.keep(order)
        for profit_id, stop_id in state.pairs:
            books.groups.restore(profit_id, stop_id)
        books.finished.update(state.finished)
        books.count = state.order_count
        self.price_in_bar = state.price_in_bar
        if state.matching is not None:
            books.in_bar[state.matching] = state.price_in_bar

    @property
    def account(self) -> Account:
        """Cash and positions."""
        return self.books.account

    @property
    def is_open(self) -> bool:
        """Whether the market trades; a venue that is told nothing is always open."""
        return self.books.is_open

    @is_open.setter
    def is_open(self, is_open: bool) -> None:
        self.books.is_open = is_open

    @property
    def matching(self) -> Symbol | None:
        """The symbol whose bar `match` filled orders from and `match_entry_bar` has not seen; the
        last of them if there are several."""
        return next(reversed(self.books.in_bar), None)

    # -- what a client may ask --

    def execute(self, command: Command, now: Instant) -> Sequence[Report]:
        """Carry out a command and answer."""
        if isinstance(command, Cancel):
            return self.cancel(command.order_id, now)
        if isinstance(command, Replace):
            return self.replace(command.order_id, command.request, now)
        if isinstance(command, SubmitPair):
            return self._submit_pair(command, now)
        return self.submit(command.request, now)

    def submit(self, request: OrderRequest, now: Instant) -> Sequence[Report]:
        """Take or refuse an order. A market order fills at the last completed bar's close."""
        refusal = self.admission.refusal(request)
        if refusal is not None:
            return (_refused(request, refusal, now),)
        return self._begin(request, now)

    def submit_group(self, group: OrderGroup, now: Instant) -> Sequence[Report]:
        """Take or refuse a group as a whole; a refusal is told of its first member.

        An exit is reported as accepted when it becomes active: at once, or when the entry has been
        filled completely. Until then it is held, which nothing reports.
        """
        refusal = self.admission.group_refusal(group)
        if refusal is not None:
            return (_refused(group.members[0], refusal, now),)
        self.books.groups.add(group)
        if group.entry is not None:
            return self._begin(group.entry, now)
        return [_accepted(self.books.add(leg), now) for leg in group.legs]

    def _submit_pair(self, command: SubmitPair, now: Instant) -> Sequence[Report]:
        """An OCO group; its refusal is told of both, the target first."""
        stop, target = command
        group = OrderGroup(GroupKind.OCO, take_profit=target, stop_loss=stop)
        reports = self.submit_group(group, now)
        refused = reports[0]
        if isinstance(refused, OrderRefused):
            code, message = refused.code, refused.message
            both = (target.order_id, stop.order_id)
            return [OrderRefused(at=now, order_id=i, code=code, message=message) for i in both]
        return reports

    def cancel(self, order_id: ClientOrderId, now: Instant) -> Sequence[Report]:
        """Cancel what is left of an order, and of its group; refused when it is not open."""
        books = self.books
        if order_id not in books.by_id and not books.is_held(order_id):
            code, message, _ = checks.not_cancelable(order_id, books.finished.get(order_id))
            return (CancelRefused(at=now, order_id=order_id, code=code, message=message),)
        group = books.groups.of(order_id)
        others = [] if group is None else [each for each in group.open_ids if each != order_id]
        for each in (order_id, *others):
            books.end(each, "canceled")
        return tuple(OrderCanceled(at=now, order_id=each) for each in (order_id, *others))

    def replace(
        self, order_id: ClientOrderId, request: OrderRequest, now: Instant
    ) -> Sequence[Report]:
        """Put a new order in the place of an open one, or refuse and leave the old one alone.

        Of a held order nothing is accepted yet; the new one is held in its place.
        """
        refusal = self.admission.replace_refusal(order_id, request)
        if refusal is not None:
            return (_refused(request, refusal, now),)
        replaced = OrderReplaced(at=now, order_id=order_id, replaced_by=request.order_id)
        old = self.books.by_id.get(order_id)
        self.books.groups.swap(order_id, request)
        self.books.end(order_id, "replaced")
        if old is None:
            return (replaced,)
        new = self.books.add(request)
        if request.type is OrderType.STOP_LIMIT and old.trigger is None:
            new.trigger = None  # It was triggered: the limit order goes on.
        if request.type is OrderType.TRAILING_STOP and old.mark is not None:
            take_mark(new, old.mark)
        return (replaced, _accepted(new, now))

    def knows(self, order_id: ClientOrderId) -> bool:
        """Whether an order of that id was ever accepted here; refused ones were not."""
        return self.books.knows(order_id)

    def resting_order(self, order_id: ClientOrderId) -> RestingOrder | None:
        """The order of that id while it rests."""
        return self.books.by_id.get(order_id)

    def group_of(self, order_id: ClientOrderId) -> Group | None:
        """The group the order is an open member of."""
        return self.books.groups.of(order_id)

    @property
    def buying_power(self) -> Decimal:
        """What new orders may cost: no leverage, resting opening orders taken off."""
        return self.books.buying_power()

    # -- what the market does --

    def match(self, bar: Bar) -> Sequence[Report]:
        """Fills of the orders resting when this bar began: closing orders first, then opening."""
        symbol = bar.symbol
        self.last_bar[symbol] = bar
        try:
            resting = self.resting[symbol]
        except KeyError:
            resting = self.resting[symbol] = []
        if not resting:
            return NO_REPORTS
        reached = []
        for order in resting:
            stop = order.trigger
            if stop is not None and (
                bar.low > stop if order.request.action is Action.SELL else bar.high < stop
            ):
                continue  # The usual case, told apart without a call.
            price = resting_price(order, bar, self.costs.slippage_per_share)
            if price is not None:
                reached.append((order, price))
        if self.books.trailing_count:
            reached += follow_all(resting, bar, reached, self.costs.slippage_per_share)
        if not reached:
            return NO_REPORTS
        self.books.in_bar[symbol] = self.price_in_bar = reached[-1][1]
        position = self.account.qty(symbol)
        if self.books.groups.members:  # A bar that reached both exits of a group: the worse first.
            reached.sort(key=lambda pair: pair[0].request.type is OrderType.LIMIT)
        reached.sort(key=lambda pair: not reduces(pair[0].request.action, position))
        return self._fill_in_turn(reached, bar.start)

    def match_entry_bar(self, bar: Bar) -> Sequence[Report]:
        """Fills of the closing stops accepted since `match` of the same bar reported fills."""
        self.books.in_bar.pop(bar.symbol, None)
        reports: list[Report] = []
        for order in tuple(self.resting.get(bar.symbol, ())):
            if not order.is_born_in_bar:
                continue
            order.is_born_in_bar = False
            request = order.request
            if not reduces(request.action, self.account.qty(request.symbol)):
                continue
            price = entry_bar_price(order, bar, self.costs.slippage_per_share)
            if price is not None:
                reports += self._fill_in_turn([(order, price)], bar.start)
        return reports

    def fill(
        self, order_id: ClientOrderId, qty: Decimal, price: Decimal, at: Instant
    ) -> Sequence[Report]:
        """Fill a resting order by hand at any price: at most what is open of it."""
        order = self.books.by_id[order_id]
        return self._fill_member(order, min(qty, order.qty_open), price, at)

    def end_session(self, now: Instant) -> Sequence[Report]:
        """The session closed: day orders expire, those that are held too."""
        books = self.books
        requests = [order.request for order in books.by_id.values()] + books.groups.all_held()
        reports: list[Report] = []
        for request in requests:
            if request.time_in_force is TimeInForce.DAY:
                books.end(request.order_id, "expired")
                reports.append(OrderExpired(at=now, order_id=request.order_id))
        return reports

    # -- inside --

    def _begin(self, request: OrderRequest, now: Instant) -> Sequence[Report]:
        """Accept an order, fill it if it is to be filled at once, and end it if it may not rest."""
        books = self.books
        order = books.add(request)
        reports: list[Report] = [_accepted(order, now)]
        is_brief = request.time_in_force in _BRIEF
        if books.is_open and (is_brief or request.type is OrderType.MARKET):
            bar = self.last_bar.get(request.symbol)
            price = at_once_price(order, bar, self.costs.slippage_per_share)
            if bar is not None and price is not None:
                reports += self._fill_in_turn([(order, price)], bar.start)
        if is_brief and request.order_id in books.by_id:
            books.end(request.order_id, "canceled")
            reports.append(OrderCanceled(at=now, order_id=request.order_id))
        return reports

    def _fill_in_turn(
        self, reached: Sequence[tuple[RestingOrder, Decimal]], at: Instant
    ) -> list[Report]:
        """Fill these orders, and do what each fill means to the rest of its group."""
        if not self.books.groups.members:
            fill_qty = self.rules.fill_qty
            return [self._book(order, fill_qty(order), price, at) for order, price in reached]
        reports: list[Report] = []
        for order, price in reached:
            if order.request.order_id in self.books.by_id:  # Else a fill before it has ended it.
                reports += self._fill_member(order, self.rules.fill_qty(order), price, at)
        return reports

    def _fill_member(
        self, order: RestingOrder, qty: Decimal, price: Decimal, at: Instant
    ) -> list[Report]:
        """Fill an order that may be a member of a group."""
        order_id = order.request.order_id
        group = self.books.groups.of(order_id)
        reports: list[Report] = []
        if group is not None and order_id == group.stop_id and group.profit_id is not None:
            reports.append(self._end_profit(group.profit_id, order_id, at))
        reports.append(self._book(order, qty, price, at))
        if group is not None:
            reports += self._follow_up(order, group, at)
        return reports

    def _follow_up(self, order: RestingOrder, group: Group, at: Instant) -> list[Report]:
        """What a fill of this member means to those that wait for it or share its shares."""
        books, order_id = self.books, order.request.order_id
        reports: list[Report] = []
        if order_id == group.entry_id:
            if order.qty_open:
                return reports
            legs = tuple(group.held.values())
            group.held.clear()
            reports += [_accepted(books.add(leg), at) for leg in legs]
        elif order_id == group.profit_id and group.stop_id is not None:
            stop = books.by_id[group.stop_id]
            if order.qty_open:
                stop.request = stop.request._replace(qty=order.qty_open)
            else:
                books.end(group.stop_id, "canceled")
                reports.append(OrderCanceled(at=at, order_id=stop.request.order_id))
        if not order.qty_open:
            books.groups.end(order_id)
        return reports

    def _end_profit(
        self, order_id: ClientOrderId, stop_id: ClientOrderId, at: Instant
    ) -> OrderReplaced | OrderCanceled:
        """End the take-profit of a group whose stop was triggered."""
        if self.rules.triggered_stop_replaces_profit:
            self.books.end(order_id, "replaced")
            return OrderReplaced(at=at, order_id=order_id, replaced_by=stop_id)
        self.books.end(order_id, "canceled")
        return OrderCanceled(at=at, order_id=order_id)

    def _book(self, order: RestingOrder, qty: Decimal, price: Decimal, at: Instant) -> OrderFilled:
        request = order.request
        commission = self.costs.commission(request.action, qty, price, at)
        self.account.fill(request.symbol, request.action, qty, price, commission)
        order.qty_filled += qty
        order.trigger = None
        if not order.qty_open:
            self.books.finish(order, "filled")
        return OrderFilled(
            at=at,
            order_id=request.order_id,
            qty=qty,
            price=price,
            cum_qty=order.qty_filled,
            commission=commission,
            execution_id=f"{order.broker_id}-{order.qty_filled}",
        )


def _accepted(order: RestingOrder, at: Instant) -> OrderAccepted:
    return OrderAccepted(at=at, order_id=order.request.order_id, broker_id=order.broker_id)


def _refused(request: OrderRequest, refusal: checks.Refusal, now: Instant) -> OrderRefused:
    return OrderRefused(
        at=now, order_id=request.order_id, code=refusal.code, message=refusal.message
    )
