"""Mistakes on the way out: what is sent, when, how often, and what an answer is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planting import Mutant, Swap, always, constant, never

from algo_trader.brokers.alpaca import commands, orders
from algo_trader.brokers.alpaca.answers import Refusal
from algo_trader.brokers.alpaca.calls import Retry
from algo_trader.brokers.alpaca.commands import Commands
from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core import work
from algo_trader.core.errors import BrokerError
from algo_trader.core.inputs import Input, Reports
from algo_trader.core.orders import Order
from algo_trader.core.types import ClientOrderId, Role
from algo_trader.engine.hands import Hands
from algo_trader.engine.intake import Intake
from algo_trader.engine.protect import close_order, stop_order
from algo_trader.ledger.errors import StorageError
from algo_trader.runtime.lookups import Lookups
from algo_trader.runtime.pump import Pump


def _acts_first(record: Any) -> Any:
    async def acts_first(self: Any) -> None:
        for command in self._commands:
            self._send(command)
        self._commands = []
        await record(self)

    return acts_first


def _commits_later(record: Any) -> Any:
    async def commits_later(self: Any) -> None:
        self._facts, self._uncommitted = getattr(self, "_uncommitted", []), self._facts
        await record(self)

    return commits_later


def _swallows(record: Any) -> Any:
    async def swallows(self: Any) -> None:
        try:
            await record(self)
        except StorageError:
            return

    return swallows


def _as_refusals(carry_out: Any) -> Any:
    async def as_refusals(self: Any, command: cmd.Command) -> Input:
        answer: Reports = await carry_out(self, command)
        return Reports(
            [
                ev.OrderRefused(at=each.at, order_id=each.order_id, code=1, message=each.detail)
                if isinstance(each, ev.OutcomeUnknown)
                else each
                for each in answer.reports
            ]
        )

    return as_refusals


def _as_unsent(carry_out: Any) -> Any:
    async def as_unsent(self: Any, command: cmd.Command) -> Input:
        answer: Reports = await carry_out(self, command)
        return Reports(
            [
                ev.OrderAbandoned(at=each.at, order_id=each.order_id, reason=each.detail)
                if isinstance(each, ev.OutcomeUnknown)
                else each
                for each in answer.reports
            ]
        )

    return as_unsent


def _any_error_refuses(refusal_in: Any) -> Any:
    def any_error_refuses(answer: Any) -> Refusal | None:
        found: Refusal | None = refusal_in(answer)
        return Refusal(answer.status, "server error") if answer.status >= 500 else found

    return any_error_refuses


def _sends_entries_again(miss: Any) -> Any:
    def sends_entries_again(self: Any, order: Order) -> None:
        if order.role is Role.ENTRY and order.is_live and order.broker_id is None:
            self._engine.hands.send_again(order, self._engine.now)
        else:
            miss(self, order)

    return sends_entries_again


def _new_name_each_time(send_again: Any) -> Any:
    def new_name_each_time(self: Any, order: Order, now: int) -> None:
        book = self._book
        holding = book.holding(order.strategy, order.request.symbol)
        number = book.next_number(order.decision, order.role)
        if order.role is Role.EXIT:
            self.send(close_order(holding, order.request.qty, now, number))
        elif order.role is Role.STOP and order.request.stop_price is not None:
            price = order.request.stop_price
            self.send(stop_order(holding, order.request.qty, price, now, number))
        else:
            send_again(self, order, now)

    return new_name_each_time


def _random_names(body: Any) -> Any:
    sent: list[str] = []

    def random_names(request: ev.OrderRequest) -> dict[str, str]:
        sent.append(request.order_id)
        name = f"{request.order_id}{len(sent):x}"
        return {**body(request), "client_order_id": name}

    return random_names


def _floats(prices: Any) -> Any:
    def floats(request: ev.OrderRequest) -> dict[str, str]:
        return {
            name: repr(round(float(price) / 0.01) * 0.01)
            for name, price in prices(request).items()
        }

    return floats


def _done_at_204(cancel: Any) -> Any:
    async def done_at_204(self: Any, order_id: ClientOrderId, deadline: Any) -> Sequence[Any]:
        reports: Sequence[Any] = await cancel(self, order_id, deadline)
        if any(isinstance(each, ev.CancelRefused) for each in reports):
            return reports
        return (ev.OrderCanceled(at=self._clock.now(), order_id=order_id),)

    return done_at_204


def _refused_is_gone(cancel: Any) -> Any:
    async def refused_is_gone(self: Any, order_id: ClientOrderId, deadline: Any) -> Sequence[Any]:
        return [
            ev.OrderCanceled(at=each.at, order_id=order_id)
            if isinstance(each, ev.CancelRefused)
            else each
            for each in await cancel(self, order_id, deadline)
        ]

    return refused_is_gone


def _cancels_once(may_cancel: Any) -> Any:
    def cancels_once(order: Order, now: int) -> bool:
        return not order.was_cancel_asked and bool(may_cancel(order, now))

    return cancels_once


def _moved_all_the_same(replace: Any) -> Any:
    async def moved_all_the_same(
        self: Any, order_id: ClientOrderId, request: ev.OrderRequest, deadline: Any
    ) -> Sequence[Any]:
        found: Sequence[Any] = await replace(self, order_id, request, deadline)
        if not any(isinstance(each, ev.OrderRefused) for each in found):
            return found
        at = self._clock.now()
        known = self._finder._broker_ids.get(order_id)
        return [
            ev.OrderReplaced(at=at, order_id=order_id, replaced_by=request.order_id),
            ev.OrderAccepted(at=at, order_id=request.order_id, broker_id=known),
        ]

    return moved_all_the_same


def _gone_with_the_refusal(replace: Any) -> Any:
    async def gone_with_the_refusal(
        self: Any, order_id: ClientOrderId, request: ev.OrderRequest, deadline: Any
    ) -> Sequence[Any]:
        found: Sequence[Any] = await replace(self, order_id, request, deadline)
        if not any(isinstance(each, ev.OrderRefused) for each in found):
            return found
        return [*found, ev.OrderCanceled(at=self._clock.now(), order_id=order_id)]

    return gone_with_the_refusal


def _leaves_cover(close: Any) -> Any:
    def leaves_cover(holding: Any, reason: Any, now: int) -> list[work.Todo]:
        found: list[work.Todo] = close(holding, reason, now)
        if any(isinstance(todo, work.CancelOrder) for todo in found):
            found.append(work.CloseOut(holding.qty, reason))
        return found

    return leaves_cover


def _forgets_exits(remaining: Any) -> Any:
    def forgets_exits(book: Any, holding: Any, now: int) -> list[work.Todo]:
        if not holding.qty or not any(exit.is_unknown for exit in holding.exits):
            found: list[work.Todo] = remaining(book, holding, now)
            return found
        return [work.CloseOut(holding.qty, holding.exit_reason)]

    return forgets_exits


def _sent_is_done(execute: Any) -> Any:
    async def sent_is_done(self: Any, command: cmd.Command) -> Sequence[Any]:
        try:
            return list(await execute(self, command))
        except BrokerError:
            if not isinstance(command, cmd.Cancel):
                raise
            return (ev.OrderCanceled(at=self._clock.now(), order_id=command.order_id),)

    return sent_is_done


SENDING = (
    Mutant(
        "acts before recording",
        "the order is sent first and written down when the answer is there",
        [Swap(Pump, "_record", _acts_first)],
    ),
    Mutant(
        "commits later",
        "facts are written in batches, after what they led to has been sent",
        [Swap(Pump, "_record", _commits_later)],
    ),
    Mutant(
        "goes on without its disk",
        "an error of the database is logged, and trading goes on",
        [Swap(Pump, "_record", _swallows)],
    ),
    Mutant(
        "takes silence for refusal",
        "an exception while placing an order means that there is no order",
        [Swap(Pump, "_carry_out", _as_refusals)],
    ),
    Mutant(
        "takes silence for unsent",
        "a timeout means that the request did not leave, so another one may",
        [Swap(Pump, "_carry_out", _as_unsent)],
    ),
    Mutant(
        "takes a server error for refusal",
        "500 and 504 are failures like 403, though the order may be working",
        [Swap(commands, "refusal_in", _any_error_refuses)],
    ),
    Mutant(
        "believes the duplicate",
        "422 'client_order_id must be unique' is a refusal like any other",
        [Swap(commands, "is_duplicate", never)],
    ),
    Mutant(
        "believes the first absence",
        "the first 'order not found' is proof, though the request is on its way",
        [Swap(Lookups, "is_proof", always)],
    ),
    Mutant(
        "sends an unknown entry again",
        "an entry that cannot be found is placed once more",
        [Swap(Intake, "_miss", _sends_entries_again)],
    ),
    Mutant(
        "posts again after silence",
        "the HTTP client repeats a POST that was not answered (alpaca-py does after a 504)",
        [Swap(commands, "ORDER", constant(Retry(2, after_silence=True, after_429=1)))],
    ),
    Mutant(
        "names a retry anew",
        "every try of a reducing order has a new client_order_id",
        [Swap(Hands, "send_again", _new_name_each_time)],
    ),
    Mutant(
        "makes names up",
        "client_order_id is made as the request leaves, and is on no record",
        [Swap(commands, "submit_body", _random_names)],
    ),
    Mutant(
        "computes prices in floats",
        "a price has gone through a float on its way into the request",
        [Swap(orders, "_prices", _floats)],
    ),
    Mutant(
        "takes 204 for canceled",
        "that a cancel was taken is believed to be the order's end",
        [Swap(Commands, "_cancel", _done_at_204)],
    ),
    Mutant(
        "takes a refused cancel for canceled",
        "an order whose cancel is refused must have ended, it is thought",
        [Swap(Commands, "_cancel", _refused_is_gone)],
    ),
    Mutant(
        "takes a lost cancel for canceled",
        "whatever becomes of a cancel, the order is taken off the list",
        [Swap(Commands, "execute", _sent_is_done)],
    ),
    Mutant(
        "cancels once",
        "a cancel without an answer is never sent again",
        [Swap(work, "may_cancel", _cancels_once)],
    ),
    Mutant(
        "believes in the moved stop",
        "after a refused PATCH the stop is on record at its new price",
        [Swap(Commands, "_replace", _moved_all_the_same)],
    ),
    Mutant(
        "believes the stop gone with its move",
        "after a refused PATCH the old stop is taken for canceled",
        [Swap(Commands, "_replace", _gone_with_the_refusal)],
    ),
    Mutant(
        "sells beside its stop",
        "the closing order leaves before the stop's cancel is proven",
        [Swap(work, "_close", _leaves_cover)],
    ),
    Mutant(
        "exits again",
        "a closing order without an answer is placed once more, under the next name",
        [Swap(work, "remaining", _forgets_exits)],
    ),
)
