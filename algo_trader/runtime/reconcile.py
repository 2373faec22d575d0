"""Reconciliation: the broker's books against ours, before anything else at every start.

Asks, and hands the answers to the pump; what they mean is the engine's business. Idempotent: a run
that is cut short anywhere and begun again leads to the same place, for every answer is compared
with what is on record by then. Rounds are repeated until one of them brings nothing new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from algo_trader.core.errors import AlgoTraderError
from algo_trader.core.inputs import (
    Balance,
    Pinned,
    Positions,
    Prices,
    Settle,
    Strangers,
    Truths,
)
from algo_trader.core.ports import Broker, BrokerOrder, BrokerStatus
from algo_trader.core.types import ClientOrderId, Instant
from algo_trader.engine.reconcile import position_differences
from algo_trader.runtime.pump import Pump

ROUNDS = 10
SOUGHT_AGAIN_S = 1.0
"""An order that has gone is asked about after so long, and then after pauses that double."""


class Unsettled(AlgoTraderError):
    """Round after round brings something new: the broker's books are moving."""


async def reconcile(
    pump: Pump,
    broker: Broker,
    now: Callable[[], Instant] = lambda: 0,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Compare until nothing new comes. Raises BrokerError when the broker cannot be asked.

    `now` is market time, for a market that does not stand still meanwhile. The last round is the
    one after which `goes_on` says so.
    """
    pump.put(Pinned(await broker.account()))
    await pump.settled()
    await _report_strangers(pump, broker)
    for _ in range(ROUNDS):
        recorded = pump.facts_recorded
        # Read first: a fill that has moved it is among the orders that are read after.
        cash = (await broker.account()).cash
        await _compare_orders(pump, broker)
        await _compare_positions(pump, broker)
        pump.put(Settle(now()))
        await pump.settled()
        if pump.facts_recorded == recorded or not goes_on():
            pump.put(Balance(cash))
            await pump.settled()
            return
    raise Unsettled(f"{ROUNDS} rounds of reconciliation have each brought something new")


async def _report_strangers(pump: Pump, broker: Broker) -> None:
    known = pump.engine.book.orders
    # Asked for by name, one of ours that somebody has edited is known again.
    live = [order.order_id for order in known.values() if order.is_live and order.broker_id]
    strangers = [
        order
        for order in await broker.orders(live)
        if order.status is BrokerStatus.OPEN and order.order_id not in known
    ]
    pump.put(Strangers(strangers))
    await pump.settled()


async def _compare_orders(pump: Pump, broker: Broker) -> None:
    """Every order of the present and the last session; those that ended may still lack a fill."""
    book = pump.engine.book
    # One that was refused, or never left, is not there to be found.
    known = [o.order_id for o in book.orders.values() if o.is_live or o.broker_id or o.fills]
    found = {order.order_id: order for order in await broker.orders(known)}
    # In the order of our intents: an entry's fills come before those of its stop.
    pump.put(Truths({key: found[key] for key in list(book.orders) if key in found}))
    await pump.settled()
    for order in list(book.orders.values()):
        if order.is_live and order.broker_id is not None and order.order_id not in found:
            # It was accepted once: that it has gone is worth a question of its own.
            truth = await _sought(broker, order.order_id, pump.terms.settle_s)
            pump.put(Truths({order.order_id: truth}))
    pump.look_up()
    await pump.settled()


async def _sought(broker: Broker, order_id: ClientOrderId, settle_s: float) -> BrokerOrder | None:
    """The order; None when the broker denies it for so long: its answers may lag behind."""
    truth = await broker.order(order_id)
    left_s, pause_s = settle_s, SOUGHT_AGAIN_S
    while truth is None and left_s > 0:
        pause_s = min(pause_s, left_s)
        await asyncio.sleep(pause_s)
        left_s, pause_s = left_s - pause_s, pause_s * 2
        truth = await broker.order(order_id)
    return truth


async def _compare_positions(pump: Pump, broker: Broker) -> None:
    """A difference counts when it is there twice, and the orders in between do not explain it:
    positions may lag behind fills, and fills behind positions.
    """
    book = pump.engine.book
    held = await broker.positions()
    prices = {symbol: each.price for symbol, each in held.items() if each.price is not None}
    pump.put(Prices(prices))
    first = position_differences(book, held)
    if not first:
        return
    await asyncio.sleep(pump.terms.grace_s)
    await _compare_orders(pump, broker)
    positions = await broker.positions()
    if position_differences(book, positions) == first:
        pump.put(Positions(positions))
        await pump.settled()
