"""The venue: a broker's order books for our own orders, matched against one-minute bars.

It accepts, refuses, rests, fills, cancels and replaces orders as a broker would, and answers with
facts. It knows nothing of strategies, roles or our book: an order closes if it reduces the net
position. Deterministic; time comes with every call. Bar t is matched twice: `match` takes the
orders that rest (closing ones first), `match_entry_bar` only the closing stops that were accepted
in answer to those fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from algo_trader.core.events import (
    Cancel,
    CancelRefused,
    Command,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    Replace,
    Report,
)
from algo_trader.core.types import (
    ZERO,
    Action,
    Bar,
    BrokerOrderId,
    ClientOrderId,
    Instant,
    OrderType,
    Symbol,
    TimeInForce,
)
from algo_trader.venue import checks
from algo_trader.venue.account import Account
from algo_trader.venue.costs import Costs
from algo_trader.venue.fills import entry_bar_stop_fill, limit_fill, market_fill, stop_fill
from algo_trader.venue.resting import RestingOrder, VenueState
from algo_trader.venue.rules import VenueRules

NO_REPORTS: tuple[Report, ...] = ()


class Venue:
    """One account at a simulated broker.

    `matching` is the symbol whose bar `match` has seen and `match_entry_bar` has not, and
    `price_in_bar` the last price of that match.
    """

    def __init__(self, cash: Decimal, costs: Costs, rules: VenueRules | None = None) -> None:
        self.account = Account(cash)
        self.costs = costs
        self.rules = rules or VenueRules()
        self.last_bar: dict[Symbol, Bar] = {}
        self.resting: dict[Symbol, list[RestingOrder]] = {}
        self._by_id: dict[ClientOrderId, RestingOrder] = {}
        self._finished: dict[ClientOrderId, str] = {}
        self._count = 0
        self.matching: Symbol | None = None
        self.price_in_bar: Decimal = ZERO

    def restore(self, state: VenueState) -> None:
        """Go on where another venue stopped; for a venue that has seen nothing yet."""
        self.account = state.account
        self.last_bar = dict(state.last_bar)
        for order in state.resting:
            self.resting.setdefault(order.request.symbol, []).append(order)
            self._by_id[order.request.order_id] = order
        self._finished = dict(state.finished)
        self._count = state.order_count
        self.matching = state.matching
        self.price_in_bar = state.price_in_bar

    # -- what a client may ask --

    def execute(self, command: Command, now: Instant) -> Sequence[Report]:
        """Carry out a command and answer."""
        if isinstance(command, Cancel):
            return self.cancel(command.order_id, now)
        if isinstance(command, Replace):
            return self.replace(command.order_id, command.request, now)
        return self.submit(command.request, now)

    def submit(self, request: OrderRequest, now: Instant) -> Sequence[Report]:
        """Take or refuse an order. A market order fills at the last completed bar's close."""
        refusal = self._refusal(request)
        if refusal is not None:
            return (_refused(request, refusal, now),)
        order = self._accept(request)
        accepted = OrderAccepted(at=now, order_id=request.order_id, broker_id=order.broker_id)
        if request.type is OrderType.MARKET:
            bar = self.last_bar.get(request.symbol)
            if bar is not None:
                price = market_fill(request.action, bar, self.costs.slippage_per_share)
                return (accepted, self._fill(order, price, bar.start))
        return (accepted,)

    def cancel(self, order_id: ClientOrderId, now: Instant) -> Sequence[Report]:
        """Cancel what is left of an order; refused when it has ended or was never here."""
        order = self._by_id.get(order_id)
        if order is None:
            code, message = checks.not_cancelable(order_id, self._finished.get(order_id))
            return (CancelRefused(at=now, order_id=order_id, code=code, message=message),)
        self._finish(order, "canceled")
        return (OrderCanceled(at=now, order_id=order_id),)

    def replace(
        self, order_id: ClientOrderId, request: OrderRequest, now: Instant
    ) -> Sequence[Report]:
        """Put a new order in the place of a resting one, or refuse and leave the old one alone."""
        old = self._by_id.get(order_id)
        if old is None:
            return (_refused(request, checks.NOT_OPEN, now),)
        refusal = self._refusal(request, instead_of=old)
        if refusal is not None:
            return (_refused(request, refusal, now),)
        self._finish(old, "replaced")
        new = self._accept(request)
        return (
            OrderReplaced(at=now, order_id=order_id, replaced_by=request.order_id),
            OrderAccepted(at=now, order_id=request.order_id, broker_id=new.broker_id),
        )

    def knows(self, order_id: ClientOrderId) -> bool:
        """Whether an order of that id was ever accepted here; refused ones were not."""
        return order_id in self._by_id or order_id in self._finished

    def resting_order(self, order_id: ClientOrderId) -> RestingOrder | None:
        """The order of that id while it rests."""
        return self._by_id.get(order_id)

    @property
    def buying_power(self) -> Decimal:
        """What new orders may cost: no leverage, resting opening orders taken off."""
        return self._buying_power(None)

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
            price = self._price(order, bar)
            if price is not None:
                reached.append((order, price))
        if not reached:
            return NO_REPORTS
        self.matching = symbol
        self.price_in_bar = reached[-1][1]
        position = self.account.qty(symbol)
        reached.sort(key=lambda pair: not _reduces(pair[0].request.action, position))
        return [self._fill(order, price, bar.start) for order, price in reached]

    def match_entry_bar(self, bar: Bar) -> Sequence[Report]:
        """Fills of the closing stops accepted since `match` of the same bar reported fills."""
        self.matching = None
        reports: list[Report] = []
        for order in tuple(self.resting.get(bar.symbol, ())):
            if not order.is_born_in_bar:
                continue
            order.is_born_in_bar = False
            request = order.request
            if request.stop_price is None or not _reduces(
                request.action, self.account.qty(request.symbol)
            ):
                continue
            price = entry_bar_stop_fill(
                request.action, request.stop_price, bar, self.costs.slippage_per_share
            )
            if price is not None:
                reports.append(self._fill(order, price, bar.start))
        return reports

    def end_session(self, now: Instant) -> Sequence[Report]:
        """The session closed: day orders expire."""
        reports: list[Report] = []
        for order in tuple(self._by_id.values()):
            if order.request.time_in_force is TimeInForce.DAY:
                self._finish(order, "expired")
                reports.append(OrderExpired(at=now, order_id=order.request.order_id))
        return reports

    # -- inside --

    def _price(self, order: RestingOrder, bar: Bar) -> Decimal | None:
        request, slippage = order.request, self.costs.slippage_per_share
        if order.trigger is not None:
            return stop_fill(request.action, order.trigger, bar, slippage)
        if request.limit_price is not None:
            return limit_fill(request.action, request.limit_price, bar)
        if request.stop_price is not None:
            # Triggered by an earlier bar and filled in part: a market order since then, so the
            # rest trades where this bar opens, as a stop does beyond which a bar opens.
            return stop_fill(request.action, bar.open, bar, slippage)
        return market_fill(request.action, bar, slippage)

    def _refusal(
        self, request: OrderRequest, instead_of: RestingOrder | None = None
    ) -> checks.Refusal | None:
        if self.knows(request.order_id):
            return checks.DUPLICATE_ID
        wrong = checks.malformed(request)
        if wrong is not None:
            return wrong
        rules = self.rules
        if rules.refuse_pct and rules.happens(rules.refuse_pct, "refuse", request.order_id):
            return checks.AT_RANDOM
        symbol = request.symbol
        others = [order for order in self.resting.get(symbol, ()) if order is not instead_of]
        if others:
            wash = checks.wash_trade(request, [order.request for order in others])
            if wash is not None:
                return wash
        if rules.refuse_stops_through_market:
            through = checks.stop_through_market(request, self._market(symbol))
            if through is not None:
                return through
        position = self.account.qty(symbol)
        if _reduces(request.action, position):
            held = sum(
                (o.qty_open for o in others if o.request.action is request.action), start=ZERO
            )
            return checks.too_many_shares(request.qty, abs(position) - held)
        if request.action is Action.SELL and not rules.allow_short:
            return checks.NO_SHORTS
        return checks.too_expensive(self._opening_cost(request), self._buying_power(instead_of))

    def _market(self, symbol: Symbol) -> Decimal | None:
        """The last print: inside a bar the fill, otherwise the last completed bar's close."""
        if symbol == self.matching:
            return self.price_in_bar
        bar = self.last_bar.get(symbol)
        return None if bar is None else bar.close

    def _opening_cost(self, request: OrderRequest) -> Decimal:
        """What an opening order reserves; a market order by the last close."""
        price = request.stop_price or request.limit_price
        if price is None:
            bar = self.last_bar.get(request.symbol)
            price = bar.close if bar is not None else ZERO
        return request.qty * price

    def _buying_power(self, instead_of: RestingOrder | None) -> Decimal:
        marks = {symbol: self.last_bar[symbol].close for symbol in self.account.short_proceeds}
        power = self.account.spendable(marks)
        for symbol, resting in self.resting.items():
            position = self.account.qty(symbol)
            for order in resting:
                if order is not instead_of and not _reduces(order.request.action, position):
                    power -= self._opening_cost(order.request._replace(qty=order.qty_open))
        return power

    def _accept(self, request: OrderRequest) -> RestingOrder:
        self._count += 1
        order = RestingOrder(request, BrokerOrderId(f"V-{self._count:08d}"))
        order.is_born_in_bar = self.matching == request.symbol
        self.resting.setdefault(request.symbol, []).append(order)
        self._by_id[request.order_id] = order
        return order

    def _fill(self, order: RestingOrder, price: Decimal, at: Instant) -> OrderFilled:
        request = order.request
        qty = order.qty_open
        rules = self.rules
        if (
            rules.partial_fill_pct
            and qty > 1
            and rules.happens(rules.partial_fill_pct, "partial", request.order_id, order.qty_filled)
        ):
            qty = (qty / 2).to_integral_value(ROUND_FLOOR)
        commission = self.costs.commission(request.action, qty, price, at)
        self.account.fill(request.symbol, request.action, qty, price, commission)
        order.qty_filled += qty
        order.trigger = None
        if not order.qty_open:
            self._finish(order, "filled")
        return OrderFilled(
            at=at,
            order_id=request.order_id,
            qty=qty,
            price=price,
            cum_qty=order.qty_filled,
            commission=commission,
            execution_id=f"{order.broker_id}-{order.qty_filled}",
        )

    def _finish(self, order: RestingOrder, status: str) -> None:
        request = order.request
        self.resting[request.symbol].remove(order)
        del self._by_id[request.order_id]
        self._finished[request.order_id] = status


def _reduces(action: Action, position: Decimal) -> bool:
    """Whether an order of this action makes the position smaller."""
    return position > 0 if action is Action.SELL else position < 0


def _refused(request: OrderRequest, refusal: checks.Refusal, now: Instant) -> OrderRefused:
    return OrderRefused(
        at=now, order_id=request.order_id, code=refusal.code, message=refusal.message
    )
