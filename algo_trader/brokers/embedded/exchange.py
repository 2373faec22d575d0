"""The exchange: a broker, and the market it trades on, replayed from bars.

Owns the order of what happens in a minute, which is the backtest's: the clock, then each symbol's
bar with its fills and the second match for the stops that answered them, then the bars themselves.
Nothing is told before it is in the books, so a process that comes back finds all it was ever told:
a bar that was matched is not matched again, and a minute that was played is part of the past.

Virtual time is t while minute t trades and t + 60 when its bars are published. It moves only when
the inbox is settled. Everything happens on the event loop's thread, and nothing is awaited between
a call of the venue and its commit; a commit that fails ends the exchange, for nobody knows then
what the file holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from algo_trader.brokers.embedded.books import Books, Place, Saved, Stage, can_keep
from algo_trader.brokers.embedded.errors import ExchangeRefused
from algo_trader.brokers.embedded.reel import Reel
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.commands import Command, placed_by
from algo_trader.core.errors import StorageFailure, Unanswered
from algo_trader.core.events import CancelRefused, OrderRefused, OrderRequest, Report
from algo_trader.core.inputs import Clock, CloseAll, Minute, Reports, SessionOpens
from algo_trader.core.ports import Inbox, PastDay
from algo_trader.core.types import MINUTE, Bar, ClientOrderId, ExitReason, Instant, Session, Symbol
from algo_trader.venue.checks import DUPLICATE_ID, UNPROCESSABLE, Refusal
from algo_trader.venue.costs import Costs
from algo_trader.venue.resting import VenueState
from algo_trader.venue.rules import VenueRules
from algo_trader.venue.venue import Venue

NOT_KEPT = Refusal(
    UNPROCESSABLE,
    "the embedded exchange takes market, limit, stop and stop-limit orders, DAY or GTC",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSetup:
    """What an exchange is opened with.

    `account_id` and `cash` (dollars) are those of an account that is opened; one that is there
    keeps its own. `history` are the days before the traded `period`; a day has one sequence of
    bars, by symbol in code-point order, for every minute of its session. `fingerprint` names the
    bars: an account goes on with those it began with. `latency_s` are the seconds a command is
    under way. `pace` is awaited between a minute and its publication; None waits for nothing. With
    `exit_at_end` every position is to be closed after the last bar.
    """

    account_id: str
    cash: Decimal
    fingerprint: str
    period: Sequence[PastDay]
    history: Sequence[PastDay] = ()
    costs: Costs = field(default_factory=Costs)
    rules: VenueRules = field(default_factory=VenueRules)
    latency_s: float = 0
    pace: Callable[[], Awaitable[None]] | None = None
    exit_at_end: bool = False

    def __post_init__(self) -> None:
        if not self.period:
            raise ExchangeRefused("no session of the bars is to be traded: widen --from and --to")


class EmbeddedExchange:
    """An account at the embedded exchange: core's Broker and Market in one.

    Every method but `now`, `past` and `close` raises StorageFailure once a commit has failed.
    """

    def __init__(self, books: Books, setup: ExchangeSetup) -> None:
        """Go on where the books stop, or open an account in empty ones.

        ExchangeRefused if the account trades other bars, or the period begins elsewhere.
        """
        self._books = books
        self._setup = setup
        self._reel = Reel(setup.history, setup.period)
        self._is_sound = True
        saved = books.load()
        if saved is None:
            start = Place(setup.period[0].session.opens_at, Stage.READY)
            books.begin(setup.account_id, setup.cash, setup.fingerprint, start)
            saved = books.load()
        if saved is None or saved.fingerprint != setup.fingerprint:
            raise ExchangeRefused(
                f"--bars: the account in {books.path} trades other bars than these: name those it "
                "began with, or begin anew with --reset-exchange"
            )
        self._account_id = saved.account_id
        self._place = saved.place
        self._venue = self._restored(saved)

    @classmethod
    def open(cls, path: Path, setup: ExchangeSetup, *, reset: bool = False) -> EmbeddedExchange:
        """Open the exchange whose file is at `path`, made if it is missing.

        With `reset` whatever account the file holds is deleted and a new one opened. Raises
        ExchangeLocked if another process has the file; ExchangeRefused if it is not an exchange's,
        is newer or damaged, or its account cannot go on with this setup; StorageFailure if the
        disk will not.
        """
        books = Books.open(path, anew=reset)
        try:
            return cls(books, setup)
        except BaseException:
            books.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._books.close()

    # -- the broker --

    async def account(self) -> AccountState:
        """The account now; buying power as the venue counts it."""
        self._require_sound()
        venue = self._venue
        return AccountState(self._account_id, venue.account.cash, venue.buying_power)

    async def positions(self) -> Mapping[Symbol, BrokerPosition]:
        """Positions by symbol, none of them zero."""
        self._require_sound()
        account = self._venue.account
        return {
            symbol: BrokerPosition(symbol, qty, account.avg_entry[symbol])
            for symbol, qty in account.positions.items()
        }

    async def orders(self, known: Collection[ClientOrderId]) -> Sequence[BrokerOrder]:
        """Every open order, and those of `known` that were accepted here, open or not."""
        self._require_sound()
        return self._books.orders(known)

    async def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that client_order_id; None if none was accepted: refused ones are not kept.
        """
        self._require_sound()
        return self._books.order(order_id)

    async def execute(self, command: Command) -> Sequence[Report]:
        """Carry out a command; what it changed is durable when the reports are returned.

        Unanswered if an order of that id is here already: a client that sends it again has missed
        the answer, and is to look it up rather than to take the order for refused.
        """
        self._require_sound()
        if self._setup.latency_s:
            await asyncio.sleep(self._setup.latency_s)
            self._require_sound()
        requests = placed_by(command)
        for request in requests:
            if self._venue.knows(request.order_id):
                raise Unanswered(f"{request.order_id}: {DUPLICATE_ID.message}: look the order up")
        if not all(map(can_keep, requests)):
            code, message, _ = NOT_KEPT
            return [
                OrderRefused(at=self._place.now, order_id=each.order_id, code=code, message=message)
                for each in requests
            ]
        with self._wholly():
            reports = self._venue.execute(command, self._place.now)
            if not all(isinstance(report, OrderRefused | CancelRefused) for report in reports):
                self._keep(self._place, reports, requests)
        return reports

    # -- the market --

    @property
    def now(self) -> Instant:
        """Virtual time."""
        return self._place.now

    async def past(self) -> Sequence[PastDay]:
        """The days before the period, and of the period every minute that has been played."""
        return self._reel.past(self._place)

    async def run(self, inbox: Inbox) -> None:
        """Replay the period to its last bar, from where the books stop."""
        first = self._reel.index_of(self._place)
        for index in range(first, len(self._reel.period)):
            await self._play_session(index, inbox)
        if self._setup.exit_at_end:
            inbox.put(CloseAll(ExitReason.END_OF_DATA))
            await inbox.settled()

    # -- inside --

    async def _play_session(self, index: int, inbox: Inbox) -> None:
        reel = self._reel
        session = reel.period[index].session
        if self._place.now <= session.opens_at:  # Once more, if no minute of it was finished.
            if self._place.stage is Stage.CLOSED:
                self._place = Place(session.opens_at, Stage.READY)
            inbox.put(SessionOpens(session))
            await inbox.settled()
        for start in range(self._place.now, reel.ends_at(index), MINUTE):
            await self._play_minute(start, reel.minute_at(index, start), inbox)
        if index < len(reel.period) - 1:
            await self._close_session(session, inbox)

    async def _play_minute(self, start: Instant, bars: Sequence[Bar], inbox: Inbox) -> None:
        inbox.put(Clock(start))
        await inbox.settled()
        venue = self._venue
        for bar in await self._unmatched(bars, inbox):
            if await self._meet(venue.match, bar, Stage.MATCHED, inbox):
                # Once more for the stops that answered these fills, by the entry-bar rule.
                await self._meet(venue.match_entry_bar, bar, Stage.SETTLED, inbox)
        if self._setup.pace is not None:
            await self._setup.pace()  # Before it is played: who stops here loses no decision.
        with self._wholly():
            self._keep(Place(start + MINUTE, Stage.READY))
        inbox.put(Minute(start, bars))
        await inbox.settled()

    async def _unmatched(self, bars: Sequence[Bar], inbox: Inbox) -> Sequence[Bar]:
        """The bars of the minute that were not matched before the process came back."""
        done = self._place.symbol
        if done is None:
            return bars
        if self._place.stage is Stage.MATCHED:
            bar = next(bar for bar in bars if bar.symbol == done)
            await self._meet(self._venue.match_entry_bar, bar, Stage.SETTLED, inbox)
        return [bar for bar in bars if bar.symbol > done]

    async def _meet(
        self,
        match: Callable[[Bar], Sequence[Report]],
        bar: Bar,
        stage: Stage,
        inbox: Inbox,
    ) -> bool:
        """Let a bar meet the orders; whether anything came of it, which is told by then."""
        with self._wholly():
            reports = match(bar)
            if not reports:
                return False
            price = self._venue.price_in_bar
            self._keep(Place(self._place.now, stage, bar.symbol, price), reports)
        inbox.put(Reports(reports))
        await inbox.settled()
        return True

    async def _close_session(self, session: Session, inbox: Inbox) -> None:
        with self._wholly():
            reports = self._venue.end_session(session.closes_at)
            self._keep(Place(session.closes_at, Stage.CLOSED), reports)
        if reports:
            inbox.put(Reports(reports))
            await inbox.settled()

    def _keep(
        self,
        place: Place,
        reports: Sequence[Report] = (),
        requests: Sequence[OrderRequest] = (),
    ) -> None:
        """Make durable where the replay stands and what the venue has just reported."""
        if reports or self._books.lacks(self._venue):
            self._books.book(place, self._venue, reports, requests)
        else:
            self._books.move(place)
        self._place = place

    @contextmanager
    def _wholly(self) -> Iterator[None]:
        """What the block does to the venue and to the books; if it fails, neither is believed."""
        self._require_sound()
        self._is_sound = False
        yield
        self._is_sound = True

    def _require_sound(self) -> None:
        if not self._is_sound:
            raise StorageFailure(
                f"{self._books.path}: the exchange has failed and must be opened again"
            )

    def _restored(self, saved: Saved) -> Venue:
        """A venue in the state of the books, which has seen the bars up to their place."""
        place = saved.place
        venue = Venue(saved.account.cash, self._setup.costs, self._setup.rules)
        state = VenueState(
            account=saved.account,
            resting=saved.resting,
            finished=saved.finished,
            order_count=len(saved.resting) + len(saved.finished),
            last_bar=self._reel.last_bars(place),
            matching=place.symbol if place.stage is Stage.MATCHED else None,
            price_in_bar=place.price_in_bar,
            pairs=saved.pairs,
        )
        venue.restore(state)
        return venue
