"""What every broker behind the port keeps to, whatever is behind it.

Each implementation brings a Desk: an account of 10,000 dollars and a market that trades AA at the
prices of PRICES, minute by minute. The tests know no more than that and the port.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from serving import DEADLINE_S, serving

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.brokers.alpaca.budget import RateBudget
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.endpoints import Endpoints
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.trade_stream import TradeStream
from algo_trader.brokers.alpaca.trade_update import TradeUpdate
from algo_trader.brokers.embedded.exchange import EmbeddedExchange, ExchangeSetup
from algo_trader.core.broker import BrokerOrder, BrokerStatus
from algo_trader.core.commands import Cancel, Command, Replace, Submit, SubmitPair
from algo_trader.core.errors import Unanswered
from algo_trader.core.events import (
    CancelRefused,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRefused,
    OrderReplaced,
    OrderRequest,
    Report,
)
from algo_trader.core.inputs import Input, Minute, Reports
from algo_trader.core.ports import Broker, LineState, PastDay
from algo_trader.core.types import (
    MINUTE,
    Action,
    Bar,
    ClientOrderId,
    OrderType,
    Session,
    TimeInForce,
    utc,
)
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

BUY, SELL = Action.BUY, Action.SELL
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
OPENS_AT = 1_704_205_800
PRICES = ("10", "10", "8", "12")

Result = TypeVar("Result")
Deed = Callable[[], Coroutine[Any, Any, None]]


class Desk(ABC):
    """A broker and the market it trades on, driven minute by minute."""

    broker: Broker
    told: list[Report]
    """What the broker told unasked."""

    @abstractmethod
    def play(self, *deeds: Deed) -> None:
        """Do the first deed at PRICES[0], the second at PRICES[1] and so on; end after the last."""

    @abstractmethod
    def forget(self) -> None:
        """Another process comes to the same account."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds."""

    def ask(self, question: Coroutine[Any, Any, Result]) -> Result:
        """The answer to a question asked between two plays."""
        return asyncio.run(question)


class AlpacaDesk(Desk):
    """The adapter for Alpaca at an exchange of its own, over real sockets; fills as above.

    What is told unasked are the executions on the trade stream: how an order ended is told by its
    status alone.
    """

    def __init__(self, folder: Path) -> None:
        bars = [still(index, Decimal(price)) for index, price in enumerate(PRICES)]
        self._running = ExitStack()
        self.exchange = self._running.enter_context(
            serving(
                bars,
                cash=Decimal(10_000),
                costs=Costs(slippage_per_share=Decimal(0)),
                rules=VenueRules(partial_fill_pct=100),
                journal_file=folder / "journal",
            )
        )
        self.told = []
        self._heard = 0
        keys = Keys(self.exchange.key_id, self.exchange.secret)
        self._open()
        urls = self.exchange.urls
        self._stream = TradeStream(urls.trade_stream, keys, self._hear, self._tell)
        self._is_connected = asyncio.Event()
        self.exchange.step_to(OPENS_AT)

    def play(self, *deeds: Deed) -> None:
        """Publish minute by minute, and do each deed between a minute's end and the next match."""
        asyncio.run(self._play(deeds))

    def _open(self) -> None:
        keys = Keys(self.exchange.key_id, self.exchange.secret)
        urls = self.exchange.urls
        where = Endpoints(urls.trading, urls.data, urls.trade_stream, urls.data_stream)
        clock = SteeredClock(system=lambda: self.exchange.now)
        self.broker = self._alpaca = AlpacaBroker.open(where, keys, RateBudget(10_000), clock)

    def forget(self) -> None:
        """An adapter that knows no ids yet."""
        asyncio.run(self._alpaca.close())
        self._open()

    def close(self) -> None:
        """End the threads, then the exchange."""
        asyncio.run(self._alpaca.close())
        self._running.close()

    async def _play(self, deeds: Sequence[Deed]) -> None:
        stream = asyncio.create_task(self._stream.run())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._is_connected.wait()
            for number in range(len(PRICES)):
                await asyncio.to_thread(self.exchange.step_to, OPENS_AT + MINUTE * (number + 1))
                if number < len(deeds):
                    await deeds[number]()
            async with asyncio.timeout(DEADLINE_S):
                while self._heard < len(self.exchange.journal("update")):
                    await asyncio.sleep(0.01)
        finally:
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    def _tell(self, state: LineState, why: str) -> None:
        if state is LineState.CONNECTED:
            self._is_connected.set()

    def _hear(self, update: TradeUpdate) -> None:
        self._heard += 1
        order_id = self._alpaca.hear(update)
        done = update.execution
        if done is not None and order_id is not None:
            self.told.append(
                OrderFilled(
                    at=done.at,
                    order_id=order_id,
                    qty=done.qty,
                    price=done.price,
                    cum_qty=done.cum_qty,
                )
            )


class EmbeddedDesk(Desk):
    """The embedded exchange; every fill is partial, so that an order has several executions."""

    def __init__(self, folder: Path) -> None:
        bars = [(still(index, Decimal(price)),) for index, price in enumerate(PRICES)]
        session = Session(utc(OPENS_AT).date(), OPENS_AT, OPENS_AT + MINUTE * len(bars))
        self._setup = ExchangeSetup(
            account_id="contract",
            cash=Decimal(10_000),
            fingerprint="f",
            period=[PastDay(session, bars)],
            costs=Costs(slippage_per_share=Decimal(0)),
            rules=VenueRules(partial_fill_pct=100),
        )
        self._file = folder / "exchange.db"
        self.broker = self.exchange = EmbeddedExchange.open(self._file, self._setup)
        self.told = []
        self._deeds: list[Deed] = []
        self._waiting: list[Input] = []

    def play(self, *deeds: Deed) -> None:
        """Replay all the bars."""
        self._deeds = list(deeds)
        asyncio.run(self.exchange.run(self))

    def forget(self) -> None:
        """Open the file again."""
        self.exchange.close()
        self.broker = self.exchange = EmbeddedExchange.open(self._file, self._setup)

    def close(self) -> None:
        """Close the file."""
        self.exchange.close()

    def put(self, item: Input) -> None:
        """Keep an input."""
        self._waiting.append(item)

    async def settled(self) -> None:
        """Handle what was put."""
        while self._waiting:
            item = self._waiting.pop(0)
            if isinstance(item, Reports):
                self.told += item.reports
            elif isinstance(item, Minute) and self._deeds:
                await self._deeds.pop(0)()


@pytest.fixture(params=[EmbeddedDesk, AlpacaDesk])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """Each broker in turn."""
    made: Desk = request.param(tmp_path)
    yield made
    made.close()


def still(minute: int, price: Decimal) -> Bar:
    """A minute at one price."""
    return Bar("AA", OPENS_AT + MINUTE * minute, price, price, price, price, 100)


def order(
    key: str,
    action: Action,
    kind: OrderType,
    price: str | None = None,
    qty: str = "10",
    lasts: TimeInForce = TimeInForce.GTC,
) -> OrderRequest:
    """An order of AA in one line."""
    worth = None if price is None else Decimal(price)
    limit, stop = (worth, None) if kind is LIMIT else (None, worth)
    return OrderRequest(ClientOrderId(key), "AA", action, kind, lasts, Decimal(qty), limit, stop)


async def sent(desk: Desk, *commands: Command) -> list[Report]:
    """Every answer to the commands, in order."""
    answers: list[Report] = []
    for command in commands:
        answers += await desk.broker.execute(command)
    return answers


async def found(desk: Desk, key: str) -> BrokerOrder:
    """An order that must be there; it is the same alone and among the others."""
    one = await desk.broker.order(ClientOrderId(key))
    assert one is not None
    assert one in await desk.broker.orders([ClientOrderId(key)])
    return one


def kinds(reports: Sequence[Report]) -> list[type]:
    """The kinds of some reports."""
    return [type(report) for report in reports]


def test_what_it_never_had(desk: Desk) -> None:
    """Goal: an unknown order is None and absent from the list, a new account has nothing.

    Method: ask before anything was sent.
    """
    never = ClientOrderId("never")
    assert desk.ask(desk.broker.order(never)) is None
    assert list(desk.ask(desk.broker.orders([never]))) == []
    assert dict(desk.ask(desk.broker.positions())) == {}
    account = desk.ask(desk.broker.account())
    assert account.account
    assert account.cash == account.buying_power == 10_000


def test_an_accepted_order_is_open(desk: Desk) -> None:
    """Goal: accepted under the broker's own id, then listed as open without being asked for.

    Method: an order that cannot fill.
    """

    async def deed() -> None:
        request = order("a", BUY, LIMIT, "5", "7")
        (accepted,) = await sent(desk, Submit(request))
        assert isinstance(accepted, OrderAccepted)
        one = await found(desk, "a")
        assert (one.order_id, one.broker_id) == ("a", accepted.broker_id)
        assert (one.symbol, one.action, int(one.qty)) == ("AA", BUY, 7)
        assert (one.status, one.executions) == (BrokerStatus.OPEN, ())
        assert list(await desk.broker.orders(())) == [one]
        account = await desk.broker.account()
        assert account.cash == 10_000
        assert account.buying_power == 9_965

    desk.play(deed)


@pytest.mark.parametrize("price", ["5", "10"])
def test_the_same_id_twice_is_unanswered(desk: Desk, price: str) -> None:
    """Goal: a second order under an id that was accepted is not made, and not refused either: it
    may be the first one, sent again. Method: while it is open, and after it has ended.
    """

    async def twice() -> None:
        request = order("a", BUY, LIMIT, price)
        await sent(desk, Submit(request))
        before = await found(desk, "a")
        with pytest.raises(Unanswered):
            await sent(desk, Submit(request))
        assert await found(desk, "a") == before
        await sent(desk, Cancel(ClientOrderId("a")))
        with pytest.raises(Unanswered):
            await sent(desk, Submit(request))
        assert (await found(desk, "a")).status is BrokerStatus.CANCELED

    desk.play(twice)
    assert desk.told == []


def test_a_cancel_counts_once(desk: Desk) -> None:
    """Goal: the second cancel changes nothing, one of a stranger is refused; the order stays
    canceled. A broker that asks the order's status after every cancel, as the adapter for Alpaca
    must, answers the second with how the order ended, which is no news.
    """

    async def deed() -> None:
        key = ClientOrderId("a")
        await sent(desk, Submit(order("a", BUY, LIMIT, "5")))
        assert kinds(await sent(desk, Cancel(key))) == [OrderCanceled]
        assert kinds(await sent(desk, Cancel(key))) in ([CancelRefused], [OrderCanceled])
        assert kinds(await sent(desk, Cancel(ClientOrderId("never")))) == [CancelRefused]
        assert (await found(desk, "a")).status is BrokerStatus.CANCELED
        assert list(await desk.broker.orders(())) == []

    desk.play(deed)


def test_executions_ascend(desk: Desk) -> None:
    """Goal: a filled order lists what was reported, with ascending cumulative quantities; position
    and cash are their sum. Method: four shares in parts, over three minutes.
    """
    answers: list[Report] = []

    async def deed() -> None:
        answers.extend(await sent(desk, Submit(order("a", BUY, MARKET, qty="4"))))

    desk.play(deed)
    one = desk.ask(found(desk, "a"))
    assert one.status is BrokerStatus.FILLED
    fills = [each for each in [*answers, *desk.told] if isinstance(each, OrderFilled)]
    assert len(fills) > 1
    keys = [(each.at, each.qty, each.price, each.cum_qty, each.commission) for each in fills]
    assert [tuple(each)[:5] for each in one.executions] == keys
    cums = [each.cum_qty for each in one.executions]
    assert cums == sorted(set(cums))
    assert cums[-1] == one.qty == sum(each.qty for each in one.executions)
    position = desk.ask(desk.broker.positions())["AA"]
    paid = sum((each.qty * each.price for each in fills), start=Decimal(0))
    assert position[:3] == ("AA", Decimal(4), paid / 4)
    assert desk.ask(desk.broker.account()).cash == 10_000 - paid


@pytest.mark.parametrize(
    "request_",
    [
        order("a", BUY, LIMIT, "5", "0"),
        order("a", BUY, STOP, None),
        order("a", BUY, LIMIT, "5.005"),
        order("a", BUY, LIMIT, "5", "5000"),
    ],
)
def test_a_refusal_leaves_nothing(desk: Desk, request_: OrderRequest) -> None:
    """Goal: one report with code and text, no order, nothing reserved; the id is still free. What
    never left has no code of the broker's, and says so.
    """

    async def deed() -> None:
        (refused,) = await sent(desk, Submit(request_))
        assert isinstance(refused, OrderRefused)
        assert refused.order_id == "a"
        assert refused.code or refused.message.startswith("not sent: ")
        assert refused.message
        assert await desk.broker.order(ClientOrderId("a")) is None
        assert (await desk.broker.account()).buying_power == 10_000
        assert kinds(await sent(desk, Submit(order("a", BUY, LIMIT, "5")))) == [OrderAccepted]

    desk.play(deed)


def test_a_replaced_order_names_its_successor(desk: Desk) -> None:
    """Goal: the old order ends, the new one is open in its place; a refused replace moves nothing.

    Method: a stop that is moved twice, the second time beyond reason.
    """

    async def deed() -> None:
        await sent(desk, Submit(order("old", BUY, STOP, "20")))
        moved = Replace(ClientOrderId("old"), order("new", BUY, STOP, "30"))
        assert kinds(await sent(desk, moved)) == [OrderReplaced, OrderAccepted]
        old = await found(desk, "old")
        assert (old.status, old.replaced_by) == (BrokerStatus.REPLACED, "new")
        with pytest.raises(Unanswered):
            await sent(desk, moved)
        bad = Replace(ClientOrderId("new"), order("bad", BUY, STOP, "30", "0"))
        assert kinds(await sent(desk, bad)) == [OrderRefused]
        assert await desk.broker.order(ClientOrderId("bad")) is None
        assert [each.order_id for each in await desk.broker.orders(())] == ["new"]

    desk.play(deed)


def test_a_short_position_is_negative(desk: Desk) -> None:
    """Goal: shares sold short are below zero with the price they were sold at; flat is absent.

    Method: sell a share, then buy it back.
    """

    async def sell() -> None:
        await sent(desk, Submit(order("s", SELL, MARKET, qty="1")))
        assert (await desk.broker.positions())["AA"][:3] == ("AA", Decimal(-1), Decimal(10))

    async def cover() -> None:
        await sent(desk, Submit(order("c", BUY, MARKET, qty="1")))
        assert dict(await desk.broker.positions()) == {}

    desk.play(sell, cover)
    assert desk.ask(desk.broker.account()).cash == 10_000


def pair(stop: str, target: str, qty: str = "2", number: int = 1) -> SubmitPair:
    """A stop and a target over the same shares, under names as the desk makes them."""
    return SubmitPair(
        order(f"d-stop-{number}", SELL, STOP, stop, qty),
        order(f"d-target-{number}", SELL, LIMIT, target, qty),
    )


STOP_1, STOP_2, TARGET_1 = map(ClientOrderId, ("d-stop-1", "d-stop-2", "d-target-1"))


async def buy(desk: Desk, shares: int = 2) -> None:
    """A long position; one share fills whole."""
    for number in range(shares):
        await sent(desk, Submit(order(f"b{number}", BUY, MARKET, qty="1")))


async def statuses(desk: Desk, *keys: ClientOrderId) -> list[str]:
    """Where some orders stand."""
    return [str((await found(desk, key)).status) for key in keys]


def test_a_pair_is_two_orders(desk: Desk) -> None:
    """Goal: both exits are there under our names, with ids of their own; the stop is moved, and the
    cancel of one takes the other with it. It is the same for a process that comes later.

    Method: every step, each order looked at alone and among the others.
    """

    async def deed() -> None:
        await buy(desk)
        accepted = await sent(desk, pair("7", "20"))
        assert [(type(each), each.order_id) for each in accepted] == [
            (OrderAccepted, TARGET_1),
            (OrderAccepted, STOP_1),
        ]
        assert await statuses(desk, TARGET_1, STOP_1) == ["open", "open"]
        listed = {each.order_id: each for each in await desk.broker.orders(())}
        assert set(listed) == {TARGET_1, STOP_1}
        assert len({each.broker_id for each in listed.values()}) == 2
        assert {(each.action, int(each.qty)) for each in listed.values()} == {(SELL, 2)}
        with pytest.raises(Unanswered):
            await sent(desk, pair("7", "20"))
        moved = Replace(STOP_1, order(STOP_2, SELL, STOP, "7.50", "2"))
        assert kinds(await sent(desk, moved)) == [OrderReplaced, OrderAccepted]
        assert (await found(desk, STOP_1)).replaced_by == STOP_2
        assert {each.order_id for each in await desk.broker.orders(())} == {TARGET_1, STOP_2}

    async def end() -> None:
        before = [await found(desk, key) for key in (STOP_1, STOP_2, TARGET_1)]
        assert [int(each.qty) for each in before] == [2, 2, 2]
        reports = await sent(desk, Cancel(STOP_2))
        assert STOP_2 in [each.order_id for each in reports if isinstance(each, OrderCanceled)]
        assert await statuses(desk, STOP_2, TARGET_1) == ["canceled", "canceled"]
        assert list(await desk.broker.orders(())) == []

    desk.play(deed, end)
    desk.forget()
    ended = [desk.ask(found(desk, key)) for key in (STOP_1, STOP_2, TARGET_1)]
    assert [str(each.status) for each in ended] == ["replaced", "canceled", "canceled"]
    assert ended[0].replaced_by == STOP_2


def test_a_pair_by_a_process_that_comes_later(desk: Desk) -> None:
    """Goal: a process that has not heard the answer finds both exits and can move the stop.

    Method: it sends nothing of its own before; the stop is asked for first.
    """

    async def deed() -> None:
        await buy(desk)
        await sent(desk, pair("7", "20"))

    desk.play(deed)
    desk.forget()
    assert desk.ask(statuses(desk, STOP_1, TARGET_1)) == ["open", "open"]
    desk.forget()
    listed = {each.order_id for each in desk.ask(desk.broker.orders([STOP_1]))}
    assert listed == {STOP_1, TARGET_1}
    moved = Replace(STOP_1, order(STOP_2, SELL, STOP, "7.50", "2"))
    assert kinds(desk.ask(sent(desk, moved))) == [OrderReplaced, OrderAccepted]
    desk.forget()
    assert desk.ask(statuses(desk, STOP_1, STOP_2)) == ["replaced", "open"]
    never = [ClientOrderId("d-stop-3"), ClientOrderId("d-target-3")]
    assert [desk.ask(desk.broker.order(key)) for key in never] == [None, None]


def test_a_target_takes_the_stops_shares(desk: Desk) -> None:
    """Goal: what the target fills the stop no longer protects: both together never sell more than
    is held. Method: the market comes to the target at last, for one of the two shares.
    """

    async def deed() -> None:
        await buy(desk)
        await sent(desk, pair("7", "12"))

    desk.play(deed)
    desk.forget()
    target, stop = (desk.ask(found(desk, key)) for key in (TARGET_1, STOP_1))
    (done,) = target.executions
    assert (int(done.qty), int(done.price)) == (1, 12)
    assert (target.status, stop.status) == (BrokerStatus.OPEN, BrokerStatus.OPEN)
    assert int(stop.qty) == 1
    assert desk.ask(desk.broker.positions())["AA"].qty == 1
    moved = Replace(STOP_1, order(STOP_2, SELL, STOP, "7.50", "1"))
    assert kinds(desk.ask(sent(desk, moved))) == [OrderReplaced, OrderAccepted]


def test_a_stop_ends_its_target(desk: Desk) -> None:
    """Goal: a stop that the market meets sells, and the target is gone. Method: 8 is below it."""

    async def deed() -> None:
        await buy(desk, 1)
        await sent(desk, pair("9", "20", "1"))

    desk.play(deed)
    assert desk.ask(found(desk, STOP_1)).status is BrokerStatus.FILLED
    target = desk.ask(found(desk, TARGET_1))
    assert target.status in (BrokerStatus.CANCELED, BrokerStatus.REPLACED)
    assert (target.replaced_by is not None) is (target.status is BrokerStatus.REPLACED)
    assert not target.executions
    assert [each.order_id for each in desk.told if isinstance(each, OrderFilled)][-1] == STOP_1
    assert dict(desk.ask(desk.broker.positions())) == {}


@pytest.mark.parametrize(
    ("shares", "stop", "target"),
    [(2, "10", "20"), (2, "7", "20.005"), (1, "7", "20"), (0, "7", "9")],
)
def test_a_refused_pair_leaves_nothing(desk: Desk, shares: int, stop: str, target: str) -> None:
    """Goal: a refusal is of both, the target first, and both ids are free; a stop alone is taken.

    Method: a stop at the market, a target between two ticks, more shares than are held, none.
    """

    async def deed() -> None:
        await buy(desk, shares)
        refused = await sent(desk, pair(stop, target))
        assert [(type(each), each.order_id) for each in refused] == [
            (OrderRefused, TARGET_1),
            (OrderRefused, STOP_1),
        ]
        assert await desk.broker.order(STOP_1) is None
        assert await desk.broker.order(TARGET_1) is None
        assert list(await desk.broker.orders(())) == []
        if shares == 2:
            alone = Submit(order(STOP_1, SELL, STOP, "7", "2"))
            assert kinds(await sent(desk, alone)) == [OrderAccepted]

    desk.play(deed)


def test_a_stop_limit_entry(desk: Desk) -> None:
    """Goal: triggered at its stop, it fills no worse than its limit. Method: the price jumps from 8
    to 12 over both; nothing is bought, and the order rests on.
    """

    async def deed() -> None:
        request = order("e", BUY, STOP, "11")._replace(
            type=OrderType.STOP_LIMIT, limit_price=Decimal("11.50")
        )
        assert kinds(await sent(desk, Submit(request))) == [OrderAccepted]

    desk.play(deed)
    desk.forget()
    assert desk.told == []
    one = desk.ask(found(desk, "e"))
    assert (one.status, one.executions) == (BrokerStatus.OPEN, ())
