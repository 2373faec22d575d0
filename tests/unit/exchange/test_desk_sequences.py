"""Whatever clients ask in whatever order: books, answers and updates tell the same story."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from desk_kit import CLOSE, DAY_S, OPEN, Told, bar, told
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_trader.core.types import ZERO, Action, ClientOrderId, TimeInForce
from algo_trader.exchange.desk import ApiFault, Desk
from algo_trader.exchange.options import DeskOptions, Hold
from algo_trader.exchange.orders import FINAL, Order, Status

UNSETTLED = (Status.PENDING_NEW, Status.ACCEPTED, Status.PENDING_CANCEL)
"""The market may not know the group yet."""

price = st.integers(32, 48).map(lambda number: str(Decimal(number) / 4))
qty = st.integers(1, 12)
side = st.sampled_from(["buy", "sell"])
lasts = st.sampled_from(["day", "gtc", "ioc", "fok"])
which = st.integers(0, 30)
simple = st.one_of(
    st.fixed_dictionaries({"type": st.just("market")}),
    st.fixed_dictionaries({"type": st.just("limit"), "limit_price": price}),
    st.fixed_dictionaries({"type": st.just("stop"), "stop_price": price}),
    st.fixed_dictionaries(
        {"type": st.just("stop_limit"), "stop_price": price, "limit_price": price}
    ),
    st.fixed_dictionaries({"type": st.just("trailing_stop"), "trail_price": st.just("0.5")}),
)
exits = st.fixed_dictionaries(
    {
        "order_class": st.sampled_from(["bracket", "oto", "oco"]),
        "take_profit": st.one_of(st.none(), st.fixed_dictionaries({"limit_price": price})),
        "stop_loss": st.one_of(st.none(), st.fixed_dictionaries({"stop_price": price})),
    }
)
GROUP = {"take_profit": {"limit_price": "11"}, "stop_loss": {"stop_price": "9"}}
BRACKET = {"type": "market", "order_class": "bracket", **GROUP}
OCO = {"type": "limit", "order_class": "oco", **GROUP}
UP, DOWN, STILL = ["10", "10", "12", "12"], ["8", "8", "10", "10"], ["10"] * 4
deed = st.one_of(
    st.tuples(st.just("submit"), st.just("buy"), qty, st.just("gtc"), st.just(BRACKET)),
    st.tuples(st.just("submit"), st.just("sell"), qty, st.just("gtc"), st.just(OCO)),
    st.tuples(st.just("submit"), st.just("buy"), qty, st.just("gtc"), st.just({"type": "market"})),
    st.tuples(st.just("bar"), st.sampled_from([UP, DOWN, STILL])),
    st.tuples(st.just("submit"), side, qty, lasts, simple),
    st.tuples(st.just("submit"), side, qty, lasts, simple, exits),
    st.tuples(st.just("bar"), st.lists(price, min_size=4, max_size=4)),
    st.tuples(st.just("cancel"), which),
    st.tuples(
        st.just("replace"),
        which,
        st.fixed_dictionaries(
            {}, optional={"limit_price": price, "stop_price": price, "qty": qty}
        ),
    ),
    st.tuples(st.just("hold"), st.sampled_from(list(Hold))),
    st.tuples(st.just("release"), st.booleans()),
    st.tuples(st.just("night")),
    st.tuples(st.just("close"), st.booleans()),
    st.tuples(st.just("expire"), which),
)


def carry_out(account: Told, what: tuple[Any, ...], minute: int) -> int:
    """One deed; the HTTP status of its answer."""
    desk, now = account.desk, account.now
    rows = desk.orders(status="all", limit=500, direction="asc")
    name, *args = what
    if name in ("cancel", "replace", "expire"):
        if not rows:
            return 200
        chosen = rows[args[0] % len(rows)]["id"]
    try:
        if name == "submit":
            action, shares, lifetime, *terms = args
            body = {"symbol": "AA", "side": action, "qty": shares, "time_in_force": lifetime}
            for part in terms:
                body.update(part)
            desk.submit(body, now)
        elif name == "bar":
            low, first, second, high = sorted(args[0], key=Decimal)
            meeting = bar(minute, f"{first} {high} {low} {second}")
            desk.match(meeting, now)
            desk.match_entry_bar(meeting, now)
        elif name == "cancel":
            desk.cancel(chosen, now)
        elif name == "replace":
            desk.replace(chosen, args[1], now)
        elif name == "expire":
            desk.expire(chosen, now)
        elif name == "hold":
            desk.hold(args[0])
        elif name == "release":
            desk.release(now, is_refused=args[0])
        elif name == "close":
            desk.close_all_positions(now, cancel_orders=args[0])
        else:
            day = (now - OPEN) // DAY_S
            if day < 2:
                desk.end_session(CLOSE + day * DAY_S)
                account.now = OPEN + (day + 1) * DAY_S
    except ApiFault as fault:
        return fault.status
    return 200


def chain_filled(account: Told, order: Order) -> Decimal:
    """Shares that the order and those it took the place of by a PATCH have filled."""
    orders, total = account.desk.blotter.orders, ZERO
    chain: Order | None = order
    while chain is not None:
        total += sum(
            (one.qty for one in account.desk.blotter.executions if one.order is chain), ZERO
        )
        before = orders[chain.replaces] if chain.replaces else None
        chain = before if before is not None and before.type is chain.type else None
    return total


def is_to_come(desk: Desk, order: Order) -> bool:
    """Whether the order in whose place this one is to come has not made way yet."""
    old = None if order.replaces is None else desk.blotter.orders[order.replaces]
    return old is not None and old.status is Status.PENDING_REPLACE


def require_one_story(account: Told) -> None:
    """Executions make the position and the orders; the venue and the blotter agree."""
    desk = account.desk
    position = ZERO
    filled: dict[str, Decimal] = {}
    for execution in desk.blotter.executions:
        is_buy = execution.order.action is Action.BUY
        position += execution.qty if is_buy else -execution.qty
        order_id = execution.order.id
        filled[order_id] = filled.get(order_id, ZERO) + execution.qty
    assert desk.venue.account.qty("AA") == position
    books = desk.venue.books
    for order in desk.blotter.orders.values():
        is_there = ClientOrderId(order.id) in books.by_id or books.is_held(ClientOrderId(order.id))
        if order.status in FINAL:
            assert not is_there, order
        elif order.status in (Status.NEW, Status.HELD, Status.PARTIALLY_FILLED) and not any(
            each.status in UNSETTLED for each in order.family
        ) and not is_to_come(desk, order):
            assert is_there, order
        own = order.filled_qty - filled.get(order.id, ZERO)
        assert own >= 0
        assert order.qty_open >= 0
        assert chain_filled(account, order) <= order.qty
        if order.is_open and order.time_in_force is not TimeInForce.GTC:
            assert order.expires_at > account.now
        assert (order.status is Status.FILLED) <= (order.qty_open == 0)
        live = desk.venue.resting_order(ClientOrderId(order.id))
        if live is not None and order.status is not Status.PENDING_REPLACE:
            assert live.qty_open == order.qty_open, order


@settings(max_examples=400, deadline=None)
@given(
    st.lists(deed, max_size=25),
    st.sampled_from([0, 50, 100]),
    st.booleans(),
)
def test_books_answers_and_updates_tell_the_same(
    deeds: list[tuple[Any, ...]], partial_fill_pct: int, carries: bool
) -> None:
    """Goal: no order is lost between desk and venue, fills add up, and who only listens knows the
    end of every order. Method: drawn sequences of requests, bars, nights and things kept back;
    after each the books are compared, at the end what was told with what is shown."""
    account = told(
        partial_fill_pct=partial_fill_pct,
        options=DeskOptions(carries_filled_qty=carries, tells_canceled_stops=True),
    )
    for number, what in enumerate(deeds, 1):
        account.now += 1
        assert carry_out(account, what, number) in (200, 403, 404, 422)
        require_one_story(account)
    heard: dict[str, str] = {}
    for update in account.updates:
        heard[update["order"]["id"]] = update["order"]["status"]
    for row in account.desk.orders(status="closed", limit=500):
        assert heard[row["id"]] == row["status"]
