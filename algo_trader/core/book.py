"""What we believe: orders, holdings, cash and the day's figures, as a fold of facts.

`Book.apply(fact)` is the only way in. It raises on an illegal fact and changes nothing; an echo
changes nothing. Positions are sums of fills. The book keeps live orders, the orders and trades of
the present session and the fill keys of its orders, so a fold costs the same however long the
history is. It knows no prices of the market: what positions are worth is `pnl`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core import refusals
from algo_trader.core.day import Day
from algo_trader.core.errors import CoreError
from algo_trader.core.holding import Holding
from algo_trader.core.orders import (
    Order,
    OrderState,
    advance,
    is_echo,
    share_fill,
)
from algo_trader.core.pnl import round_trip
from algo_trader.core.types import (
    ZERO,
    Action,
    ClientOrderId,
    DecisionId,
    ExitReason,
    Instant,
    Role,
    Side,
    Symbol,
)

EXPIRED = "EXPIRED"
"""Cancel reason of an entry whose time has run out."""

EXTERNAL = "external"
"""The owner of shares that no strategy of ours asked for."""

ORDER_FACTS = (
    ev.OrderSubmitting,
    ev.OrderAccepted,
    ev.OrderRefused,
    ev.OutcomeUnknown,
    ev.CancelRequested,
    ev.CancelRefused,
    ev.CancelUnanswered,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderReplaced,
    ev.OrderAbandoned,
)
"""Facts that move an order and bring no shares."""


class Book:
    """All holdings and orders of one account.

    `active` are the holdings with shares or live orders, `positions` how many have shares,
    `resting` how many live entries there are, `targets` how many positions have a wanted profit,
    `cost` is the signed entry value of all shares held.
    """

    def __init__(self) -> None:
        self.account = ""
        self.cash: Decimal = ZERO
        self.orders: dict[ClientOrderId, Order] = {}
        self.holdings: dict[tuple[str, Symbol], Holding] = {}
        self.active: dict[tuple[str, Symbol], Holding] = {}
        self.positions = 0
        self.resting = 0
        self.targets = 0
        self.cost: Decimal = ZERO
        self.halted: str | None = None
        self.day = Day()
        self._numbers: dict[tuple[DecisionId, Role], int] = {}
        self._fold: dict[type, Callable[..., None]] = {
            ev.AccountPinned: self._account_pinned,
            ev.SessionOpened: self._session_opened,
            ev.SignalDecided: _nothing,
            ev.OrderIntended: self._order_intended,
            ev.OrderFilled: self._order_filled,
            ev.StopSet: self._stop_set,
            ev.StopEdited: self._stop_edited,
            ev.TargetSet: self._target_set,
            ev.StopDeclined: self._stop_declined,
            ev.ExitDecided: self._exit_decided,
            ev.SharesAdopted: self._shares_adopted,
            ev.SharesGone: self._shares_gone,
            ev.CashAdjusted: self._cash_adjusted,
            ev.BarCorrected: _nothing,
            ev.LimitTripped: self._limit_tripped,
            ev.Halted: self._halted,
            ev.Resumed: self._resumed,
            ev.SettingChanged: _nothing,
            ev.Discrepancy: self._discrepancy,
            **dict.fromkeys(ORDER_FACTS, self._order_moved),
        }

    def apply(self, fact: ev.Fact) -> None:
        """Fold one fact in."""
        fold = self._fold.get(type(fact))
        if fold is None:
            raise CoreError(f"the book has no rule for {type(fact).__name__}")
        fold(fact)

    def holding(self, strategy: str, symbol: Symbol) -> Holding:
        """The holding of a strategy in a symbol, flat when it was never touched."""
        key = (strategy, symbol)
        found = self.holdings.get(key)
        if found is None:
            found = self.holdings[key] = Holding(strategy, symbol)
        return found

    def order(self, order_id: ClientOrderId) -> Order:
        """The order of that id; CoreError if it was never intended."""
        try:
            return self.orders[order_id]
        except KeyError:
            raise CoreError(f"order {order_id} was never intended") from None

    def next_number(self, decision: DecisionId, role: Role) -> int:
        """The number of the decision's next order of that role, from 1: no id is used twice."""
        return self._numbers.get((decision, role), 0) + 1

    def in_order(self) -> list[Holding]:
        """The active holdings by symbol, then strategy."""
        if len(self.active) < 2:
            return list(self.active.values())
        return [self.active[key] for key in sorted(self.active, key=lambda key: (key[1], key[0]))]

    def _account_pinned(self, fact: ev.AccountPinned) -> None:
        if self.account and self.account != fact.account:
            raise CoreError(f"this book belongs to account {self.account}, not {fact.account}")
        if not self.account:
            self.account = fact.account
            self.cash = fact.cash

    def _session_opened(self, fact: ev.SessionOpened) -> None:
        if fact.session == self.day.date:
            return
        # Orders of the session before stay known: news of them may still be on its way.
        self.orders = {
            key: order
            for key, order in self.orders.items()
            if order.is_live or order.placed_at >= self.day.began_at
        }
        known = {order.decision for order in self.orders.values()}
        known |= {holding.decision for holding in self.active.values()}
        # The highest number, not a count: orders of the decision may be forgotten, ids are not.
        self._numbers = {key: n for key, n in self._numbers.items() if key[0] in known}
        self.day.begin(fact.session, fact.at, fact.equity)

    def _order_intended(self, fact: ev.OrderIntended) -> None:
        order_id = fact.request.order_id
        known = self.orders.get(order_id)
        if known is not None:
            if known.request != fact.request:
                raise CoreError(f"order {order_id} was intended before with other terms")
            return
        holding = self.holding(fact.strategy, fact.request.symbol)
        order = Order(fact)
        if fact.role is Role.ENTRY:
            if holding.entry is not None:
                raise CoreError(f"{holding.symbol} already has a resting entry")
            holding.entry = order
            self.resting += 1
        else:
            _reducing(holding, fact.role).append(order)
        self.orders[order_id] = order
        key = (fact.decision, fact.role)
        # A pair shares its number, so one of its roles may skip some.
        self._numbers[key] = max(self._numbers.get(key, 0) + 1, _number_in(order_id))
        self.active[(fact.strategy, fact.request.symbol)] = holding

    def _order_moved(self, fact: ev.OrderFact) -> None:
        order = self.order(fact.order_id)
        was_live, was_known = order.is_live, order.broker_id is not None
        advance(order, fact)
        if order.role is not Role.ENTRY and order.broker_id is not None and not was_known:
            self.holdings[(order.strategy, order.request.symbol)].failures = 0
        if was_live and not order.is_live:
            self._retire(order, fact.at)
        elif order.is_live and not was_live:
            self._revive(order)

    def _retire(self, order: Order, at: Instant) -> None:
        """A live order ended: take it out of its holding."""
        key = (order.strategy, order.request.symbol)
        holding = self.holdings[key]
        if order.role is Role.ENTRY:
            if holding.entry is order:
                holding.entry = None
            else:
                holding.late.remove(order)
            self.resting -= 1
            expired = order.state is OrderState.EXPIRED or order.cancel_reason == EXPIRED
            if order.qty_filled:
                holding.is_remnant = order.qty_open > 0
            elif expired:
                holding.quiet_until = min(at, order.expires_at or at)
        else:
            _reducing(holding, order.role).remove(order)
            if is_taken_away(order, holding):
                holding.stop_taken_at = at
        refusals.count(holding, order, at)
        self._keep_active(holding)

    def _revive(self, order: Order) -> None:
        """An order we had given up on is live at the broker after all."""
        key = (order.strategy, order.request.symbol)
        holding = self.holdings[key]
        if order.role is Role.ENTRY:
            holding.late.append(order)
            self.resting += 1
        else:
            _reducing(holding, order.role).append(order)
        self.active[key] = holding

    def _order_filled(self, fact: ev.OrderFilled) -> None:
        order = self.order(fact.order_id)
        if is_echo(order, fact):
            return
        holding = self.holdings[(order.strategy, order.request.symbol)]
        self._order_moved(fact)
        if order.pair is not None or order.role is Role.STOP:
            self._share(holding, order, fact)
        buys = order.request.action is Action.BUY
        value = fact.qty * fact.price
        self.cash += (-value if buys else value) - fact.commission
        fits = holding.side is order.side if holding.qty else order.role is Role.ENTRY
        own = ZERO
        if fits:
            own = fact.qty if order.role is Role.ENTRY else min(fact.qty, holding.qty)
            holding.commission += fact.commission
            if order.role is Role.ENTRY:
                self._open(holding, order, own, fact)
            else:
                reason = _REASONS.get(order.role, holding.exit_reason)
                self._close(holding, own, fact, reason or ExitReason.STRATEGY)
        if own < fact.qty:
            self._book_stray(order, fact.qty - own, fact, ZERO if own else fact.commission)
        self._keep_active(holding)

    def _share(self, holding: Holding, order: Order, fact: ev.OrderFilled) -> None:
        """What an exit fills is taken from the live ones it is paired with, and from one that is to
        take its place.
        """
        for other in (*holding.stops, *holding.targets):
            if order.order_id in (other.pair, other.replaces) or (
                order.pair == other.order_id and order.role is Role.STOP
            ):
                share_fill(other, fact.qty)
                if not other.is_live:
                    self._retire(other, fact.at)

    def _book_stray(
        self, order: Order, qty: Decimal, fact: ev.OrderFilled, commission: Decimal
    ) -> None:
        """Shares beyond what a holding has: executions are never illegal, so they get an owner."""
        side = Side.LONG if order.request.action is Action.BUY else Side.SHORT
        stray = self.holding(EXTERNAL, order.request.symbol)
        stray.commission += commission
        if stray.qty and stray.side is not side:
            closed = min(qty, stray.qty)
            self._close(stray, closed, fact, ExitReason.OPERATOR)
            qty -= closed
        if qty:
            stray.side = side
            self._open(stray, order, qty, fact)
        self._keep_active(stray)

    def _shares_adopted(self, fact: ev.SharesAdopted) -> None:
        """Shares at the broker that no fill of ours explains get the owner `external`."""
        stray = self.holding(EXTERNAL, fact.symbol)
        if stray.qty and stray.side is not fact.side:
            raise CoreError(f"{EXTERNAL} is {stray.side} in {fact.symbol}, not {fact.side}")
        if not stray.qty:
            self.positions += 1
            stray.opened_at = fact.at
            stray.side = fact.side
            stray.decision = DecisionId(f"{self.account}-{EXTERNAL}-{fact.symbol}-{fact.at}")
        stray.qty += fact.qty
        stray.entry_qty += fact.qty
        stray.entry_value += fact.qty * fact.price
        self.cost += stray.weigh()
        self._keep_active(stray)

    def _shares_gone(self, fact: ev.SharesGone) -> None:
        """Shares leave the holdings of their side, those of no strategy first; cash is another
        matter: the broker's word on it comes by itself.
        """
        held = [
            holding
            for holding in self.in_order()
            if (holding.symbol, holding.side) == (fact.symbol, fact.side) and holding.qty
        ]
        if sum((holding.qty for holding in held), start=ZERO) < fact.qty:
            raise CoreError(f"{fact.qty} {fact.symbol} cannot be gone: fewer were held")
        left = fact.qty
        for holding in sorted(held, key=lambda holding: holding.strategy != EXTERNAL):
            gone = min(left, holding.qty)
            if gone:
                left -= gone
                self._close(holding, gone, fact, ExitReason.OPERATOR)
                self._keep_active(holding)

    def _cash_adjusted(self, fact: ev.CashAdjusted) -> None:
        if self.cash + fact.amount != fact.cash:
            raise CoreError(f"cash of {self.cash} and {fact.amount} are not {fact.cash}")
        self.cash = fact.cash

    def _keep_active(self, holding: Holding) -> None:
        key = (holding.strategy, holding.symbol)
        if holding.is_active:
            self.active[key] = holding
        else:
            self.active.pop(key, None)

    def _open(self, holding: Holding, order: Order, qty: Decimal, fact: ev.OrderFilled) -> None:
        """Shares are added to a position, or begin one."""
        if not holding.qty:
            self.positions += 1
            holding.opened_at = fact.at
            if holding.strategy != EXTERNAL:
                holding.side = order.side
            holding.decision = order.decision
        holding.qty += qty
        holding.entry_qty += qty
        holding.entry_value += qty * fact.price
        holding.is_remnant = not order.is_live and order.qty_open > ZERO
        self.cost += holding.weigh()

    def _close(
        self,
        holding: Holding,
        qty: Decimal,
        fact: ev.OrderFilled | ev.SharesGone,
        reason: ExitReason,
    ) -> None:
        """Shares leave a position; the last one completes the trade."""
        holding.qty -= qty
        holding.exit_qty += qty
        holding.exit_value += qty * fact.price
        if holding.qty:
            self.cost += holding.weigh()
            return
        self.positions -= 1
        self.cost -= holding.cost
        trade = round_trip(
            decision=holding.decision,
            strategy=holding.strategy,
            symbol=holding.symbol,
            side=holding.side,
            qty=holding.exit_qty,
            entry_value=holding.entry_value,
            exit_value=holding.exit_value,
            commission=holding.commission,
            entry_at=holding.opened_at,
            exit_at=fact.at,
            reason=reason,
        )
        self.day.count(trade)
        if holding.target_price is not None:
            self.targets -= 1
        holding.clear()

    def _stop_set(self, fact: ev.StopSet) -> None:
        self._held(fact).stop_price = fact.price

    def _stop_edited(self, fact: ev.StopEdited) -> None:
        order = self.order(fact.order_id)
        if order.role is not Role.STOP or not order.is_live:
            raise CoreError(f"order {fact.order_id} is no working stop that could be edited")
        order.request = order.request._replace(qty=fact.qty, stop_price=fact.price)
        order.broker_id = fact.broker_id
        holding = self.holdings[(order.strategy, order.request.symbol)]
        if holding.qty:
            holding.stop_price = fact.price
            if order.qty_open < holding.qty:
                holding.stop_taken_at = fact.at

    def _stop_declined(self, fact: ev.StopDeclined) -> None:
        holding = self._held(fact)
        holding.is_left_bare, holding.refusals = True, 0

    def _target_set(self, fact: ev.TargetSet) -> None:
        holding = self._held(fact)
        self.targets += holding.target_price is None
        holding.target_price = fact.price

    def _exit_decided(self, fact: ev.ExitDecided) -> None:
        holding = self._held(fact)
        holding.exit_reason = fact.reason
        holding.failures, holding.retry_at = 0, 0

    def _held(self, fact: ev.HoldingFact) -> Holding:
        holding = self.holdings.get((fact.strategy, fact.symbol))
        if holding is None or not holding.qty:
            raise CoreError(f"{fact.strategy} holds no {fact.symbol}: {type(fact).__name__}")
        return holding

    def _limit_tripped(self, fact: ev.LimitTripped) -> None:
        self.day.tripped.add(fact.rule)

    def _discrepancy(self, fact: ev.Discrepancy) -> None:
        self.day.objections.add(fact.detail)

    def _halted(self, fact: ev.Halted) -> None:
        self.halted = fact.reason

    def _resumed(self, fact: ev.Resumed) -> None:
        self.halted = None
        for holding in self.active.values():
            holding.is_left_bare, holding.stop_taken_at = False, 0


_REASONS = {Role.STOP: ExitReason.STOP_LOSS, Role.TARGET: ExitReason.TARGET}
"""Why a position is closed by an order of this role; the others carry out a decided exit."""


def is_taken_away(order: Order, holding: Holding) -> bool:
    """Whether somebody else has just canceled the last order that covered a position.

    Of a pair the end of one ends the other: only with the last one it is certain that no execution
    of the other has ended it.
    """
    return (
        order.role in (Role.STOP, Role.TARGET)
        and order.state is OrderState.CANCELED
        and order.broker_id is not None
        and order.replaced_by is None
        and not order.was_cancel_asked
        and bool(holding.qty)
        and holding.exit_reason is None
        and not (holding.stops or holding.targets)
    )


def _reducing(holding: Holding, role: Role) -> list[Order]:
    """The live orders of that role, which is not an entry's."""
    if role is Role.STOP:
        return holding.stops
    return holding.targets if role is Role.TARGET else holding.exits


def _number_in(order_id: ClientOrderId) -> int:
    """The number at the end of an order's id, 0 if it has none."""
    tail = order_id.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _nothing(fact: ev.Fact) -> None:
    """A fact for the record that changes no belief."""
