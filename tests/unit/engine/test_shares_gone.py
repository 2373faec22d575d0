"""Somebody trades by hand beside us: shares that go, shares that come, orders that are not ours.

Method: the desk of test_inputs with an intake before it; the broker's positions and open orders are
told, and what is recorded, sent, counted and told to the strategy is looked at.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from test_inputs import BUY_AT_11, ENTRY, SESSION, STOP, Desk, kinds
from test_inputs import held as held
from test_inputs import pending as pending

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import inputs
from algo_trader.core.book import EXTERNAL
from algo_trader.core.broker import BrokerOrder, BrokerPosition, BrokerStatus
from algo_trader.core.errors import StrategyError
from algo_trader.core.types import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    ExitReason,
    OrderType,
    Role,
    Side,
)
from algo_trader.engine.hands import Step
from algo_trader.engine.intake import Intake
from algo_trader.strategies.base import Exit, Signal

SELL_AT_9 = Signal(Side.SHORT, Decimal(9), Decimal(11))
EXIT = ClientOrderId("a-s-X-20240103T1430-exit-1")


class Office(Desk):
    """The desk and its door; `sent` gathers every command."""

    def __init__(self, signal: Signal = BUY_AT_11) -> None:
        super().__init__()
        self.intake = Intake(self.engine)
        self.sent: list[cmd.Command] = []
        self.strategy.to_signal = lambda: signal

    def take(self, item: inputs.Input) -> Step:
        """An input; what leaves because of it is kept."""
        step = self.intake.take(item)
        self.sent += step.commands
        return step

    def hear(self, report: ev.Report) -> Step:
        """A report, the same way."""
        step = super().hear(report)
        self.sent += step.commands
        return step

    def hold(self) -> Office:
        """The strategy's first signal has filled and its stop works."""
        self.pass_minute()
        self.strategy.to_signal = lambda: "NOTHING"
        self.accept(ENTRY)
        self.fill(ENTRY, int(self.book.order(ENTRY).request.qty))
        self.accept(STOP)
        self.sent.clear()
        return self

    def positions(self, **shares: int) -> Step:
        """The broker's positions, each at 50 on average."""
        return self.take(
            inputs.Positions(
                {
                    symbol: BrokerPosition(symbol, Decimal(qty), Decimal(50))
                    for symbol, qty in shares.items()
                    if qty
                }
            )
        )

    def market_orders(self) -> list[cmd.Command]:
        """Those that have left, of all that was sent."""
        return [
            command
            for command in self.sent
            if isinstance(command, cmd.Submit) and command.request.type is OrderType.MARKET
        ]


@pytest.fixture(params=[BUY_AT_11, SELL_AT_9], ids=["long", "short"])
def office(request: pytest.FixtureRequest) -> Office:
    """A position, long and short, whose stop works."""
    return Office(request.param).hold()


def signed(office: Office, qty: Decimal) -> int:
    """So many shares as the broker has them: negative when short."""
    return int(qty if office.book.holding("s", "X").side is Side.LONG else -qty)


# -- shares that have gone --


@pytest.mark.parametrize("is_halted", [False, True])
def test_a_position_closed_by_hand(office: Office, is_halted: bool) -> None:
    """Goal: the stop goes, nothing is sold again, the trade counts at the last price, the strategy
    knows, new risk waits; a halt that was there before changes none of it.

    Method: all shares are gone; then the stop's cancel is confirmed and time passes.
    """
    held = office.book.holding("s", "X")
    qty, side = held.qty, held.side
    if is_halted:
        office.take(inputs.Halt("an operator looks"))
    step = office.positions()
    assert [kind for kind in kinds(step) if kind != "Halted"] == [
        "Discrepancy",
        "SharesGone",
        "CancelRequested",
    ]
    assert office.sent == [cmd.Cancel(STOP)]
    office.hear(ev.OrderCanceled(at=office.now, order_id=STOP))
    for after in range(1, 40):
        office.sent += office.engine.on_clock(office.now + after).commands
    assert office.sent == [cmd.Cancel(STOP)]
    (trade,) = office.book.day.trades
    gained = (10 - 11) * qty if side is Side.LONG else (11 - 10) * qty
    assert (trade.qty, trade.pnl, trade.exit_reason) == (qty, gained, ExitReason.OPERATOR)
    assert office.book.day.realized == gained
    assert office.book.day.loss_streak == (1 if gained < 0 else 0)
    assert office.book.positions == office.book.cost == 0
    assert not office.book.active
    assert office.strategy.hooks == [f"opened {qty}", "closed"]
    assert office.book.halted is not None


@pytest.mark.parametrize("is_halted", [False, True])
def test_a_part_sold_by_hand(office: Office, is_halted: bool) -> None:
    """Goal: the stop is resized to what is left, nothing is sold; the round trip that the stop ends
    later has both parts, and the strategy hears of its end then and once.

    Method: 40 shares are gone at 10; the resized stop works and fills at 11.
    """
    qty = office.book.holding("s", "X").qty
    left = qty - 40
    if is_halted:
        office.take(inputs.Halt("an operator looks"))
    office.positions(X=signed(office, left))
    (command,) = office.sent
    assert isinstance(command, cmd.Replace)
    assert (command.order_id, command.request.qty) == (STOP, left)
    assert command.request.type is OrderType.STOP
    assert office.strategy.hooks == [f"opened {qty}"]
    resized = command.request.order_id
    office.accept(resized)
    office.hear(ev.OrderReplaced(at=office.now, order_id=STOP, replaced_by=resized))
    office.positions(X=signed(office, left))
    assert office.sent == [command], "told once"
    office.fill(resized, int(left))
    (trade,) = office.book.day.trades
    assert trade.qty == qty
    assert trade.pnl == (-40 if trade.side is Side.LONG else 40)
    assert office.strategy.hooks == [f"opened {qty}", "closed"]
    assert office.book.positions == 0


def test_shares_that_go_while_their_exit_is_decided() -> None:
    """Goal: the close at market that waited for the stop's cancel does not leave any more.

    Method: an exit is decided, the shares are gone, the cancel is confirmed.
    """
    office = Office().hold()
    office.strategy.to_manage = lambda: Exit(ExitReason.MAX_RUN)
    office.pass_minute()
    assert office.book.holding("s", "X").exit_reason is ExitReason.MAX_RUN
    office.positions()
    office.hear(ev.OrderCanceled(at=office.now, order_id=STOP))
    assert office.market_orders() == []
    assert not office.book.active


def test_a_close_at_market_for_shares_that_have_gone() -> None:
    """Goal: an exit that has left is called back, before it opens the opposite.

    Method: the exit works at the broker when the shares are gone.
    """
    office = Office().hold()
    office.take(inputs.CloseAll(ExitReason.OPERATOR))
    office.hear(ev.OrderCanceled(at=office.now, order_id=STOP))
    office.accept(EXIT)
    office.sent.clear()
    office.positions()
    assert office.sent == [cmd.Cancel(EXIT)]


def test_a_stop_canceled_by_hand_first() -> None:
    """Goal: the new stop that answered the hand's cancel goes too when the shares are found gone.

    Method: stop canceled, ours placed anew and accepted, positions flat.
    """
    office = Office().hold()
    step = office.hear(ev.OrderCanceled(at=office.now, order_id=STOP))
    (command,) = step.commands
    assert isinstance(command, cmd.Submit)
    again = command.request.order_id
    office.accept(again)
    office.sent.clear()
    office.positions()
    assert office.sent == [cmd.Cancel(again)]
    office.hear(ev.OrderCanceled(at=office.now, order_id=again))
    assert office.sent == [cmd.Cancel(again)]


def test_a_strategy_that_fails_when_it_is_told() -> None:
    """Goal: the stop, which would open the opposite, goes and new risk waits, though the strategy
    raises when it hears of the end.

    Method: a hook with a mistake in it; what the step has by then, as the pump takes it.
    """
    office = Office().hold()

    def mistaken() -> None:
        raise ZeroDivisionError

    office.strategy.on_position_closed = mistaken  # type: ignore[method-assign]  # a mistake
    with pytest.raises(StrategyError, match="ZeroDivisionError"):
        office.positions(Z=5)
    step = office.engine.hands.step()
    assert cmd.Cancel(STOP) in step.commands
    assert len(step.commands) == 2, "and the stop of what else was found"
    assert office.book.halted is not None


@pytest.mark.parametrize("left", [0, 73])
def test_a_target_has_nothing_left_to_sell(left: int) -> None:
    """Goal: stop and target go together; for what is left both come back, over what is left.

    Method: a pair works; all or a part of its shares are gone; both cancels are confirmed.
    """
    office = Office(BUY_AT_11._replace(target=Decimal(15)))
    target = ClientOrderId(STOP.replace("-stop-", "-target-"))
    office.hold()
    office.accept(target)
    office.sent.clear()
    office.positions(X=left)
    assert set(office.sent) == {cmd.Cancel(STOP), cmd.Cancel(target)}
    for key in (STOP, target):
        office.hear(ev.OrderCanceled(at=office.now, order_id=key))
    again = office.sent[2:]
    assert [request.qty for command in again for request in cmd.placed_by(command)] == (
        [73, 73] if left else []
    )
    assert office.market_orders() == []


def test_without_a_price_the_entry_counts() -> None:
    """Goal: with no last price the trade is even, not an error. Method: the marks are forgotten."""
    office = Office().hold()
    office.engine.marks.clear()
    office.positions()
    (trade,) = office.book.day.trades
    assert trade.pnl == 0


def test_foreign_shares_go_before_ours() -> None:
    """Goal: of our and foreign shares of one symbol the foreign ones are gone first.

    Method: 7 more are adopted, then 7 are missing.
    """
    office = Office().hold()
    office.positions(X=120)
    assert office.book.holding(EXTERNAL, "X").qty == 7
    office.positions(X=113)
    assert office.book.holding(EXTERNAL, "X").qty == 0
    assert office.book.holding("s", "X").qty == 113
    assert office.strategy.hooks == ["opened 113"]


def test_a_fact_for_every_owner() -> None:
    """Goal: no fact ends two trades, for a trade has the number of its fact in the ledger.

    Method: 7 foreign shares beside ours; all are gone, then, of another desk, all but five.
    """
    for left, wanted in ((0, [7, 113]), (5, [7, 108])):
        office = Office().hold()
        office.positions(X=120)
        step = office.positions(X=left)
        gone = [fact.qty for fact in step.facts if isinstance(fact, ev.SharesGone)]
        assert gone == wanted
        assert len(office.book.day.trades) == (1 if left else 2)


def test_the_cash_of_a_hand_made_sale_is_no_second_profit() -> None:
    """Goal: the day's result has the trade once; equity follows the broker's cash.

    Method: gone at 10, then the broker's cash with the proceeds.
    """
    office = Office().hold()
    cash = office.book.cash
    office.positions()
    assert office.book.cash == cash
    before = office.engine.day_pnl()
    office.take(inputs.Balance(cash + 1130))
    assert office.engine.day_pnl() == before == -113
    assert office.engine.equity() == cash + 1130


def test_the_streak_of_losses_counts_it() -> None:
    """Goal: a loss made by hand is one more loss. Method: it is the last one that was allowed."""
    office = Office().hold()
    office.book.day.loss_streak = office.engine.limits.consecutive_loss_pause - 1
    assert "LimitTripped" in kinds(office.positions())


def test_it_closes_and_opens_the_other_way() -> None:
    """Goal: ours is gone whole, what is there on the other side has a foreign owner and a stop of
    its own; our stop, which would add to it, is taken away.
    """
    office = Office().hold()
    office.positions(X=-20)
    (cancel, submit) = sorted(office.sent, key=lambda command: isinstance(command, cmd.Submit))
    assert cancel == cmd.Cancel(STOP)
    assert isinstance(submit, cmd.Submit)
    request = submit.request
    assert (request.action, request.type) == (Action.BUY, OrderType.STOP)
    assert request.qty == 20
    assert request.stop_price is not None
    assert request.stop_price > 50
    assert office.market_orders() == []


# -- orders that are not ours --


def foreign(qty: int, symbol: str = "X") -> BrokerOrder:
    """An order somebody placed by hand."""
    return BrokerOrder(
        ClientOrderId("web-1"),
        BrokerOrderId("b-web"),
        symbol,
        Action.BUY,
        Decimal(qty),
        BrokerStatus.OPEN,
    )


@pytest.mark.parametrize("symbol", ["X", "Z"])
def test_what_a_foreign_order_bought_gets_its_stop(symbol: str) -> None:
    """Goal: while the order is open its shares are left alone, for it may be their stop; when it is
    gone they are covered, once.

    Method: a foreign order, a part of it as shares, looks in which it is still there, then is not.
    """
    office = Office()
    order = foreign(10, symbol)
    office.take(inputs.Strangers((order,)))
    office.positions(**{symbol: 6})
    held = office.book.holding(EXTERNAL, symbol)
    for _ in range(3):
        office.take(inputs.Strangers((order,)))
        office.take(inputs.Settle())
    assert held.qty == 6
    assert held.stop_price is None
    assert office.sent == []
    assert office.book.halted is not None
    office.take(inputs.Strangers(()))
    (command,) = office.sent
    assert isinstance(command, cmd.Submit)
    request = command.request
    assert (request.symbol, request.action) == (symbol, Action.SELL)
    assert request.qty == 6
    assert request.type is OrderType.STOP
    office.take(inputs.Strangers(()))
    assert office.sent == [command]


def test_its_last_fill_and_its_end_come_together() -> None:
    """Goal: shares adopted in the same look in which the order has gone are covered at once."""
    office = Office()
    office.take(inputs.Strangers((foreign(10),)))
    office.take(inputs.Strangers(()))
    office.positions(X=10)
    (command,) = office.sent
    assert isinstance(command, cmd.Submit)
    assert command.request.qty == 10
    assert command.request.stop_price == 49


def test_a_foreign_order_of_another_symbol_holds_nothing_up() -> None:
    """Goal: only shares of the order's own symbol wait. Method: an order of Y, shares of Z."""
    office = Office()
    office.take(inputs.Strangers((foreign(10, "Y"),)))
    office.positions(Z=10)
    assert len(office.sent) == 1
    assert office.book.holding(EXTERNAL, "Z").stop_price is not None


# -- trades that were found out before their session was opened --


@pytest.mark.parametrize(("is_of_today", "count"), [(True, 1), (False, 0)])
def test_a_trade_counts_in_its_own_session(is_of_today: bool, count: int) -> None:
    """Goal: a stop that filled today and is told before today is opened is a trade of today; one
    that filled before is not.

    Method: a position of yesterday, its stop's fill, then the session.
    """
    office = Office().hold()
    today = SESSION._replace(
        date=SESSION.date.replace(day=4),
        opens_at=SESSION.opens_at + 86_400,
        closes_at=SESSION.closes_at + 86_400,
    )
    shares = office.book.holding("s", "X").qty
    office.hear(
        ev.OrderFilled(
            at=today.opens_at + 5 if is_of_today else office.now,
            order_id=STOP,
            qty=shares,
            price=Decimal(9),
            cum_qty=shares,
        )
    )
    office.take(inputs.SessionOpens(today))
    assert len(office.book.day.trades) == office.book.day.loss_streak == count
    assert office.book.day.realized == -2 * shares * count
    office.take(inputs.SessionOpens(today))
    assert len(office.book.day.trades) == count


def test_the_roles_of_what_is_placed() -> None:
    """Goal: a stop of foreign shares is a protective order under our own name."""
    office = Office()
    office.positions(Z=10)
    (order,) = office.book.orders.values()
    assert (order.role, order.strategy) == (Role.STOP, EXTERNAL)
    assert order.order_id.startswith("a-external-Z-")
