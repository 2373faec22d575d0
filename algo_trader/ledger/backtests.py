"""Finished backtests, kept in backtests.db.

Owns what of a run is stored and how it is listed. The file is not a ledger: several commands may
use it at once, so it has a rollback journal and short locks, and each call opens and closes it. A
run is handed over by its shape (`FinishedRun`), for this room may not import the backtest.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError

from algo_trader.core.pnl import Trade
from algo_trader.core.types import Instant, Symbol, iso, text, text_or_none
from algo_trader.ledger import schema, shape
from algo_trader.ledger.database import application_version, connect, translate
from algo_trader.ledger.errors import LedgerCorrupt, StorageError
from algo_trader.ledger.facts import utc_now
from algo_trader.ledger.migrate import upgrade

CHECKED_WHOLE_BYTES = 16_000_000
"""A larger file is looked at only where a run is added: the check costs a second per 80 MB."""


class Close(Protocol):
    """Equity at a session's close."""

    @property
    def at(self) -> Instant:
        """The close."""
        ...

    @property
    def equity(self) -> Decimal:
        """Dollars."""
        ...


class Curve(Protocol):
    """The equity of a run."""

    @property
    def closes(self) -> Sequence[Close]:
        """One for each session."""
        ...


class Figures(Protocol):
    """The metrics that have a column; None where undefined."""

    @property
    def total_return(self) -> Decimal:
        """A fraction."""
        ...

    @property
    def win_rate(self) -> Decimal | None:
        """A fraction."""
        ...

    @property
    def profit_factor(self) -> Decimal | None:
        """Wins over losses."""
        ...

    @property
    def sharpe_ratio(self) -> Decimal | None:
        """Annual."""
        ...

    @property
    def max_drawdown(self) -> Decimal:
        """Positive dollars."""
        ...

    @property
    def total_trades(self) -> int:
        """How many."""
        ...


class FinishedRun(Protocol):
    """What a BacktestResult is, as far as it is stored."""

    @property
    def strategy(self) -> str:
        """Its name."""
        ...

    @property
    def symbols(self) -> Sequence[Symbol]:
        """All of them."""
        ...

    @property
    def first(self) -> date:
        """First session."""
        ...

    @property
    def last(self) -> date:
        """Last session."""
        ...

    @property
    def capital(self) -> Decimal:
        """Initial cash."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Every effective setting by section, fit for JSON."""
        ...

    @property
    def metrics(self) -> Figures:
        """The figures."""
        ...

    @property
    def trades(self) -> Sequence[Trade]:
        """In order of closing."""
        ...

    @property
    def curve(self) -> Curve:
        """Equity by session."""
        ...


class SavedRun(NamedTuple):
    """A stored run as a list shows it."""

    id: int
    created_at: str
    strategy: str
    symbols: list[Symbol]
    first: date
    last: date
    capital: Decimal
    params: dict[str, Any]
    total_return: Decimal | None
    win_rate: Decimal | None
    profit_factor: Decimal | None
    sharpe_ratio: Decimal | None
    max_drawdown: Decimal | None
    total_trades: int
    equity_curve: list[dict[str, str]]


def prepare(path: Path) -> None:
    """Before a run: the file can take one. Upgrades an older file; writes nothing else.

    A file that is missing or empty is `save`'s to make. LedgerRefused or LedgerLocked if it is not
    ours to write, LedgerCorrupt if it is damaged, StorageError if the disk will not.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    database = connect(
        path, application_id=shape.BACKTESTS_ID, is_exclusive=False, may_be_older=True, check=False
    )
    is_older = application_version(database.driver) < shape.VERSION
    database.close()
    if is_older:
        upgrade(path, shape.BACKTESTS_ID)
    is_small = path.stat().st_size <= CHECKED_WHOLE_BYTES

    def look(connection: Any) -> None:
        found = "ok"
        if is_small:
            found = " ".join(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar().split())
        if found != "ok":
            raise LedgerCorrupt(f"{path} is damaged ({found}): restore a backup")
        for table in (schema.backtest_run, schema.backtest_trade):  # Where a new run will go.
            connection.execute(select(table).order_by(table.c.id.desc()).limit(1)).all()

    _in_transaction(path, look)


def save(path: Path, run: FinishedRun, clock: Callable[[], datetime] = utc_now) -> int:
    """Store a run and its trades in one transaction; the id it got. Creates the file."""
    metrics = run.metrics
    curve = [{"timestamp": iso(at.at), "equity": text(at.equity)} for at in run.curve.closes]
    row = {
        "strategy": run.strategy,
        "symbols": _json(list(run.symbols)),
        "start_date": run.first.isoformat(),
        "end_date": run.last.isoformat(),
        "initial_capital": text(run.capital),
        "params": _json(run.params),
        "total_return": text(metrics.total_return),
        "win_rate": text_or_none(metrics.win_rate),
        "profit_factor": text_or_none(metrics.profit_factor),
        "sharpe_ratio": text_or_none(metrics.sharpe_ratio),
        "max_drawdown": text(metrics.max_drawdown),
        "total_trades": metrics.total_trades,
        "equity_curve": _json(curve),
        "created_at": clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

    def work(connection: Any) -> int:
        done = connection.execute(insert(schema.backtest_run).values(row))
        run_id = int(done.inserted_primary_key[0])
        trades = [{"run_id": run_id, **_trade_row(trade)} for trade in run.trades]
        if trades:
            connection.execute(insert(schema.backtest_trade), trades)
        return run_id

    return int(_in_transaction(path, work))


def runs(path: Path, limit: int | None = None) -> list[SavedRun]:
    """The latest runs, newest first; none if there is no file."""
    if not path.exists():
        return []
    table = schema.backtest_run
    wanted = select(table).order_by(table.c.id.desc()).limit(limit)

    def work(connection: Any) -> list[SavedRun]:
        return [_saved(row) for row in connection.execute(wanted).mappings()]

    found: list[SavedRun] = _in_transaction(path, work)
    return found


def _in_transaction(path: Path, work: Callable[[Any], Any]) -> Any:
    database = connect(
        path,
        application_id=shape.BACKTESTS_ID,
        is_exclusive=False,
        may_create=True,
        check=False,
    )
    try:
        try:
            with database.transaction() as connection:
                return work(connection)
        finally:
            database.close()
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise translate(error.orig, path) from error
        raise StorageError(f"{path}: {error}") from error


def _trade_row(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": trade.side.value,
        "qty": text(trade.qty),
        "entry_price": text(trade.entry_price),
        "exit_price": text(trade.exit_price),
        "entry_at": iso(trade.entry_at),
        "exit_at": iso(trade.exit_at),
        "exit_reason": trade.exit_reason.value,
        "pnl": text(trade.pnl),
        "pnl_pct": text(trade.pnl_pct),
        "commission": text(trade.commission),
        "duration_seconds": trade.duration_s,
    }


def _saved(row: Mapping[str, Any]) -> SavedRun:
    return SavedRun(
        id=row["id"],
        created_at=row["created_at"],
        strategy=row["strategy"],
        symbols=json.loads(row["symbols"]),
        first=date.fromisoformat(row["start_date"]),
        last=date.fromisoformat(row["end_date"]),
        capital=Decimal(row["initial_capital"]),
        params=json.loads(row["params"]),
        total_return=_number(row["total_return"]),
        win_rate=_number(row["win_rate"]),
        profit_factor=_number(row["profit_factor"]),
        sharpe_ratio=_number(row["sharpe_ratio"]),
        max_drawdown=_number(row["max_drawdown"]),
        total_trades=row["total_trades"],
        equity_curve=json.loads(row["equity_curve"]),
    )


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
