"""An account at a broker that behaves as Alpaca documents: what clients ask, and what it answers.

Owns which requests are let through, the chains of replaced orders and the hours of the market. The
venue decides what fills; the clerk writes down and tells. Pure and synchronous: every method that
changes anything takes the virtual instant `now`, float seconds since the epoch, and every answer is
ready for JSON. Errors are ApiFault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any

from algo_trader.core.session import SessionTable
from algo_trader.core.types import HUNDRED, ZERO, Action, Bar, Session, Symbol
from algo_trader.exchange.account_json import Yesterday, equity_of
from algo_trader.exchange.account_view import AccountView
from algo_trader.exchange.blotter import Blotter
from algo_trader.exchange.clerk import Clerk
from algo_trader.exchange.errors import ApiFault as ApiFault
from algo_trader.exchange.errors import bad_request, forbidden, not_found, unprocessable
from algo_trader.exchange.forced import ForcedTrades
from algo_trader.exchange.ids import Ids
from algo_trader.exchange.options import DeskOptions, Hold
from algo_trader.exchange.orders import FINAL, Order, Status
from algo_trader.exchange.router import Router
from algo_trader.exchange.tickets import read_ticket
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue


class Desk(AccountView):
    """One account, its orders and positions. `on_update` is given every trade update, in order."""

    def __init__(
        self,
        *,
        account_number: str,
        cash: Decimal,
        costs: Costs,
        rules: VenueRules,
        sessions: SessionTable,
        symbols: Sequence[Symbol],
        options: DeskOptions | None = None,
    ) -> None:
        self.on_update: Callable[[dict[str, Any]], None] = lambda data: None
        self.symbols = tuple(sorted(symbols))
        self.options = options or DeskOptions()
        self._costs = costs
        self._rules = rules
        self.created_at = float(sessions.first.opens_at)
        self._sessions = sessions
        self._session: Session | None = None
        self._ended: Session | None = None
        self.blocked = ""
        self._open_books(account_number, cash, {})

    def _open_books(
        self, account_number: str, cash: Decimal, last_bar: dict[Symbol, Bar]
    ) -> None:
        self.account_number = account_number
        self.ids = Ids(account_number)
        self.account_id = self.ids.uuid("account")
        self.venue = Venue(cash, self._costs, self._rules)
        self.venue.last_bar.update(last_bar)
        self.venue.is_open = self._session is not None
        self.blotter = Blotter()
        self.yesterday = Yesterday(cash)
        self._clerk = Clerk(
            self.venue,
            self.blotter,
            self.ids,
            lambda data: self.on_update(data),
            tells_canceled_stops=self.options.tells_canceled_stops,
        )
        self._forced = ForcedTrades(self.venue, self.blotter, self.ids, self._clerk)
        self._router = Router(self.venue, self.blotter, self.ids, self._clerk, self.options)

    # -- orders --

    def submit(self, body: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Take a new order. The answer shows it as it was before the market saw it."""
        self._keep_time(now)
        if self.blocked:
            raise forbidden(self.blocked)
        ticket = read_ticket(body)
        if ticket.symbol not in self.symbols:
            raise bad_request(f'could not find asset "{ticket.symbol}"')
        return self._router.submit(ticket, now, self._expiry_of_day(now))

    def replace(self, order_id: str, body: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Put a new order in the place of an open one; the answer shows the new one."""
        self._keep_time(now)
        return self._router.replace(self.blotter.find(order_id), body, now)

    def cancel(self, order_id: str, now: float) -> None:
        """Ask for the cancel of an order; that it was asked for says nothing of its end."""
        self._keep_time(now)
        self._router.cancel(self.blotter.find(order_id), now)

    def cancel_all(self, now: float) -> list[dict[str, Any]]:
        """Ask for the cancel of every open order: `{id, status, body}` for each."""
        self._keep_time(now)
        rows: list[dict[str, Any]] = []
        for order in self.blotter.open_orders():
            if not order.is_open:
                continue  # Its group ended with another member.
            try:
                shown = self._router.cancel(order, now)
            except ApiFault as refused:
                rows.append({"id": order.id, "status": refused.status, "body": refused.body})
            else:
                rows.append({"id": order.id, "status": 200, "body": shown})
        return rows

    # -- positions --

    def close_position(
        self, symbol: str, now: float, qty: str | None = None, percentage: str | None = None
    ) -> dict[str, Any]:
        """Sell or cover a position at market, whole or in part; the answer is the order."""
        self._keep_time(now)
        if qty is not None and percentage is not None:
            raise bad_request("only one of qty and percentage may be given")
        name = self.symbol_of(symbol)
        held = ZERO if name is None else self.venue.account.qty(name)
        if not held:
            raise not_found("position does not exist")
        if qty is not None:
            shares = _figure(qty, "qty")
        elif percentage is not None:
            share = _figure(percentage, "percentage")
            shares = (abs(held) * share / HUNDRED).to_integral_value(ROUND_FLOOR)
        else:
            shares = abs(held)
        if shares <= 0:
            raise unprocessable("qty must be > 0")
        side = Action.SELL if held > 0 else Action.BUY
        body = {"symbol": name, "qty": str(shares), "side": side.value}
        return self.submit({**body, "type": "market", "time_in_force": "day"}, now)

    def close_all_positions(self, now: float, cancel_orders: bool = False) -> list[dict[str, Any]]:
        """Close every position at market: `{symbol, status, body}` for each."""
        if cancel_orders:
            self.cancel_all(now)
        rows: list[dict[str, Any]] = []
        for symbol in sorted(self.venue.account.positions):
            try:
                order = self.close_position(symbol, now)
            except ApiFault as refused:
                rows.append({"symbol": symbol, "status": refused.status, "body": refused.body})
            else:
                rows.append({"symbol": symbol, "status": 200, "body": order})
        return rows

    # -- what the market does --

    def match(self, bar: Bar, now: float) -> bool:
        """Let a bar meet the orders that rest; whether anything was filled."""
        self._keep_time(now)
        has_filled = self._clerk.take(self.venue.match(bar), now)
        self._clerk.follow_marks()
        return has_filled

    def match_entry_bar(self, bar: Bar, now: float) -> bool:
        """Let a bar meet the stops that answered its fills; whether anything was filled."""
        return self._clerk.take(self.venue.match_entry_bar(bar), now)

    def see(self, bar: Bar) -> None:
        """A bar of the past: it gives the last price, no order meets it."""
        self.venue.last_bar[bar.symbol] = bar
        self.yesterday.closes[bar.symbol] = bar.close

    def open_session(self, session: Session, now: float) -> None:
        """The market opens: what was queued for it is on it now."""
        self._session = session
        self.venue.is_open = True
        self._clerk.opened(now)

    def end_session(self, now: float) -> None:
        """The market closes: day orders expire, and GTC orders that are too old."""
        if self._session is None:
            return
        self._clerk.take(self.venue.end_session(int(now)), now)
        self._router.expire_unrouted(now)
        for order in self.blotter.open_orders():
            if order.is_open and order.expires_at <= now:
                self._router.force_end(order, Status.EXPIRED, now)
        self._ended, self._session = self._session, None
        self.venue.is_open = False
        self.yesterday = Yesterday(
            equity_of(self.venue),
            {symbol: bar.close for symbol, bar in self.venue.last_bar.items()},
            dict(self.venue.account.positions),
        )

    # -- what a fault script or a tester may do --

    def hold(self, what: Hold) -> None:
        """Keep back new orders, cancels or replaces from now on, until they are released."""
        self._router.held_back.add(what)

    def hold_no_more(self, what: Hold) -> None:
        """What comes from now on goes its way; what was kept back stays so until it is released."""
        self._router.held_back.discard(what)

    def release(self, now: float, *, is_refused: bool = False) -> None:
        """Carry out what was kept back, or let the market refuse it; keep nothing back any more."""
        self._keep_time(now)
        self._router.release(now, is_refused=is_refused)

    def reject(self, order_id: str, now: float, reason: str) -> None:
        """An order that was taken is rejected after all."""
        order = self._open(order_id)
        self._router.force_end(order, Status.REJECTED, now, reason=reason)

    def expire(self, order_id: str, now: float) -> None:
        """An open order expires."""
        self._router.force_end(self._open(order_id), Status.EXPIRED, now)

    def fill(self, order_id: str, qty: str | Decimal, price: str | Decimal, now: float) -> None:
        """Shares change hands at this price, also for an order that has ended, or beyond its size.
        """
        order = self.blotter.find(order_id)
        self._forced.fill(order, Decimal(qty), Decimal(price), now)

    def bust(self, execution_id: str, now: float) -> None:
        """An execution is taken back."""
        self._forced.bust(self.blotter.execution(execution_id), now)

    def correct(
        self, execution_id: str, qty: str | Decimal, price: str | Decimal, now: float
    ) -> None:
        """An execution was of another quantity or price than was told."""
        execution = self.blotter.execution(execution_id)
        self._forced.correct(execution, Decimal(qty), Decimal(price), now)

    def block(self, reason: str | None) -> None:
        """Refuse every new order for this reason; None ends it."""
        self.blocked = reason or ""

    def wipe(self, account_number: str, cash: Decimal) -> None:
        """Another account in the place of this one: no order and no position is left."""
        self._open_books(account_number, Decimal(cash), self.venue.last_bar)

    def foreign_order(self, body: Mapping[str, Any], now: float) -> dict[str, Any]:
        """An order somebody else sends to this account, under the name in its body or, without
        one, of the broker's making."""
        return self.submit(body, now)

    # -- inside --

    def _keep_time(self, now: float) -> None:
        """Open and close the market by the calendar, if nobody has done it by hand."""
        if self._session is not None and now >= self._session.closes_at:
            self.end_session(float(self._session.closes_at))
        if self._session is None:
            session = self._sessions.at(int(now))
            if session is not None and session != self._ended:
                self.open_session(session, now)

    def _expiry_of_day(self, now: float) -> float:
        """When a day order sent now expires: at the close of this session, or of the next."""
        session = self._session or self._sessions.next_after(int(now))
        return float(self._sessions.last.closes_at if session is None else session.closes_at)

    def _open(self, order_id: str) -> Order:
        order = self.blotter.find(order_id)
        if order.status in FINAL:
            raise unprocessable(f'order is already in "{order.status}" state')
        return order


def _figure(value: str, name: str) -> Decimal:
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise bad_request(f"invalid {name}") from None
    if not found.is_finite():
        raise bad_request(f"invalid {name}")
    return found
