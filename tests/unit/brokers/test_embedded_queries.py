"""What an exchange answers about account, positions and orders, before and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from exchange_kit import (
    BUY,
    GTC,
    LIMIT,
    MARKET,
    SELL,
    STOP,
    day,
    done,
    order,
    play,
    setup,
    submit,
    told,
)

from algo_trader.brokers.embedded.exchange import EmbeddedExchange, ExchangeSetup
from algo_trader.core.broker import AccountState, BrokerOrder, BrokerPosition
from algo_trader.core.commands import Cancel, Command, Replace
from algo_trader.core.errors import Unanswered
from algo_trader.core.events import OrderRefused
from algo_trader.core.types import ClientOrderId, OrderType, TimeInForce
from algo_trader.venue.costs import Costs
from algo_trader.venue.rules import VenueRules

COSTS = Costs(slippage_per_share=Decimal("0.50"), commission_per_order=Decimal(1))


class Case(NamedTuple):
    """Commands after each minute, and what is known at the end."""

    commands: list[list[Command]]
    account: str
    positions: dict[str, str]
    orders: list[str]


def shown(each: BrokerOrder) -> str:
    """An order and its executions in a line."""
    fills = ", ".join(f"{e.qty}@{e.price} {e.cum_qty}" for e in each.executions)
    line = f"{each.order_id} {each.broker_id} {each.action} {each.qty} {each.symbol} {each.status}"
    by = f" by {each.replaced_by}" if each.replaced_by else ""
    return f"{line}{by}{': ' if fills else ''}{fills}"


CASES = {
    "nothing": Case([], "10000 10000", {}, []),
    "a long position": Case(
        [[submit("a", BUY, MARKET)], [submit("b", BUY, MARKET, qty="5")]],
        "9838 9838",
        {"AA": "15 10.66666666666666666666666667"},
        ["a V-00000001 buy 10 AA filled: 10@10 10", "b V-00000002 buy 5 AA filled: 5@12 5"],
    ),
    "a part sold": Case(
        [[submit("a", BUY, MARKET)], [submit("b", SELL, MARKET, qty="4")]],
        "9946 9946",
        {"AA": "6 10"},
        ["a V-00000001 buy 10 AA filled: 10@10 10", "b V-00000002 sell 4 AA filled: 4@12 4"],
    ),
    "a short position": Case(
        [[submit("a", SELL, MARKET)], [submit("b", SELL, MARKET)]],
        "10218 9758",
        {"AA": "-20 11"},
        ["a V-00000001 sell 10 AA filled: 10@10 10", "b V-00000002 sell 10 AA filled: 10@12 10"],
    ),
    "all sold": Case(
        [[submit("a", BUY, MARKET)], [submit("b", SELL, MARKET)]],
        "10018 10018",
        {},
        ["a V-00000001 buy 10 AA filled: 10@10 10", "b V-00000002 sell 10 AA filled: 10@12 10"],
    ),
    "every way to end": Case(
        [
            [
                submit("stop", BUY, STOP, "30", lasts=GTC),
                submit("gone", BUY, LIMIT, "5"),
                Cancel(ClientOrderId("gone")),
                submit("old", BUY, LIMIT, "4", symbol="BB"),
                Replace(ClientOrderId("old"), order("new", BUY, LIMIT, "3", symbol="BB")),
                submit("bad", BUY, LIMIT, "3", "0", symbol="BB"),
            ]
        ],
        "10000 9670",
        {},
        [
            "stop V-00000001 buy 10 AA open",
            "gone V-00000002 buy 10 AA canceled",
            "old V-00000003 buy 10 BB replaced by new",
            "new V-00000004 buy 10 BB open",
        ],
    ),
}


def seen(exchange: EmbeddedExchange, case: Case) -> tuple[str, dict[str, str], list[str]]:
    """Account, positions and orders as the case writes them."""
    account = done(exchange.account())
    assert account.account == "A-1"
    positions = done(exchange.positions())
    keys = [ClientOrderId(line.split()[0]) for line in case.orders]
    known = done(exchange.orders([*keys, ClientOrderId("bad"), *keys]))
    assert {each.order_id for each in known} == set(keys)
    for each in known:
        assert done(exchange.order(each.order_id)) == each
    assert [symbol for symbol, each in positions.items() if each.symbol != symbol] == []
    return (
        f"{account.cash} {account.buying_power}",
        {symbol: f"{each.qty} {each.avg_entry_price}" for symbol, each in positions.items()},
        [shown(each) for each in sorted(known, key=lambda each: each.broker_id)],
    )


@pytest.mark.parametrize("name", CASES)
def test_queries(tmp_path: Path, name: str) -> None:
    """Goal: every query tells the truth, and the same after a restart.

    Method: a table by hand: commission 1 an order, slippage cut off by bars of one price.
    """
    case = CASES[name]
    period = day(0, "AA 10 10 10 10; BB 20 20 20 20", "AA 12 12 12 12; BB 18 18 18 18")
    terms = setup(period, costs=COSTS)
    exchange = EmbeddedExchange.open(tmp_path / "x.db", terms)
    script = {
        f"minute 0:0{index} 2": commands for index, commands in enumerate(case.commands)
    }
    done(play(exchange, script))
    wanted = (case.account, case.positions, case.orders)
    assert seen(exchange, case) == wanted
    exchange.close()
    again = EmbeddedExchange.open(tmp_path / "x.db", terms)
    assert seen(again, case) == wanted
    again.close()


def test_open_orders_need_not_be_known(tmp_path: Path) -> None:
    """Goal: every open order is told in order of acceptance, ended ones only when asked for.

    Method: four orders of which two have ended.
    """
    exchange = at_ten(tmp_path)
    for key in ("a", "b", "c", "d"):
        done(exchange.execute(submit(key, BUY, LIMIT, "5")))
    for key in ("a", "c"):
        done(exchange.execute(Cancel(ClientOrderId(key))))
    assert [each.order_id for each in done(exchange.orders(()))] == ["b", "d"]
    known = [ClientOrderId(key) for key in ("d", "c", "never")]
    assert [each.order_id for each in done(exchange.orders(known))] == ["b", "d", "c"]
    assert done(exchange.order(ClientOrderId("never"))) is None
    exchange.close()


def test_executions_of_a_partly_filled_order(tmp_path: Path) -> None:
    """Goal: each execution with its own figures, in order; the order is open until the last.

    Method: every fill partial; look after the first, and at the end.
    """
    rules = VenueRules(partial_fill_pct=100)
    period = day(0, "AA 10 10 10 10", "AA 10 11 10 10", "AA 9 10 8 9", "AA 9 9 9 9")
    costs = Costs(slippage_per_share=Decimal(0), commission_per_share=Decimal("0.01"))
    exchange = EmbeddedExchange.open(tmp_path / "x.db", setup(period, rules=rules, costs=costs))
    done(exchange.execute(submit("a", BUY, LIMIT, "10", "4")))
    done(play(exchange))
    found = done(exchange.order(ClientOrderId("a")))
    assert found is not None
    assert shown(found) == "a V-00000001 buy 4 AA filled: 2@10 2, 1@10 3, 1@9 4"
    assert [str(each.commission) for each in found.executions] == ["0.02", "0.01", "0.01"]
    starts = [period.session.opens_at + 60 * minute for minute in (0, 1, 2)]
    assert [each.at for each in found.executions] == starts
    assert len({each.execution_id for each in found.executions}) == 3
    exchange.close()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[EmbeddedExchange]:
    """An exchange with ten shares at 10 and a stop at 9."""
    exchange = at_ten(tmp_path)
    done(exchange.execute(submit("a", BUY, MARKET)))
    done(exchange.execute(submit("s", SELL, STOP, "9", lasts=GTC)))
    yield exchange
    exchange.close()


def at_ten(folder: Path, **more: Any) -> EmbeddedExchange:
    """An exchange that has played one minute at 10 and has none left."""
    terms: ExchangeSetup = setup(day(0, "AA 10 10 10 10"), **more)
    exchange = EmbeddedExchange.open(folder / "x.db", terms)
    done(play(exchange))
    return exchange


@pytest.mark.parametrize(
    "command",
    [
        submit("a", BUY, MARKET),
        submit("s", SELL, STOP, "9", lasts=GTC),
        submit("a", BUY, MARKET, qty="0"),
        Replace(ClientOrderId("s"), order("a", SELL, STOP, "8", lasts=GTC)),
        Replace(ClientOrderId("a"), order("s", SELL, STOP, "8", lasts=GTC)),
        Replace(ClientOrderId("never"), order("s", SELL, STOP, "8", lasts=GTC)),
    ],
)
def test_an_id_that_is_here_is_never_refused(held: EmbeddedExchange, command: Command) -> None:
    """Goal: what is sent a second time is to be looked up; a refusal would deny an order that
    lives. Method: every command that carries an id the exchange knows, open or not; nothing moves.
    """
    known = [ClientOrderId(key) for key in ("a", "s")]
    before = done(held.orders(known)), done(held.account())
    with pytest.raises(Unanswered, match="client_order_id must be unique"):
        done(held.execute(command))
    assert (done(held.orders(known)), done(held.account())) == before


def test_refusals_are_reports(held: EmbeddedExchange) -> None:
    """Goal: a refusal is an answer and leaves nothing behind.

    Method: refused submit, replace and cancel; the id may be used again.
    """
    assert told(done(held.execute(submit("b", BUY, MARKET, qty="0")))) == "b refused"
    worse = Replace(ClientOrderId("s"), order("b", SELL, STOP, "8", "11", lasts=GTC))
    assert told(done(held.execute(worse))) == "b refused"
    assert told(done(held.execute(Cancel(ClientOrderId("a"))))) == "a cancelrefused"
    assert done(held.order(ClientOrderId("b"))) is None
    better = Replace(ClientOrderId("s"), order("b", SELL, STOP, "8", lasts=GTC))
    assert told(done(held.execute(better))) == "s replaced by b, b accepted as V-00000003"
    assert done(held.positions()) == {"AA": BrokerPosition("AA", Decimal(10), Decimal(10))}
    assert done(held.account()) == AccountState("A-1", Decimal(9900), Decimal(9900))


@pytest.mark.parametrize(
    "command",
    [
        submit("t", BUY, OrderType.TRAILING_STOP),
        submit("t", BUY, LIMIT, "9", lasts=TimeInForce.IOC),
        submit("t", BUY, MARKET, lasts=TimeInForce.FOK),
    ],
)
def test_orders_the_books_have_no_room_for_are_refused(
    held: EmbeddedExchange, command: Command
) -> None:
    """Goal: an order that would be lost by a restart is never accepted, and the exchange goes on.

    Method: each type and lifetime the file does not keep, then one that it does.
    """
    (report,) = done(held.execute(command))
    assert isinstance(report, OrderRefused)
    assert report.message.startswith("the embedded exchange takes market, limit, stop and")
    assert done(held.order(ClientOrderId("t"))) is None
    moved = Replace(ClientOrderId("s"), order("t", SELL, STOP, "8", lasts=GTC))
    assert told(done(held.execute(moved))).startswith("s replaced by t, t accepted")
