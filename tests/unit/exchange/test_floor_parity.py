"""What a client gets on the floor is what a backtest gets from the venue."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from desk_kit import OPEN, SESSIONS
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.events import OrderFilled, OrderRequest, Report
from algo_trader.core.types import MINUTE, Action, Bar, ClientOrderId, OrderType, TimeInForce
from algo_trader.exchange.clock import VirtualClock
from algo_trader.exchange.desk import ApiFault, Desk
from algo_trader.exchange.floor import Floor
from algo_trader.feeds.tape import TapeDay
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

SYMBOLS = ("AA", "BB")
COSTS = Costs(commission_per_share=Decimal("0.005"))


class Wish(NamedTuple):
    """An order in answer to the bars of a minute, or to the fills of the next one."""

    symbol: str
    action: Action
    type: OrderType
    qty: int
    price: Decimal
    answers_fill: bool


prices = st.integers(36, 44).map(lambda number: Decimal(number) / 4)
fours = st.lists(prices, min_size=4, max_size=4)
wishes = st.builds(
    Wish,
    st.sampled_from(SYMBOLS),
    st.sampled_from(Action),
    st.sampled_from([OrderType.MARKET, OrderType.LIMIT, OrderType.STOP]),
    st.integers(1, 5),
    prices,
    st.booleans(),
)
minutes = st.lists(
    st.tuples(fours, fours, st.lists(wishes, max_size=3)), min_size=1, max_size=8
)


def bars_of(minute: int, both: Sequence[Sequence[Decimal]]) -> tuple[Bar, ...]:
    """A bar for each symbol of drawn prices."""
    bars = []
    for symbol, four in zip(SYMBOLS, both, strict=True):
        low, first, second, high = sorted(four)
        bars.append(Bar(symbol, OPEN + minute * MINUTE, first, high, low, second, 100))
    return tuple(bars)


def request(name: str, wish: Wish) -> OrderRequest:
    """The wish as the venue takes it."""
    limit = wish.price if wish.type is OrderType.LIMIT else None
    stop = wish.price if wish.type is OrderType.STOP else None
    return OrderRequest(
        ClientOrderId(name),
        wish.symbol,
        wish.action,
        wish.type,
        TimeInForce.GTC,
        Decimal(wish.qty),
        limit,
        stop,
    )


def by_venue(plan: Sequence[tuple[tuple[Bar, ...], Sequence[Wish]]]) -> tuple[Any, ...]:
    """Fills and cash of a backtest's way through the bars."""
    venue = Venue(Decimal(10_000), COSTS, VenueRules())
    reports: list[Report] = []
    asked: Sequence[Wish] = ()
    for minute, (bars, wishes_) in enumerate(plan):
        for number, wish in enumerate(asked):
            if not wish.answers_fill:
                reports += venue.submit(request(f"{minute}-{number}", wish), 0)
        for bar in bars:
            told = venue.match(bar)
            reports += told
            for number, wish in enumerate(asked):
                if wish.answers_fill and wish.symbol == bar.symbol:
                    reports += venue.submit(request(f"{minute}-{number}", wish), 0)
            if told:
                reports += venue.match_entry_bar(bar)
        asked = wishes_
    fills = [
        (each.order_id, each.qty, each.price) for each in reports if isinstance(each, OrderFilled)
    ]
    return sorted(fills), venue.account.cash, round(venue.buying_power, 12)


def by_floor(plan: Sequence[tuple[tuple[Bar, ...], Sequence[Wish]]]) -> tuple[Any, ...]:
    """Fills and cash of a client that has half a minute for each answer."""
    desk = Desk(
        account_number="PA1",
        cash=Decimal(10_000),
        costs=COSTS,
        rules=VenueRules(),
        sessions=SESSIONS,
        symbols=SYMBOLS,
    )
    session = SESSIONS.first
    rows = [bars for bars, _ in plan] + [()] * (session.minutes - len(plan))
    floor = Floor(desk, VirtualClock(0, 60), period=[TapeDay(session, rows)])
    asked: Sequence[Wish] = ()
    for minute, (_, wishes_) in enumerate(plan):
        for answers_fill, second in ((False, 5), (True, 35)):
            floor.step_until(OPEN + minute * MINUTE + second)
            for number, wish in enumerate(asked):
                if wish.answers_fill is answers_fill:
                    send(desk, f"{minute}-{number}", wish, floor.now())
        floor.step_until(OPEN + minute * MINUTE + 59)
        asked = wishes_
    fills = [(each.order.client_order_id, each.qty, each.price) for each in desk.blotter.executions]
    return sorted(fills), desk.venue.account.cash, round(desk.venue.buying_power, 12)


def send(desk: Desk, name: str, wish: Wish, now: float) -> None:
    """Post the wish; a refusal is one."""
    body: dict[str, Any] = {"symbol": wish.symbol, "side": wish.action, "type": wish.type}
    if wish.type is not OrderType.MARKET:
        body["limit_price" if wish.type is OrderType.LIMIT else "stop_price"] = str(wish.price)
    terms = {"qty": str(wish.qty), "time_in_force": "gtc", "client_order_id": name}
    with suppress(ApiFault):
        desk.submit({**body, **terms}, now)


@settings(max_examples=150, deadline=None)
@given(minutes)
def test_the_floor_fills_as_the_venue_does(
    drawn: list[tuple[list[Decimal], list[Decimal], list[Wish]]],
) -> None:
    """Goal: the same orders at the same minute give the same fills at the same prices and the same
    money, also for orders that answer a fill within the minute.

    Method: drawn bars of two symbols and orders, once straight on a venue, once through floor and
    desk.
    """
    plan = [
        (bars_of(minute, both), wishes_) for minute, (*both, wishes_) in enumerate(drawn)
    ]
    assert by_floor(plan) == by_venue(plan)
