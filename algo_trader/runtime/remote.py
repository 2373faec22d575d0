"""What a broker across a network needs beside its pump: comparing again, sweeping, watching.

Streams only wake us; the broker's REST books are the truth. After every gap of the trade stream,
after the process has stood still, and every minute the books are compared whole; while orders
are open their state is asked for every few seconds. Entries wait at the gate meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from algo_trader.core import events as ev
from algo_trader.core.broker import AccountState, BrokerStatus
from algo_trader.core.errors import BrokerError, KeysRefused
from algo_trader.core.inputs import Funds, Strangers, Truths
from algo_trader.core.ports import Broker, LineState
from algo_trader.core.types import ClientOrderId, Instant, Role, Session
from algo_trader.runtime import Log
from algo_trader.runtime.cover import uncovered
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.pump import Pump
from algo_trader.runtime.reconcile import Unsettled, reconcile

SKEW_MOST_S = 2.0
ACCOUNT_STALE_S = 300.0
ACCOUNT_PAUSE_S = 2.0
"""Between two questions about the account, however much happens."""
SWEEP_STALE_S = 12.0
STOOD_STILL_S = 10.0
RETRY_FIRST_S, RETRY_MOST_S = 1.0, 30.0
STREAM_WAIT_S = 10.0
"""At the start the books are compared after the trade stream is there, or after so long."""

RECONCILE = "reconcile"
ACCOUNT = "account"
SWEEP = "orders"
CLOCK = "clock"
CALENDAR = "calendar"


MOVES_FUNDS = (
    ev.OrderAccepted,
    ev.OrderFilled,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderRefused,
    ev.OrderAbandoned,
    ev.OutcomeUnknown,
)
"""Facts after which the account is asked about: what it may spend, or whether it still may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTerms:
    """How often a remote broker is asked, in seconds of real time.

    `streams` run for the daemon's whole life, by name. `read_skew` gives the seconds by which the
    broker's clock is ahead of ours; `disagreement`, asked after it, what broker and calendar say
    differently of whether the market is open, empty if nothing. `now` is market time, `session` the
    one it is in; `oddities` is for `status`: what came and was not believed, who is quiet.
    """

    streams: Sequence[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]
    read_skew: Callable[[], Awaitable[float]]
    disagreement: Callable[[], str] = lambda: ""
    now: Callable[[], Instant] = lambda: 0
    session: Callable[[], Session | None] = lambda: None
    oddities: Callable[[], Mapping[str, Any]] = dict
    account_every_s: float = 30.0
    sweep_every_s: float = 3.0
    clock_every_s: float = 60.0
    compare_every_s: float = 60.0


class Remote:
    """The standing work of one life with a remote broker. `account` is its last word."""

    def __init__(
        self,
        terms: RemoteTerms,
        broker: Broker,
        pump: Pump,
        gate: Gate,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.terms = terms
        self.account: AccountState | None = None
        self.skew_s: float | None = None
        self._broker = broker
        self._pump = pump
        self._gate = gate
        self._log = log
        self._clock = clock
        self._account_at = self._swept_at = clock()
        self._account_wanted = asyncio.Event()
        self._compare_wanted = asyncio.Event()
        self._stream_seen = asyncio.Event()
        self.has_begun = False
        """Whether the books were compared once: from then on there is a book to act on."""
        self._comparing = asyncio.Lock()
        gate.reasons[RECONCILE] = "the broker's books have not been compared yet"

    def tasks(self) -> list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
        """What runs for the whole life, by name."""
        return [
            *self.terms.streams,
            ("account", self._watch_account),
            ("clock", self._watch_clock),
            ("sweep", self._sweep),
            ("comparing", self._compare_again),
        ]

    @property
    def account_age_s(self) -> float:
        """Seconds since the account was last told."""
        return self._clock() - self._account_at

    # -- comparing --

    def hear_stream(self, state: LineState) -> None:
        """The trade stream's state: what happened while it was away was never told."""
        if state is not LineState.CONNECTED:
            return
        if self._stream_seen.is_set():
            self.want_comparison("the trade stream was away")
        self._stream_seen.set()

    def want_comparison(self, why: str) -> None:
        """Entries wait until the broker's books have been compared again."""
        if self._compare_wanted.is_set():
            return
        self._gate.close(RECONCILE, f"comparing with the broker: {why}")
        self._compare_wanted.set()

    def heed(self, facts: Sequence[ev.Fact]) -> None:
        """What our own record asks of the broker: its account, or its whole books."""
        if any(isinstance(fact, MOVES_FUNDS) for fact in facts):
            self.want_account()
        for fact in facts:
            if isinstance(fact, ev.OrderCanceled) and self._is_foreign_cancel(fact):
                self.want_comparison(f"{fact.order_id} was canceled, and not by us")

    def _is_foreign_cancel(self, fact: ev.OrderCanceled) -> bool:
        """Somebody at the broker's own screen has taken away a stop or an exit."""
        orders = self._pump.engine.book.orders
        order = orders.get(fact.order_id)
        if order is None or order.role is Role.ENTRY or order.was_cancel_asked:
            return False
        other = None if order.pair is None else orders.get(order.pair)
        return other is None or other.is_live  # Else it went with the other exit of its pair.

    async def begin(self) -> None:
        """The first comparison, before anything trades; the stream is given a moment to come."""
        try:
            async with asyncio.timeout(STREAM_WAIT_S):
                await self._stream_seen.wait()
        except TimeoutError:
            pass  # Positions want their stops, whether we are told of fills or not.
        self._stream_seen.set()
        await self._compare(level="debug")
        self.has_begun = True

    async def _compare(self, level: str = "info") -> None:
        """Compare, and open the gate unless another comparison was wanted after this one began."""
        async with self._comparing:
            self._compare_wanted.clear()
            await self._compare_until_done()
            if not self._compare_wanted.is_set():
                self._gate.open(RECONCILE, level=level)

    async def _compare_until_done(self) -> None:
        """A broker that cannot be asked is asked again."""
        delay = RETRY_FIRST_S
        while True:
            try:
                await reconcile(self._pump, self._broker, self.terms.now)
                self._account_wanted.set()
                return
            except (BrokerError, Unsettled) as error:
                self._log("reconcile_failed", level="error", error=error, again_in_s=delay)
                self._gate.close(RECONCILE, f"the broker's books cannot be compared: {error}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MOST_S)

    async def _compare_again(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.terms.compare_every_s):
                    await self._compare_wanted.wait()
            except TimeoutError:
                pass  # From time to time without a reason, too.
            await self._compare()

    # -- sweeping --

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.terms.sweep_every_s)
            book = self._pump.engine.book
            wanted = [
                order.order_id
                for order in book.orders.values()
                if order.is_live and order.broker_id is not None and order.cancel_reason is None
            ]
            # Bare shares may wait for the end of an order that is not ours.
            if not wanted and not uncovered(book):
                self._heed_sweep(None)
                continue
            try:
                await self._look_at(wanted)
            except BrokerError as error:
                self._heed_sweep(error)
                if isinstance(error, KeysRefused):
                    self.want_account()  # Which says so to everybody.
            else:
                self._heed_sweep(None)

    def _heed_sweep(self, error: BrokerError | None) -> None:
        """Orders that cannot be asked about for a while: fills may go unheard."""
        now = self._clock()
        if error is None:
            self._swept_at = now
            self._gate.open(SWEEP)
            return
        self._log("sweep_failed", level="warning", error=error)
        if now - self._swept_at > SWEEP_STALE_S:
            self._gate.close(SWEEP, f"open orders cannot be asked about: {error}")

    async def _look_at(self, wanted: Sequence[ClientOrderId]) -> None:
        orders = await self._broker.orders(wanted)
        busy = set(self._pump.in_flight)
        known = self._pump.engine.book.orders
        found = {order.order_id: order for order in orders if order.order_id not in busy}
        told, strangers = {}, []
        for order in orders:
            ours = known.get(order.order_id)
            is_open = order.status is BrokerStatus.OPEN
            if ours is None:
                strangers += [order] if is_open else []
            elif order.order_id in found and ours.cancel_reason is None and (
                ours.is_live or is_open  # One that we gave up on and that is there has come late.
            ):
                told[order.order_id] = order
        self._pump.put(Truths(told))
        self._pump.put(Strangers(strangers))
        self._pump.wake(key for key in wanted if key not in found and key not in busy)

    # -- watching --

    def want_account(self) -> None:
        """Something has changed what new orders may cost."""
        self._account_wanted.set()

    async def _watch_account(self) -> None:
        while True:
            await self._ask_account()
            await asyncio.sleep(ACCOUNT_PAUSE_S)

    async def _ask_account(self) -> None:
        """Once, when it is wanted or its time has come."""
        is_closed = ACCOUNT in self._gate.reasons
        every_s = self.terms.sweep_every_s if is_closed else self.terms.account_every_s
        try:
            async with asyncio.timeout(every_s):
                await self._account_wanted.wait()
        except TimeoutError:
            pass
        self._account_wanted.clear()
        try:
            account = await self._broker.account()
        except KeysRefused as error:
            self._gate.close(ACCOUNT, str(error), level="critical")
            return
        except BrokerError as error:
            self._log("account_unknown", error=error, age_s=round(self.account_age_s))
            if self.account_age_s > ACCOUNT_STALE_S:
                self._gate.close(ACCOUNT, f"not told for over {ACCOUNT_STALE_S:g} s: {error}")
            return
        self.account, self._account_at = account, self._clock()
        if account.blocked:
            self._gate.close(ACCOUNT, account.blocked, level="critical")
        else:
            self._gate.open(ACCOUNT)
        self._pump.put(Funds(account.buying_power))

    async def _watch_clock(self) -> None:
        while True:
            try:
                self.skew_s = skew_s = await self.terms.read_skew()
            except BrokerError as error:
                self._log("clock_unknown", level="debug", error=error)
            else:
                if abs(skew_s) > SKEW_MOST_S:
                    why = f"this machine's clock is {skew_s:+.1f} s off the broker's: set it right"
                    self._gate.close(CLOCK, why, level="critical")
                else:
                    self._gate.open(CLOCK)
                disagreement = self.terms.disagreement()
                if disagreement:
                    self._gate.close(CALENDAR, disagreement, level="critical")
                else:
                    self._gate.open(CALENDAR)
            await asyncio.sleep(self.terms.clock_every_s)


def standing_clock() -> float:
    """Seconds that also pass while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
