"""Every input of the engine, by its kind: one step of facts and commands for each.

The minute's own inputs (session, clock, minute, reports) go straight to the engine, which owns
their order. What an operator or a broker's own books say is handled here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from algo_trader.core import events as ev
from algo_trader.core import inputs, work
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerStatus
from algo_trader.core.errors import SafetyRefusal, StrategyError
from algo_trader.core.orders import Order
from algo_trader.core.types import Bar, ClientOrderId
from algo_trader.engine import reconcile
from algo_trader.engine.engine import Engine
from algo_trader.engine.foreign import Foreign
from algo_trader.engine.hands import Step
from algo_trader.engine.listener import STOP_PCT
from algo_trader.engine.replay import rebuild


class Intake:
    """The door of one engine. `stop_pct` is the distance of a foreign position's stop, per cent."""

    def __init__(self, engine: Engine, stop_pct: Decimal = STOP_PCT) -> None:
        self._engine = engine
        engine.listener.stop_pct = stop_pct
        self._foreign = Foreign(engine, stop_pct)
        self._busy: frozenset[ClientOrderId] = frozenset()
        self._mistake: StrategyError | None = None

    @property
    def strangers(self) -> Sequence[BrokerOrder]:
        """Open orders at the broker that are not in the book, as last told."""
        return self._foreign.orders

    def take(self, item: inputs.Input) -> Step:
        """What the input leads to."""
        engine = self._engine
        match item:
            case inputs.Minute():
                return engine.on_minute(item.start, item.bars)
            case inputs.Clock():
                return engine.on_clock(item.now)
            case inputs.Reports():
                self._report(item.reports)
            case inputs.SessionOpens():
                return engine.open_session(item.session)
            case inputs.CloseAll():
                return engine.close_positions(item.reason)
            case inputs.CancelEntries():
                engine.cancel_entries(item.reason)
            case inputs.History():
                rebuild(engine, item.days, item.now)
            case inputs.Readiness():
                engine.is_ready = item.is_ready
            case inputs.Settle():
                engine.now = max(engine.now, item.now)
                engine.settle_all()
            case inputs.Prices():
                engine.take_prices(item.prices)
            case inputs.Halt():
                self._foreign.halt(item.reason)
            case inputs.Resume():
                self._resume()
            case inputs.SettingChange():
                engine.hands.record(
                    ev.SettingChanged(at=engine.now, key=item.key, value=item.value)
                )
            case inputs.Pinned():
                self._pin(item.account)
            case inputs.Truths():
                self._busy = item.busy
                for order_id, truth in item.orders.items():
                    known = engine.book.orders.get(order_id)
                    if known is not None:  # Orders of old sessions are forgotten meanwhile.
                        self._hear(known, truth)
                self._end_spent(item.orders)
                self._raise_mistake()
            case inputs.Strangers():
                self._foreign.see_orders(item.orders)
            case inputs.Positions():
                self._foreign.see_differences(
                    reconcile.position_differences(engine.book, item.positions)
                )
            case inputs.Balance():
                self._adjust_cash(item.cash)
            case inputs.Funds():
                self._take_funds(item.buying_power)
            case inputs.TradingHalt():
                halted = engine.judge.halted
                (halted.add if item.is_halted else halted.discard)(item.symbol)
            case inputs.Correction():
                self._correct(item.bar)
        return engine.hands.step()

    def _report(self, reports: Iterable[ev.Report]) -> None:
        """Every report is heard, whatever a user's strategy makes of one of them."""
        self._hear_all(reports)
        self._raise_mistake()

    def _hear_all(self, reports: Iterable[ev.Report]) -> None:
        for report in reports:
            try:
                self._engine.report(report)
            except StrategyError as error:
                self._mistake = self._mistake or error

    def _raise_mistake(self) -> None:
        mistake, self._mistake = self._mistake, None
        if mistake is not None:
            raise mistake

    def _resume(self) -> None:
        """An operator ends the halt; stops that somebody had taken away are placed again."""
        book = self._engine.book
        has_bare = any(holding.is_left_bare for holding in book.active.values())
        if book.halted is not None or has_bare:
            self._engine.hands.record(ev.Resumed(at=self._engine.now))
        if has_bare:
            self._engine.settle_all()

    def _pin(self, account: AccountState) -> None:
        """The book belongs to one account for good; another one is refused."""
        book = self._engine.book
        if book.account and book.account != account.account:
            raise SafetyRefusal(
                f"this ledger belongs to the broker account {book.account}, but the broker "
                f"answers for {account.account}: check the keys, or use another data directory"
            )
        if not book.account:
            self._engine.hands.record(
                ev.AccountPinned(
                    at=self._engine.now, account=account.account, cash=account.cash
                )
            )

    def _hear(self, order: Order, truth: BrokerOrder | None) -> None:
        """The broker's word on one order of ours."""
        engine = self._engine
        if truth is None:
            self._miss(order)
            return
        edit = reconcile.edit(order, truth, engine.now)
        if edit is not None:
            if order.broker_id is None:  # It was taken, and then edited.
                engine.report(
                    ev.OrderAccepted(
                        at=engine.now, order_id=order.order_id, broker_id=truth.broker_id
                    )
                )
            engine.listener.hear_edit(edit, engine.now)
        wrong = reconcile.contradiction(order, truth)
        if wrong is not None:
            self._contradict(order, wrong)
            return
        asked = order.cancel_reason
        self._hear_all(reconcile.missing_reports(order, truth, engine.now))
        is_open = truth.status is BrokerStatus.OPEN and order.is_live
        if asked is not None and is_open and order.order_id not in self._busy:
            # The cancel did not arrive: it leaves again, as often as the order is asked about.
            engine.hands.cancel(work.CancelOrder(order.order_id, asked), engine.now)

    def _end_spent(self, truths: Mapping[ClientOrderId, BrokerOrder | None]) -> None:
        """What the broker has no shares left for ends, once all that it told is heard."""
        engine = self._engine
        for order_id in truths:
            order = engine.book.orders.get(order_id)
            if order is not None and reconcile.is_spent(order, truths, engine.book):
                self._hear_all((ev.OrderCanceled(at=engine.now, order_id=order_id),))

    def _miss(self, order: Order) -> None:
        """The broker proved that it has no such order."""
        engine = self._engine
        match work.missing(engine.book, order):
            case work.Missing.GIVE_UP:
                engine.report(
                    ev.OrderAbandoned(
                        at=engine.now, order_id=order.order_id, reason="absent at the broker"
                    )
                )
            case work.Missing.SEND_AGAIN:
                engine.hands.send_again(order, engine.now)
            case work.Missing.CONTRADICTION:
                self._contradict(
                    order, f"the broker has lost order {order.order_id}, which it had accepted"
                )
            case work.Missing.NOTHING:
                pass

    def _contradict(self, order: Order, detail: str) -> None:
        """Something only an operator can settle: record it and take no new risk."""
        engine = self._engine
        if engine.book.halted is None:
            engine.hands.record(
                ev.Discrepancy(at=engine.now, order_id=order.order_id, detail=detail)
            )
            self._foreign.halt(detail)

    def _adjust_cash(self, cash: Decimal) -> None:
        """The broker's word on cash holds: dividends, fees and transfers are no trades of ours.

        What the broker lets new orders cost has them in it already.
        """
        engine = self._engine
        amount = cash - engine.book.cash
        if amount:
            engine.hands.record(ev.CashAdjusted(at=engine.now, amount=amount, cash=cash))
            engine.judge.adjust_cash(amount)

    def _take_funds(self, buying_power: Decimal) -> None:
        """What the broker lets new orders cost, from now on less what we know to have changed.

        Passed over while the broker may not have counted an order of ours yet.
        """
        if all(
            order is None or order.broker_id is not None
            for holding in self._engine.book.active.values()
            for order in (holding.entry, *holding.late)
        ):
            self._engine.judge.tell_funds(buying_power)

    def _correct(self, bar: Bar) -> None:
        """A past minute as the market tells it now."""
        engine = self._engine
        if engine.corrections is not None and engine.corrections.take(bar):
            engine.hands.record(
                ev.BarCorrected(
                    at=engine.now,
                    symbol=bar.symbol,
                    start=bar.start,
                    open=bar.open,
                    high=bar.high,
                    low=bar.low,
                    close=bar.close,
                    volume=Decimal(bar.volume),
                )
            )
