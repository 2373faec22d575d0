"""Orders and shares at the broker that no decision of ours explains: what is recorded, and covered.

Foreign orders are reported and never canceled. Foreign shares get the owner `external` and a stop;
what is gone of ours is gone. Where only an operator can tell what is true, new risk ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core.book import EXTERNAL
from algo_trader.core.broker import BrokerOrder
from algo_trader.core.types import ZERO, Side, Symbol, text
from algo_trader.engine import reconcile
from algo_trader.engine.engine import Engine
from algo_trader.engine.protect import adopted_stop

FORGOTTEN = (
    "cancel them at the broker, which has their shares get a stop of this daemon's, then "
    "`algo-trader resume`; if another daemon trades this account, end one of them first"
)
"""What to do about orders that a ledger which was lost or came from a backup has forgotten."""

BEGUN = (
    "if there was a ledger before, put a backup in its place (`algo-trader restore`); if there was "
    "none, `algo-trader resume` trades beside these shares"
)


class Foreign:
    """What one engine does about it. `stop_pct` is the distance of a foreign position's stop, per
    cent; `orders` are the open ones that are not in the book, as last told.
    """

    def __init__(self, engine: Engine, stop_pct: Decimal) -> None:
        self._engine = engine
        self._stop_pct = stop_pct
        self.orders: Sequence[BrokerOrder] = ()

    def see_orders(self, orders: Sequence[BrokerOrder]) -> None:
        """Foreign orders are reported, never canceled; lost ones of our own stop new risk.

        Shares of theirs that waited for such an order's end get their stop now.
        """
        engine = self._engine
        self.orders = tuple(orders)
        foreign = {order.symbol for order in orders}
        for holding in engine.book.in_order():
            is_bare = holding.strategy == EXTERNAL and holding.qty and holding.stop_price is None
            if is_bare and holding.symbol not in foreign:
                self._protect(holding.symbol)
        for order in orders:
            detail = (
                f"the broker has an open order that this ledger does not know: {order.order_id}, "
                f"{order.action} {text(order.qty)} {order.symbol}"
            )
            is_news = detail not in engine.book.day.objections
            self.object_to(detail)
            # Once a session: it is told at every look, and an operator may have resumed since.
            if is_news and order.order_id.startswith(engine.book.account + "-"):
                self.halt(f"{detail}: {FORGOTTEN}")

    def see_differences(self, found: Sequence[reconcile.Difference]) -> None:
        """Strategies hear of it last: whatever their own code does, no stop stays for nothing."""
        gone = {difference.symbol: self._adopt(difference) for difference in found}
        for symbol, qty in gone.items():
            if qty:
                self._engine.listener.tell_gone(symbol, self._engine.now)

    def halt(self, reason: str) -> None:
        """No new risk: what rests is canceled, positions keep their stops."""
        engine = self._engine
        if engine.book.halted is None:
            engine.hands.record(ev.Halted(at=engine.now, reason=reason))
            engine.settle_all()

    def object_to(self, detail: str) -> None:
        """A discrepancy is recorded once a session."""
        engine = self._engine
        if detail not in engine.book.day.objections:
            engine.hands.record(ev.Discrepancy(at=engine.now, order_id=None, detail=detail))

    def _adopt(self, difference: reconcile.Difference) -> Decimal:
        """Shares that no order of ours explains, or fewer than our fills make; how many are gone.

        What is there beyond ours gets the owner `external` and a stop; what is gone of ours is
        gone, and no stop may rest for it: it would open the opposite. Where we held the symbol an
        operator decides how to go on.
        """
        engine = self._engine
        symbol, ours, theirs, price = difference
        detail = f"the broker holds {text(theirs)} {symbol}, our fills make {text(ours)}"
        self.object_to(detail)
        is_same_side = ours * theirs > 0
        gone = max(abs(ours) - abs(theirs), ZERO) if is_same_side else abs(ours)
        if gone:
            self._let_go(symbol, Side.LONG if ours > 0 else Side.SHORT, gone)
        new = max(abs(theirs) - abs(ours), ZERO) if is_same_side else abs(theirs)
        if new and price > 0:
            side = Side.LONG if theirs > 0 else Side.SHORT
            engine.hands.record(
                ev.SharesAdopted(at=engine.now, symbol=symbol, side=side, qty=new, price=price)
            )
            if any(order.symbol == symbol for order in self.orders):
                # What rests there may be their stop already, or one of ours that a ledger from a
                # backup has forgotten: two would sell more than there is.
                unknown = "with open orders that this ledger does not know"
                self.halt(f"{detail}, {unknown}: {FORGOTTEN}")
            else:
                self._protect(symbol)
        if ours:
            self.halt(detail)
        elif engine.book.day.date is None:
            self.halt(f"{detail}, and this ledger is new: {BEGUN}")
        engine.settle_all()
        return gone

    def _let_go(self, symbol: Symbol, side: Side, qty: Decimal) -> None:
        """Somebody else has sold or covered shares of ours: a fact for every owner, for no fact may
        end two trades. Those of no strategy go first, as in the book.
        """
        engine = self._engine
        held = [
            holding
            for holding in engine.book.in_order()
            if (holding.symbol, holding.side) == (symbol, side) and holding.qty
        ]
        mark = engine.marks.get(symbol)
        if mark is None or not mark.is_finite():
            mark = held[0].avg_entry_price
        for holding in sorted(held, key=lambda holding: holding.strategy != EXTERNAL):
            gone = min(qty, holding.qty)
            if gone:
                qty -= gone
                engine.hands.record(
                    ev.SharesGone(at=engine.now, symbol=symbol, side=side, qty=gone, price=mark)
                )

    def _protect(self, symbol: Symbol) -> None:
        engine = self._engine
        holding = engine.book.holding(EXTERNAL, symbol)
        stop = adopted_stop(holding, engine.marks.get(symbol), self._stop_pct)
        if stop is None:  # Of next to no price: there is none below it, or above a short one's.
            self.object_to(f"no stop can be set for {symbol} at {holding.avg_entry_price}")
            return
        engine.hands.record(
            ev.StopSet(at=engine.now, strategy=EXTERNAL, symbol=symbol, price=stop)
        )
        engine.hands.settle(holding, engine.now)
