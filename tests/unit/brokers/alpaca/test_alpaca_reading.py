"""Whatever Alpaca writes can be read: bodies of any shape, and executions in any order."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_kit import fill_json, order_json, request

from algo_trader.brokers.alpaca import reading
from algo_trader.brokers.alpaca.fills import Fills, activity_of
from algo_trader.brokers.alpaca.orders import read_order
from algo_trader.brokers.alpaca.pairs import flat
from algo_trader.brokers.alpaca.trade_update import read_update
from algo_trader.brokers.alpaca.wire import UNREADABLE, decoded
from algo_trader.core.broker import BrokerOrder, Execution
from algo_trader.core.truth import reports_of
from algo_trader.core.types import ZERO

ORDER = order_json(request(), filled_qty="4", filled_avg_price="9.5", legs=[order_json(request())])
ACCOUNT = {
    "id": "a",
    "account_number": "PA1",
    "status": "ACTIVE",
    "cash": "1",
    "buying_power": "2",
    "equity": "3",
    "trading_blocked": False,
}
POSITION = {"symbol": "AA", "qty": "-1", "side": "short", "avg_entry_price": "2"}
CLOCK = {
    "timestamp": "2024-01-02T09:30:00-05:00",
    "is_open": True,
    "next_open": "2024-01-03T09:30:00-05:00",
    "next_close": None,
}
UPDATE = {
    "event": "fill",
    "timestamp": "2024-01-02T14:30:14.199Z",
    "order": ORDER,
    "qty": "4",
    "price": "9.5",
    "execution_id": "x",
}

numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["1e99999999", "-0", "NaN", "1_0", "\u0661", "0x1", "1E-30"]),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text(max_size=5),
    st.sampled_from(["2024-01-02T14:30:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, body: dict[str, Any]) -> Any:
    """A body with up to three fields gone or become something else, as read from its JSON."""
    copy = dict(body)
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=3)):
        if draw(st.booleans()):
            copy[name] = draw(values)
        else:
            copy.pop(name, None)
    return decoded(json.dumps(copy))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(changed(ORDER))
def test_any_order_can_be_read(body: Any) -> None:
    """Goal: an order of any shape is read or is none, never an error; what is read makes sense, and
    so does every execution made of it. Method: fields taken away and replaced by anything.
    """
    orders = [read_order(row) for row in flat(body)]
    for order in orders:
        if order is None:
            continue
        assert order.broker_id
        assert order.order_id
        assert order.filled_qty >= ZERO
        now = [0.0]
        fills = Fills(lambda: now[0])  # noqa: B023 - called within the loop.
        fills.is_whole(order)
        now[0] = 60.0
        fills.make_up(order, 1)
        told = fills.told(order)
        truth = BrokerOrder(
            order.order_id, order.broker_id, order.symbol, order.action, order.qty,
            order.status, told,
        )  # fmt: skip
        assert len(reports_of(truth, 1)) >= len(told)


@given(changed(UPDATE), values)
def test_any_event_can_be_read(body: Any, anything: Any) -> None:
    """Goal: an event of any shape is read or is none; an execution in it is one that can be."""
    for value in (body, anything):
        update = read_update(value)
        if update is not None and update.execution is not None:
            assert ZERO < update.execution.qty <= update.execution.cum_qty
            assert update.execution.price > ZERO


@given(changed(ACCOUNT), changed(POSITION), changed(CLOCK), changed(fill_json("4", "4", "9")))
def test_anything_else_can_be_read(account: Any, position: Any, clock: Any, fill: Any) -> None:
    """Goal: accounts, positions, clocks and activities of any shape are read or are none."""
    state = reading.account_of(account)
    assert state is None or (state.account and state.cash.is_finite())
    reading.positions_of([position])
    reading.positions_of(position)
    reading.time_of(clock)
    activity_of(fill)


@given(st.binary(max_size=50))
def test_any_bytes_can_be_decoded(content: bytes) -> None:
    """Goal: content of any kind is JSON or is not, never an error."""
    decoded(content)


def test_numbers_stay_exact() -> None:
    """Goal: a number in JSON is the decimal that is written there."""
    body = decoded(b'{"a": 0.30000000000000004, "b": 150.10, "c": 1e-9}')
    assert body == {
        "a": Decimal("0.30000000000000004"),
        "b": Decimal("150.10"),
        "c": Decimal("1e-9"),
    }
    assert decoded(b'{"a": Infinity}') is UNREADABLE


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
    st.integers(0, 6),
)
def test_shares_count_once_in_any_order(parts: list[int], chance: Any, lost: int) -> None:
    """Goal: however executions arrive, doubled, out of order or not at all, what is told of an
    order ascends without overlap, and in the end is worth what the broker says.

    Method: fills at prices of their own, some lost and made up from the exact average.
    """
    executions, cum, value = [], ZERO, ZERO
    for number, part in enumerate(parts):
        cum += part
        price = Decimal(900 + 7 * number) / 100
        value += price * part
        executions.append(Execution(1, Decimal(part), price, cum, ZERO, f"x{number}"))
    heard = executions[min(lost, len(executions)) :] * 2
    chance.shuffle(heard)
    order = read_order(
        order_json(
            request(qty=cum),
            status="filled",
            filled_qty=str(cum),
            filled_avg_price=str(value / cum),
        )
    )
    assert order is not None
    now = [0.0]
    fills = Fills(lambda: now[0])
    for execution in heard:
        fills.hear(order.broker_id, execution)
    if not fills.is_whole(order):
        now[0] = 60.0
        fills.make_up(order, 1)
    for execution in executions:
        fills.hear(order.broker_id, execution)
    told = fills.told(order)
    assert fills.is_whole(order)
    end = ZERO
    for execution in told:
        assert execution.cum_qty - execution.qty == end
        end = execution.cum_qty
    worth = sum((each.qty * each.price for each in told), start=ZERO)
    assert abs(worth - value) < Decimal("0.01")
