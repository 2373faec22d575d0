"""A process that dies anywhere comes back to an exchange that goes on exactly where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from exchange_kit import (
    BUY,
    CASH,
    DAY,
    GTC,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    STOP_LIMIT,
    Crash,
    Tray,
    clock,
    day,
    done,
    dying_books,
    order,
    play,
    random_days,
    setup,
    submit,
    told,
    word,
)

from algo_trader.brokers.embedded import EmbeddedExchange, ExchangeRefused
from algo_trader.brokers.embedded.exchange import ExchangeSetup
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition, BrokerStatus
from algo_trader.core.commands import Cancel, Command, Replace, Submit, placed_by
from algo_trader.core.errors import Unanswered
from algo_trader.core.inputs import Input, Minute, Reports
from algo_trader.core.ports import PastDay
from algo_trader.core.types import MINUTE, Bar, ClientOrderId, Instant, Symbol
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the exchange's file lies."""
    return tmp_path / "exchange.db"


# -- every commit boundary --


class Client:
    """Trades by a seed, records before it acts, and remembers over a crash what it recorded.

    Entries go to symbols without position or order. Every execution of an entry gets a stop of its
    own once the entry's rest is canceled; some minutes move a stop or close a position. An order's
    id is a function of the minute or the execution it answers.
    """

    def __init__(self, seed: int) -> None:
        self.words: list[str] = []
        self.sent: list[ClientOrderId] = []
        self._seed = seed
        self._answered: set[ClientOrderId] = set()
        self._planned: list[Command] = []
        self._seen: set[tuple[Symbol, Instant]] = set()

    async def come_back(self, exchange: EmbeddedExchange) -> None:
        """Look, and finish what was begun before the crash."""
        await self._protect(exchange)
        await self._carry_out(exchange)
        past = await exchange.past()
        if past and past[-1].session.opens_at + MINUTE * len(past[-1].minutes) == exchange.now:
            await self._trade(exchange, past[-1].minutes[-1])

    async def handle(self, exchange: EmbeddedExchange, item: Input) -> None:
        """Answer one input."""
        self.words.append(word(item))
        if isinstance(item, Reports):
            await self._protect(exchange)
        elif isinstance(item, Minute):
            await self._trade(exchange, item.bars)

    async def _protect(self, exchange: EmbeddedExchange) -> None:
        entries = [key for key in self.sent if key.startswith("e-")]
        for entry in await exchange.orders(entries):
            if entry.order_id not in entries:
                continue
            if entry.executions and entry.status is BrokerStatus.OPEN:
                await exchange.execute(Cancel(entry.order_id))
            for fill in entry.executions:
                key = f"s-{entry.order_id}-{fill.cum_qty}"
                away, beyond = (BUY, "0.4") if entry.action is SELL else (SELL, "-0.4")
                price = fill.price + Decimal(beyond)
                stop = order(key, away, STOP, price, fill.qty, lasts=GTC, symbol=entry.symbol)
                await self._send(exchange, Submit(stop))

    async def _trade(self, exchange: EmbeddedExchange, bars: Sequence[Bar]) -> None:
        for bar in bars:
            if (bar.symbol, bar.start) in self._seen:
                continue
            chance = Random(f"{self._seed} {bar.start} {bar.symbol}")
            resting = [o for o in await exchange.orders(()) if o.symbol == bar.symbol]
            held = (await exchange.positions()).get(bar.symbol)
            self._planned = wishes(chance, bar, resting, held)
            self._seen.add((bar.symbol, bar.start))
            await self._carry_out(exchange)

    async def _carry_out(self, exchange: EmbeddedExchange) -> None:
        while self._planned:
            await self._send(exchange, self._planned[0])
            del self._planned[0]

    async def _send(self, exchange: EmbeddedExchange, command: Command) -> None:
        if isinstance(command, Cancel):
            await exchange.execute(command)
            return
        key = placed_by(command)[-1].order_id
        if key in self._answered:
            return
        self.sent.append(key)
        with contextlib.suppress(Unanswered):  # Sent before the crash.
            await exchange.execute(command)
        self._answered.add(key)


def wishes(
    chance: Random, bar: Bar, resting: Sequence[BrokerOrder], held: BrokerPosition | None
) -> list[Command]:
    """What to do about a symbol after its bar."""
    key, symbol = f"{bar.symbol}-{clock(bar.start)}", bar.symbol
    dice, action = chance.random(), chance.choice((BUY, SELL))
    kind, lasts = chance.choice((STOP, LIMIT, STOP_LIMIT)), chance.choice((DAY, GTC))
    step = Decimal("0.05") if (action is BUY) == (kind is not LIMIT) else Decimal("-0.05")
    if held is None:
        if resting or dice < 0.3:
            return []
        price = bar.close + step
        entry = order(f"e-{key}", action, kind, price, lasts=lasts, symbol=symbol)
        if kind is STOP_LIMIT:  # Often triggered without a fill.
            entry = entry._replace(limit_price=price + step * chance.choice((-3, 0, 1)))
        return [Submit(entry)]
    away = SELL if held.qty > 0 else BUY
    if dice < 0.2:
        leave = order(f"x-{key}", away, MARKET, None, abs(held.qty), symbol=symbol)
        return [*(Cancel(each.order_id) for each in resting), Submit(leave)]
    if dice < 0.7 and resting:
        old = resting[0]
        left = old.qty - sum(fill.qty for fill in old.executions)
        price = bar.close + (Decimal("0.2") if away is BUY else Decimal("-0.2"))
        moved = order(f"m-{key}", away, STOP, price, left, lasts=GTC, symbol=symbol)
        return [Replace(old.order_id, moved)]
    return []


class End(NamedTuple):
    """All that a broker knows at the end."""

    account: AccountState
    positions: Mapping[Symbol, BrokerPosition]
    orders: Sequence[BrokerOrder]
    now: Instant


async def live(exchange: EmbeddedExchange, client: Client) -> End:
    """Come back, run to the end, look at everything."""
    await client.come_back(exchange)
    await exchange.run(Tray(lambda item: client.handle(exchange, item)))
    orders = sorted(await exchange.orders(client.sent), key=lambda each: each.broker_id)
    return End(await exchange.account(), await exchange.positions(), orders, exchange.now)


def run_through(path: Path, terms: ExchangeSetup, client: Client, last: int | None) -> End | None:
    """One life of a process that dies after `last` commits; what it saw if it came to the end."""
    books = dying_books(path, last)
    try:
        return done(live(EmbeddedExchange(books, terms), client))
    except Crash:
        return None
    finally:
        books.close()


def wild(seed: int, partial_fill_pct: int) -> ExchangeSetup:
    """Two symbols over two short days, with costs and moods."""
    days = random_days(Random(seed), ("AA", "BB"), days=2, minutes=9)
    rules = VenueRules(partial_fill_pct=partial_fill_pct, refuse_pct=10, seed=seed)
    costs = Costs(commission_per_share=Decimal("0.003"))
    return setup(*days, cash=Decimal(100_000), rules=rules, costs=costs)


@pytest.mark.parametrize(("seed", "partial_fill_pct"), [(6, 0), (2, 60), (3, 100), (4, 30)])
def test_dying_at_every_commit(tmp_path: Path, seed: int, partial_fill_pct: int) -> None:
    """Goal: account, positions, orders, fills and time at the end are those of a run that never
    died, wherever it did. Method: a client by seed; one death after each commit in turn.
    """
    terms = wild(seed, partial_fill_pct)
    books = dying_books(tmp_path / "whole.db")
    wanted = done(live(EmbeddedExchange(books, terms), Client(seed)))
    books.close()
    fills = [fill for each in wanted.orders for fill in each.executions]
    assert len(fills) >= 6
    assert books.commits >= 30
    for last in range(1, books.commits + 1):
        path, client = tmp_path / f"{last}.db", Client(seed)
        assert run_through(path, terms, client, last) is None
        assert run_through(path, terms, client, None) == wanted, f"died after commit {last}"


def test_a_triggered_stop_limit_stays_triggered(path: Path) -> None:
    """Goal: a stop-limit order that a bar has triggered and not filled is a limit order after a
    restart too. Method: the bar jumps over both prices; die at its end; the next bar comes back to
    the limit and stays below the stop.
    """
    terms = setup(day(0, "AA 10 10 10 10", "AA 12 12 12 12", "AA 10.6 10.6 10.3 10.4"))
    entry = order("a", BUY, STOP_LIMIT, "11")._replace(limit_price=Decimal("10.50"))
    books = dying_books(path, last=3)  # The entry and two minutes.
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), {"minute 0:00 1": [Submit(entry)]}))
    books.close()
    exchange = EmbeddedExchange.open(path, terms)
    assert done(play(exchange)).words == ["clock 0:02", "a filled 10@10.5", "minute 0:02 1"]
    exchange.close()


@pytest.mark.parametrize("lives", [1, 3])
def test_dying_again_and_again(tmp_path: Path, lives: int) -> None:
    """Goal: every life gets further, and no bar or minute is told twice.

    Method: a process that dies after each `lives` commits until it reaches the end.
    """
    terms = wild(5, 50)
    wanted = run_through(tmp_path / "whole.db", terms, Client(5), None)
    client = Client(5)
    deaths = 0
    while (found := run_through(tmp_path / "many.db", terms, client, lives)) is None:
        deaths += 1
    assert found == wanted
    assert deaths > 10
    minutes = [each for each in client.words if each.startswith("minute")]
    assert len(minutes) == len(set(minutes))


# -- single places --


def test_a_stop_placed_after_the_crash_meets_its_entrys_bar(path: Path) -> None:
    """Goal: the bar that filled the entry is matched once more also when the process died between,
    for stops sent before the crash and after it; the fills are not told again.

    Method: two entries on one bar; die after the first stop; send the second one on coming back.
    """
    terms = setup(
        day(0, "AA 10 10 10 10; BB 5 5 5 5", "AA 10 11 9 10; BB 5 6 4 6"), cash=Decimal(10_000)
    )
    script = {
        "minute 0:00 2": [
            submit("a", BUY, STOP, "10.50", "4"),
            submit("c", BUY, STOP, "10.60", "6"),
            submit("b", BUY, STOP, "5.50", symbol="BB"),
        ],
        "a filled 4@10.5, c filled 6@10.6": [submit("as", SELL, STOP, "9.50", "4", lasts=GTC)],
    }
    books = dying_books(path, last=6)  # Three entries, a minute, the fills, the stop.
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), script))
    books.close()
    exchange = EmbeddedExchange.open(path, terms)
    assert clock(exchange.now) == "0:01"
    assert [len(each.minutes) for each in asyncio.run(exchange.past())] == [1]
    done(exchange.execute(submit("cs", SELL, STOP, "9.60", "6", lasts=GTC)))
    assert done(play(exchange)).words == [
        "clock 0:01",
        "as filled 4@9.5, cs filled 6@9.6",
        "b filled 10@5.5",
        "minute 0:01 2",
    ]
    exchange.close()


def test_a_stop_of_an_earlier_bar_is_not_born_again(path: Path) -> None:
    """Goal: only stops accepted inside the bar that is being matched meet it twice.

    Method: a stop is born in one bar; the next bar fills an entry, dips below the stop's price
    only on paper (it is matched by the resting rule) and the process dies there.
    """
    terms = setup(day(0, "AA 10 10 10 10", "AA 10 11 10 11", "AA 11 12 10 12", "AA 12 12 12 12"))
    script = {
        "minute 0:00 1": [submit("a", BUY, LIMIT, "10")],
        "a filled 10@10": [submit("as", SELL, LIMIT, "20", lasts=GTC)],
        "minute 0:01 1": [submit("b", BUY, LIMIT, "10")],
    }
    books = dying_books(path, last=7)  # a, minute, fill, as, minute, b, fill of b.
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), script))
    saved = books.load()
    books.close()
    assert saved is not None
    assert saved.place.symbol == "AA"
    assert [(o.request.order_id, o.is_born_in_bar) for o in saved.resting] == [("as", False)]


def test_the_second_match_happens_once(path: Path) -> None:
    """Goal: a stop filled in part by its entry's bar does not meet that bar a third time.

    Method: every fill partial; one life dies after the stop is placed, the next one after the
    second match, the third one plays on.
    """
    terms = setup(
        day(0, "AA 10 10 10 10", "AA 10 11 9 10", "AA 9.20 9.20 9.20 9.20"),
        rules=VenueRules(partial_fill_pct=100),
    )
    script: dict[str, list[Command]] = {
        "minute 0:00 1": [submit("a", BUY, STOP, "10.50", "4")],
        "a filled 2@10.5": [
            Cancel(ClientOrderId("a")),
            submit("s", SELL, STOP, "9.50", "2", lasts=GTC),
        ],
    }
    for last, sends in ((5, script), (1, None)):
        books = dying_books(path, last)
        with pytest.raises(Crash):
            done(play(EmbeddedExchange(books, terms), sends))
        books.close()
    exchange = EmbeddedExchange.open(path, terms)
    assert done(play(exchange)).words == [
        "clock 0:01", "minute 0:01 1", "clock 0:02", "s filled 1@9.2", "minute 0:02 1",
    ]  # fmt: skip
    exchange.close()


@pytest.mark.parametrize(("price", "wanted"), [("10.40", "accepted"), ("10.60", "refused")])
def test_inside_a_bar_the_market_is_still_its_fill(path: Path, price: str, wanted: str) -> None:
    """Goal: a stop sent on coming back into a bar is judged by the price of its fill.

    Method: the bar fills at 10.50 and closes at 11; the venue refuses stops through the market.
    """
    rules = VenueRules(refuse_stops_through_market=True)
    terms = setup(day(0, "AA 10 10 10 10", "AA 10 11 10 11"), rules=rules)
    books = dying_books(path, last=3)
    script = {"minute 0:00 1": [submit("a", BUY, STOP, "10.50")]}
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), script))
    books.close()
    exchange = EmbeddedExchange.open(path, terms)
    assert wanted in told(done(exchange.execute(submit("s", SELL, STOP, price, lasts=GTC))))
    exchange.close()


def test_orders_keep_their_places(path: Path) -> None:
    """Goal: what rests is filled and expires in order of acceptance, and new orders are numbered
    on from the last one. Method: three orders, a restart, one more.
    """
    terms = setup(day(0, "AA 10 10 10 10", "AA 9 9 9 9"), day(1, "AA 10 10 10 10"))
    first = EmbeddedExchange.open(path, terms)
    for key, price in (("c", "9"), ("a", "9"), ("y", "5")):
        done(first.execute(submit(key, BUY, LIMIT, price, "5")))
    done(first.execute(Cancel(ClientOrderId("y"))))
    done(first.execute(submit("z", BUY, LIMIT, "4", "5")))
    first.close()
    again = EmbeddedExchange.open(path, terms)
    assert told(done(again.execute(submit("x", BUY, LIMIT, "3")))) == "x accepted as V-00000005"
    words = done(play(again)).words
    assert words[4] == "c filled 5@9, a filled 5@9"
    assert words[6] == "z expired, x expired"
    again.close()


def test_a_triggered_stop_stays_triggered(path: Path) -> None:
    """Goal: the rest of a stop filled in part sells at the next bar's open, restart or not.

    Method: every fill partial; die after the first half.
    """
    terms = setup(
        day(0, "AA 10 10 10 10", "AA 10 10 9 10", "AA 11 11.5 11 11.2", "AA 12 12 12 12"),
        rules=VenueRules(partial_fill_pct=100),
    )
    script = {
        "minute 0:00 1": [
            submit("a", BUY, MARKET, qty="1"),
            submit("b", BUY, MARKET, qty="1"),
            submit("s", SELL, STOP, "9.50", "2", lasts=GTC),
        ]
    }
    books = dying_books(path, last=5)
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), script))
    books.close()
    exchange = EmbeddedExchange.open(path, terms)
    done(play(exchange))
    stop = done(exchange.order(ClientOrderId("s")))
    assert stop is not None
    assert [(int(fill.qty), str(fill.price)) for fill in stop.executions] == [(1, "9.5"), (1, "11")]
    assert stop.status is BrokerStatus.FILLED
    exchange.close()


@pytest.mark.parametrize(("last", "told_before"), [(1, 0), (2, 3), (3, 5), (4, 6)])
def test_the_session_is_opened_and_ended_once(path: Path, last: int, told_before: int) -> None:
    """Goal: a session opens again only while none of its minutes was finished, and its day orders
    expire once. Method: die after the order, after each minute and after the end of the session.
    """
    terms = setup(day(0, "AA 10 10 10 10", "AA 10 10 10 10"), day(1, "AA 10 10 10 10"))
    whole = [
        "opens 0:00", "clock 0:00", "minute 0:00 1", "clock 0:01", "minute 0:01 1", "x expired",
        "opens 1:00", "clock 1:00", "minute 1:00 1",
    ]  # fmt: skip
    books = dying_books(path, last)
    with pytest.raises(Crash):
        done(play(EmbeddedExchange(books, terms), {"opens 0:00": [submit("x", BUY, STOP, "20")]}))
    books.close()
    exchange = EmbeddedExchange.open(path, terms)
    assert done(play(exchange)).words == whole[told_before:]
    exchange.close()


def test_an_account_keeps_what_it_began_with(path: Path) -> None:
    """Goal: id and cash of the setup are for a new account; `reset` opens one.

    Method: other id and cash on an account that has traded, without and with reset.
    """
    period = day(0, "AA 10 10 10 10", "AA 11 11 11 11")
    first = EmbeddedExchange.open(path, setup(period))
    done(play(first, {"minute 0:00 1": [submit("a", BUY, MARKET)]}))
    first.close()
    other = setup(period, account_id="A-2", cash=Decimal(777))
    again = EmbeddedExchange.open(path, other)
    assert done(again.account()) == AccountState("A-1", CASH - 100, CASH - 100)
    again.close()
    anew = EmbeddedExchange.open(path, other, reset=True)
    assert done(anew.account()) == AccountState("A-2", Decimal(777), Decimal(777))
    assert done(anew.positions()) == {}
    assert done(anew.order(ClientOrderId("a"))) is None
    assert clock(anew.now) == "0:00"
    anew.close()


def test_other_bars_are_refused(path: Path) -> None:
    """Goal: refused by name and with the remedy, and nothing is changed.

    Method: another fingerprint, then the right one again.
    """
    period = day(0, "AA 10 10 10 10")
    EmbeddedExchange.open(path, setup(period)).close()
    with pytest.raises(ExchangeRefused, match=r"--bars.*--reset-exchange"):
        EmbeddedExchange.open(path, setup(period, fingerprint="other"))
    EmbeddedExchange.open(path, setup(period)).close()
    EmbeddedExchange.open(path, setup(period, fingerprint="other"), reset=True).close()


DAYS = [day(number, "AA 10 10 10 10", "AA 10 10 10 10") for number in range(4)]


@pytest.mark.parametrize(
    ("stop_at", "history", "period", "wanted"),
    [
        (3, [], DAYS[:2], ["opens 1:00", "clock 1:00", "minute 1:00 1", "clock 1:01"]),
        (4, DAYS[:1], DAYS[1:2], ["clock 1:01", "minute 1:01 1"]),
        (5, [], DAYS[:2], []),
        (5, [], DAYS[:1], None),
        (5, DAYS[:1], DAYS[1:3], ["opens 2:00", "clock 2:00", "minute 2:00 1"]),
        (6, DAYS[:2], DAYS[2:3], ["opens 2:00", "clock 2:00", "minute 2:00 1"]),
        (6, [], DAYS[:2], []),
        (6, DAYS[:3], DAYS[3:], None),
        (4, DAYS[:2], DAYS[2:], None),
        (0, DAYS[:1], DAYS[1:], None),
        (0, [], DAYS[:1], ["opens 0:00", "clock 0:00", "minute 0:00 1"]),
    ],
)
def test_other_dates(
    path: Path,
    stop_at: int,
    history: list[PastDay],
    period: list[PastDay],
    wanted: list[str] | None,
) -> None:
    """Goal: the dates may change where no session is left out by it, and are refused otherwise.

    Method: die in, before or after a session of three, then open with another period. Commits:
    two minutes and the end of a session.
    """
    if stop_at:
        books = dying_books(path, last=stop_at)
        with pytest.raises(Crash):
            done(play(EmbeddedExchange(books, setup(*DAYS))))
        books.close()
    else:
        EmbeddedExchange.open(path, setup(*DAYS)).close()
    terms = setup(*period, history=history)
    if wanted is None:
        with pytest.raises(ExchangeRefused, match=r"--from, --to.*--reset-exchange"):
            EmbeddedExchange.open(path, terms)
        return
    exchange = EmbeddedExchange.open(path, terms)
    words = done(play(exchange)).words
    assert [each for each in words if "expired" not in each][: len(wanted)] == wanted
    assert bool(words) == bool(wanted)
    exchange.close()
