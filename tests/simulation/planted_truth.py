"""Mistakes about what is true: executions, the broker's books, and what a life before has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from planting import Mutant, Swap, never, nothing, nothing_at_last

from algo_trader.brokers.alpaca import commands
from algo_trader.core import book as core_book
from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import orders as core_orders
from algo_trader.core.book import Book
from algo_trader.core.inputs import Positions
from algo_trader.core.orders import OrderState
from algo_trader.engine import judge, listener
from algo_trader.engine import reconcile as comparing
from algo_trader.engine.judge import Judge
from algo_trader.feeds.alpaca.market import LiveMarket
from algo_trader.risk.rules import BreakerRule, HaltRule, ReadinessRule
from algo_trader.runtime import daemon, reconcile
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import MARKET_DATA
from algo_trader.runtime.pump import Pump
from algo_trader.runtime.remote import RECONCILE, Remote
from algo_trader.wiring.alpaca import FRESH


def _ends_only(reports_of: Any) -> Any:
    def ends_only(truth: Any, now: int) -> list[Any]:
        return [each for each in reports_of(truth, now) if not isinstance(each, ev.OrderFilled)]

    return ends_only


def _deaf_after_the_end(is_echo: Any) -> Any:
    def deaf_after_the_end(order: Any, fact: Any) -> bool:
        has_ended = order.state in (OrderState.CANCELED, OrderState.EXPIRED)
        return (has_ended and isinstance(fact, ev.OrderFilled)) or is_echo(order, fact)

    return deaf_after_the_end


def _changed_fill(change: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def make(hear_fill: Any) -> Any:
        def changed(self: Any, order_id: Any, done: Any) -> None:
            order = self.engine.book.orders.get(order_id)
            hear_fill(self, order_id, done if order is None else change(order, done))

        return changed

    return make


def _for_ever(before: Any) -> Any:
    async def for_ever(self: Any) -> None:
        await asyncio.Event().wait()

    return for_ever


def _only_if_wanted(compare_again: Any) -> Any:
    async def only_if_wanted(self: Any) -> None:
        while True:
            await self._compare_wanted.wait()
            await self._compare()

    return only_if_wanted


def _at_first_sight(compare_positions: Any) -> Any:
    async def at_first_sight(pump: Any, broker: Any) -> None:
        held = await broker.positions()
        if comparing.position_differences(pump.engine.book, held):
            pump.put(Positions(held))
            await pump.settled()

    return at_first_sight


def _begins_blind(begin: Any) -> Any:
    async def begins_blind(self: Any) -> None:
        self._gate.open(RECONCILE)
        self.has_begun = True

    return begins_blind


def _open_for(*names: str) -> Callable[[Any], Any]:
    """A gate that these reasons do not close."""

    def make(close: Any) -> Any:
        def closes(self: Any, name: str, why: str, **named: Any) -> None:
            if name not in names:
                close(self, name, why, **named)

        return closes

    return make


def _folds(change: Callable[[Book], None]) -> Callable[[Any], Any]:
    """The book that a process begins with, changed."""

    def make(folded: Any) -> Any:
        def changed(ledger: Any) -> tuple[Book, int]:
            book, count = folded(ledger)
            change(book)
            return book, count

        return changed

    return make


def _unhalt(book: Book) -> None:
    book.halted = None


def _count_anew(book: Book) -> None:
    book._numbers.clear()


def _forget_fills(book: Book) -> None:
    for order in book.orders.values():
        order.fills.clear()


def _noting(send: Any) -> Any:
    def noting(self: Any, command: Any) -> None:
        self.own = getattr(self, "own", set()) | {each.order_id for each in cmd.placed_by(command)}
        send(self, command)

    return noting


def _own_only(look_up: Any) -> Any:
    async def own_only(self: Any, order_id: Any) -> Any:
        return await look_up(self, order_id) if order_id in getattr(self, "own", ()) else None

    return own_only


def _any_age(consider: Any) -> Any:
    def any_age(self: Any, lane: Any, candle: Any, *given: Any) -> Any:
        return consider(self, lane, candle._replace(late=False), *given)

    return any_age


TRUTH = (
    Mutant(
        "counts a fill twice",
        "executions are added up as they come, whatever has been heard before",
        [
            Swap(core_orders, "_is_counted", never),
            Swap(core_orders, "_require_no_overlap", nothing),
        ],
    ),
    Mutant(
        "believes the stream alone",
        "what the stream did not tell was not filled",
        [Swap(comparing, "reports_of", _ends_only), Swap(commands, "reports_of", _ends_only)],
    ),
    Mutant(
        "is deaf after the end",
        "a fill that crosses its order's cancel is dropped",
        [
            Swap(core_orders, "is_echo", _deaf_after_the_end),
            Swap(core_book, "is_echo", _deaf_after_the_end),
            Swap(listener, "is_echo", _deaf_after_the_end),
        ],
    ),
    Mutant(
        "takes a part for the whole",
        "partial_fill is read as fill: all that was ordered is thought to be there",
        [
            Swap(
                Daemon,
                "hear_fill",
                _changed_fill(
                    lambda order, done: done._replace(
                        qty=order.qty_open, cum_qty=order.request.qty
                    )
                ),
            )
        ],
    ),
    Mutant(
        "books the price it asked for",
        "a stop is booked at its stop price, whatever it was filled at",
        [
            Swap(
                Daemon,
                "hear_fill",
                _changed_fill(
                    lambda order, done: done._replace(price=order.request.stop_price or done.price)
                ),
            )
        ],
    ),
    Mutant(
        "never sweeps",
        "orders are not asked about while the stream is silent",
        [Swap(Remote, "_sweep", _for_ever)],
    ),
    Mutant(
        "never compares positions",
        "what somebody else buys and sells is never found out",
        [Swap(reconcile, "_compare_positions", nothing_at_last)],
    ),
    Mutant(
        "compares when told to",
        "books are compared at the start and after a gap, and never without a reason",
        [Swap(Remote, "_compare_again", _only_if_wanted)],
    ),
    Mutant(
        "believes positions at first sight",
        "a difference that is only a delay is put right at once",
        [Swap(reconcile, "_compare_positions", _at_first_sight)],
    ),
    Mutant(
        "believes an order gone",
        "an order that one listing lacks is lost",
        [Swap(reconcile, "_sought", nothing_at_last)],
    ),
    Mutant(
        "begins blind",
        "nothing is asked of the broker before trading begins",
        [Swap(Remote, "begin", _begins_blind)],
    ),
    Mutant(
        "trusts a stream that comes back",
        "what happened while the stream was away is not asked for",
        [Swap(Remote, "want_comparison", nothing)],
    ),
    Mutant(
        "passes its gate",
        "entries leave although the books are being compared or the feed is stale",
        [Swap(ReadinessRule, "refuses", never)],
    ),
    Mutant(
        "leaves gaps open",
        "minutes that were missed while the feed was away are not asked for",
        [Swap(LiveMarket, "_fill_gap", nothing_at_last)],
    ),
    Mutant(
        "trades on a feed that is gone",
        "the last prices are traded on, however long ago they came",
        [Swap(Gate, "close", _open_for(MARKET_DATA, FRESH))],
    ),
    Mutant(
        "decides under a halt",
        "a halt is shown and not asked about",
        [Swap(HaltRule, "refuses", never)],
    ),
    Mutant(
        "forgets a halt",
        "a restart ends a halt",
        [Swap(daemon, "_folded", _folds(_unhalt))],
    ),
    Mutant(
        "forgets its limits",
        "the day's loss limit is told and not kept",
        [Swap(BreakerRule, "refuses", never)],
    ),
    Mutant(
        "counts its orders anew",
        "after a restart the numbers in the names of orders begin again",
        [Swap(daemon, "_folded", _folds(_count_anew))],
    ),
    Mutant(
        "knows executions by heart",
        "which executions were counted is in memory alone, and a restart counts them again",
        [Swap(daemon, "_folded", _folds(_forget_fills))],
    ),
    Mutant(
        "asks about its own orders only",
        "an order without an answer is forgotten with the process that sent it",
        [Swap(Pump, "_send", _noting), Swap(Pump, "_look_up", _own_only)],
    ),
    Mutant(
        "decides on old candles",
        "a candle that comes minutes late is traded like a fresh one",
        [
            Swap(judge, "STALE_AFTER_S", lambda before: 10**9),
            Swap(Judge, "consider", _any_age),
        ],
    ),
)
