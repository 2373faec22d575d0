"""The exchange's books: account, orders, executions, and how far the replay has come.

Owns what lies in the file and that it changes in whole transactions only. A venue in memory says
what is to be written; when a method that writes returns, it is on the disk. After a StorageFailure
nobody knows whether it is, and the books must not be used again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from algo_trader.brokers.embedded.file import connect, told
from algo_trader.core.broker import BrokerOrder, BrokerStatus, Execution
from algo_trader.core.errors import StorageFailure
from algo_trader.core.events import (
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderReplaced,
    OrderRequest,
    Report,
)
from algo_trader.core.types import (
    ZERO,
    Action,
    BrokerOrderId,
    ClientOrderId,
    Instant,
    OrderType,
    Symbol,
    TimeInForce,
    Word,
    text,
    text_or_none,
)
from algo_trader.venue.account import Account
from algo_trader.venue.resting import RestingOrder
from algo_trader.venue.venue import Venue


class Stage(Word):
    """How far the minute that begins at a place's `now` has been played."""

    READY = "ready"
    """Not at all; every minute before it has been, to its end."""
    MATCHED = "matched"
    """The symbol's bar was matched once, and what came of it may still meet it a second time."""
    SETTLED = "settled"
    """The symbol's bar is done with, and so are those of the symbols before it."""
    CLOSED = "closed"
    """There is none: the session that ended at `now` is over."""


class Place(NamedTuple):
    """Where the replay stands. `price_in_bar` is the last price of the match of a MATCHED bar."""

    now: Instant
    stage: Stage
    symbol: Symbol | None = None
    price_in_bar: Decimal = ZERO


class Saved(NamedTuple):
    """What the books hold of an exchange that is opened again.

    `resting` are in order of acceptance, `finished` tells how every other order ended, `pairs` are
    the open members of each OCO group: the take-profit and the stop.
    """

    account_id: str
    fingerprint: str
    place: Place
    account: Account
    resting: list[RestingOrder]
    finished: dict[ClientOrderId, str]
    pairs: list[tuple[ClientOrderId | None, ClientOrderId | None]]


KEPT_TYPES = frozenset(
    {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}
)
KEPT_LIFETIMES = frozenset({TimeInForce.DAY, TimeInForce.GTC})

_MOVE = "UPDATE state SET now = ?, stage = ?, symbol = ?, price_in_bar = ?"
_CASH = "UPDATE state SET cash = ?"
_POSITION = "INSERT INTO position VALUES (?, ?, ?, ?)"
_ACCEPT = (
    "INSERT INTO broker_order (client_order_id, broker_id, symbol, action, type, time_in_force,"
    " qty, limit_price, stop_price, created_at, is_born_in_bar, oco)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_EXECUTE = "INSERT INTO execution VALUES (?, ?, ?, ?, ?, ?, ?)"
_FILL = "UPDATE broker_order SET qty_filled = ?, status = ? WHERE client_order_id = ?"
_END = "UPDATE broker_order SET status = ?, replaced_by = ? WHERE client_order_id = ?"
_SHRINK = "UPDATE broker_order SET qty = ? WHERE client_order_id = ?"
_TRIGGER = "UPDATE broker_order SET is_triggered = 1 WHERE client_order_id = ?"
_ORDER = (
    "SELECT client_order_id, broker_id, symbol, action, qty, status, replaced_by FROM broker_order"
)
_EXECUTIONS = (
    "SELECT at, qty, price, cum_qty, commission, execution_id FROM execution"
    " WHERE client_order_id = ? ORDER BY rowid"
)


def can_keep(request: OrderRequest) -> bool:
    """Whether the file has room for an order of these terms."""
    return request.type in KEPT_TYPES and request.time_in_force in KEPT_LIFETIMES


class Books:
    """One open file. Not for use by more than one thread."""

    def __init__(self, path: Path, driver: sqlite3.Connection) -> None:
        self.path = path
        self._driver = driver
        self._triggered: set[ClientOrderId] = set()

    @classmethod
    def open(cls, path: Path, *, anew: bool = False) -> Books:
        """Open the file, made if it is missing; with `anew` all that it holds is deleted.

        Raises ExchangeLocked, ExchangeRefused and StorageFailure as `file.connect` does.
        """
        return cls(path, connect(path, anew=anew))

    def close(self) -> None:
        """Close the file."""
        self._driver.close()

    # -- writing: each method is one transaction --

    def begin(self, account_id: str, cash: Decimal, fingerprint: str, place: Place) -> None:
        """Open the account in empty books, with its cash in dollars and the bars it trades."""
        row = (account_id, fingerprint, text(cash), text(cash), *_place_row(place))
        with self._transaction() as driver:
            driver.execute("INSERT INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def move(self, place: Place) -> None:
        """The replay has come to this place, and nothing else has changed."""
        with self._transaction() as driver:
            driver.execute(_MOVE, _place_row(place))

    def book(
        self,
        place: Place,
        venue: Venue,
        reports: Sequence[Report],
        requests: Sequence[OrderRequest] = (),
    ) -> None:
        """What `venue` has just reported at this place; `requests` are the orders it accepted."""
        asked = {request.order_id: request for request in requests}
        with self._transaction() as driver:
            driver.execute(_MOVE, _place_row(place))
            for report in reports:
                if isinstance(report, OrderAccepted) and report.order_id in asked:
                    self._accept(report, asked[report.order_id], venue)
                elif isinstance(report, OrderFilled):
                    self._fill(report, is_whole=venue.resting_order(report.order_id) is None)
                    self._shrink(report.order_id, venue)
                elif isinstance(report, OrderCanceled):
                    self._end(report.order_id, BrokerStatus.CANCELED)
                elif isinstance(report, OrderExpired):
                    self._end(report.order_id, BrokerStatus.EXPIRED)
                elif isinstance(report, OrderReplaced):
                    self._end(report.order_id, BrokerStatus.REPLACED, report.replaced_by)
            if any(isinstance(report, OrderFilled) for report in reports):
                self._keep_account(venue.account)
            triggered = self._news_of(venue)
            driver.executemany(_TRIGGER, [(order_id,) for order_id in triggered])
            self._triggered.update(triggered)

    def lacks(self, venue: Venue) -> bool:
        """Whether a bar has done something to an order of `venue` that nothing reports."""
        return bool(self._news_of(venue))

    def _news_of(self, venue: Venue) -> list[ClientOrderId]:
        """The stop-limit orders that were triggered, and are not known here for it."""
        return [
            order.request.order_id
            for resting in venue.resting.values()
            for order in resting
            if order.request.type is OrderType.STOP_LIMIT
            and order.trigger is None
            and order.request.order_id not in self._triggered
        ]

    def _accept(self, report: OrderAccepted, request: OrderRequest, venue: Venue) -> None:
        resting, group = venue.resting_order(report.order_id), venue.group_of(report.order_id)
        is_born_in_bar = resting is not None and resting.is_born_in_bar
        row = (
            request.order_id,
            report.broker_id,
            request.symbol,
            request.action.value,
            request.type.value,
            request.time_in_force.value,
            text(request.qty),
            text_or_none(request.limit_price),
            text_or_none(request.stop_price),
            report.at,
            int(is_born_in_bar),
            None if group is None else group.profit_id,
        )
        self._driver.execute(_ACCEPT, row)

    def _shrink(self, order_id: ClientOrderId, venue: Venue) -> None:
        """A take-profit that was filled in part has left the stop of its group the rest."""
        group = venue.group_of(order_id)
        if group is None or group.stop_id in (None, order_id):
            return
        stop = venue.resting_order(group.stop_id)
        if stop is not None:
            self._driver.execute(_SHRINK, (text(stop.request.qty), group.stop_id))

    def _fill(self, fill: OrderFilled, *, is_whole: bool) -> None:
        status = BrokerStatus.FILLED if is_whole else BrokerStatus.OPEN
        cum_qty = text(fill.cum_qty)
        numbers = (cum_qty, text(fill.qty), text(fill.price), text(fill.commission))
        self._driver.execute(_EXECUTE, (fill.execution_id, fill.order_id, *numbers, fill.at))
        self._driver.execute(_FILL, (cum_qty, status.value, fill.order_id))

    def _end(
        self,
        order_id: ClientOrderId,
        status: BrokerStatus,
        replaced_by: ClientOrderId | None = None,
    ) -> None:
        self._driver.execute(_END, (status.value, replaced_by, order_id))

    def _keep_account(self, account: Account) -> None:
        self._driver.execute(_CASH, (text(account.cash),))
        self._driver.execute("DELETE FROM position")
        rows = [
            (
                symbol,
                text(qty),
                text(account.avg_entry[symbol]),
                text_or_none(account.short_proceeds.get(symbol)),
            )
            for symbol, qty in account.positions.items()
        ]
        self._driver.executemany(_POSITION, rows)

    # -- reading --

    def load(self) -> Saved | None:
        """Everything an exchange needs to go on; None while no account has been opened."""
        rows = self._read(
            "SELECT account, fingerprint, cash, now, stage, symbol, price_in_bar FROM state"
        )
        if not rows:
            return None
        account_id, fingerprint, cash, now, stage, symbol, price_in_bar = rows[0]
        place = Place(now, Stage(stage), symbol, Decimal(price_in_bar))
        ended = self._read(
            "SELECT client_order_id, status FROM broker_order WHERE status <> 'open'"
        )
        return Saved(
            account_id=account_id,
            fingerprint=fingerprint,
            place=place,
            account=self._load_account(Decimal(cash)),
            resting=self._load_resting(place),
            finished={ClientOrderId(order_id): status for order_id, status in ended},
            pairs=self._load_pairs(),
        )

    def orders(self, known: Collection[ClientOrderId]) -> list[BrokerOrder]:
        """Every open order in order of acceptance, then those of `known` that have ended."""
        opened = self._read(f"{_ORDER} WHERE status = 'open' ORDER BY number")
        found = [self._order(row) for row in opened]
        seen = {order.order_id for order in found}
        asked = (self.order(each) for each in dict.fromkeys(known) if each not in seen)
        return found + [order for order in asked if order is not None]

    def order(self, order_id: ClientOrderId) -> BrokerOrder | None:
        """The order of that id, or None if there is none."""
        rows = self._read(f"{_ORDER} WHERE client_order_id = ?", order_id)
        return self._order(rows[0]) if rows else None

    def _order(self, row: tuple[Any, ...]) -> BrokerOrder:
        order_id, broker_id, symbol, action, qty, status, replaced_by = row
        executions = tuple(
            Execution(at, Decimal(qty), Decimal(price), Decimal(cum_qty), Decimal(costs), name)
            for at, qty, price, cum_qty, costs, name in self._read(_EXECUTIONS, order_id)
        )
        return BrokerOrder(
            order_id=ClientOrderId(order_id),
            broker_id=BrokerOrderId(broker_id),
            symbol=symbol,
            action=Action(action),
            qty=Decimal(qty),
            status=BrokerStatus(status),
            executions=executions,
            replaced_by=replaced_by,
        )

    def _load_account(self, cash: Decimal) -> Account:
        account = Account(cash)
        rows = self._read("SELECT symbol, qty, avg_entry_price, short_proceeds FROM position")
        for symbol, qty, avg_entry, short_proceeds in rows:
            account.positions[symbol] = Decimal(qty)
            account.avg_entry[symbol] = Decimal(avg_entry)
            if short_proceeds is not None:
                account.short_proceeds[symbol] = Decimal(short_proceeds)
        return account

    def _load_pairs(self) -> list[tuple[ClientOrderId | None, ClientOrderId | None]]:
        rows = self._read(
            "SELECT oco, client_order_id, type FROM broker_order"
            " WHERE status = 'open' AND oco IS NOT NULL ORDER BY number"
        )
        found: dict[str, dict[bool, ClientOrderId]] = {}
        for name, order_id, kind in rows:
            found.setdefault(name, {})[kind == OrderType.LIMIT] = ClientOrderId(order_id)
        return [(members.get(True), members.get(False)) for members in found.values()]

    def _load_resting(self, place: Place) -> list[RestingOrder]:
        rows = self._read(
            "SELECT client_order_id, broker_id, symbol, action, type, time_in_force, qty,"
            " limit_price, stop_price, created_at, is_born_in_bar, qty_filled, is_triggered"
            " FROM broker_order"
            " WHERE status = 'open' ORDER BY number"
        )
        resting: list[RestingOrder] = []
        for order_id, broker_id, symbol, action, kind, lasts, qty, limit, stop, *rest in rows:
            created_at, was_born_in_bar, qty_filled, is_triggered = rest
            request = OrderRequest(
                ClientOrderId(order_id),
                symbol,
                Action(action),
                OrderType(kind),
                TimeInForce(lasts),
                Decimal(qty),
                None if limit is None else Decimal(limit),
                None if stop is None else Decimal(stop),
            )
            # A bar is over once its second match is: then the mark means nothing any more.
            is_this_bar = place.stage is Stage.MATCHED and created_at == place.now
            order = RestingOrder(
                request,
                BrokerOrderId(broker_id),
                Decimal(qty_filled),
                is_born_in_bar=bool(was_born_in_bar) and is_this_bar and symbol == place.symbol,
            )
            if is_triggered:
                order.trigger = None
            resting.append(order)
        return resting

    def _read(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with told(self.path):
            return self._driver.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block on the disk when it ends; StorageFailure if that is not certain."""
        try:
            self._driver.execute("BEGIN IMMEDIATE")
            yield self._driver
            self._driver.execute("COMMIT")
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") or type(error).__name__
            raise StorageFailure(f"{self.path}: {name}: {error}") from error


def _place_row(place: Place) -> tuple[Instant, str, Symbol | None, str]:
    return (place.now, place.stage.value, place.symbol, text(place.price_in_bar))
