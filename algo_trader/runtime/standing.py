"""Where a daemon stands, as the whole document of `status --json`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from algo_trader.core.types import iso, text
from algo_trader.runtime import status
from algo_trader.runtime.lines import MARKET_DATA, TRADE_STREAM
from algo_trader.runtime.status import State

if TYPE_CHECKING:
    from algo_trader.runtime.daemon import Daemon


def document(daemon: Daemon) -> dict[str, Any]:
    """Every part of it; money, prices and quantities are text, unknown is null."""
    engine, parts, remote = daemon.engine, daemon.parts, daemon.remote
    is_halted = engine.book.halted is not None and daemon.state in (State.TRADING, State.IDLE)
    account = daemon.account if remote is None else remote.account
    commits = sorted(daemon.pump.commit_s)
    p99_s = commits[int(len(commits) * 0.99)] if commits else None
    lag_s = None
    if daemon.last_minute_s is not None:
        lag_s = round(asyncio.get_running_loop().time() - daemon.last_minute_s, 1)
    return {
        "state": State.HALTED if is_halted else daemon.state,
        "started_at": daemon.started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "broker": parts.broker_name,
        "account": status.account(account)
        | ({} if remote is None else {"age_s": round(remote.account_age_s, 1)}),
        "market": {
            "now": iso(parts.market.now),
            **status.market(engine.session, parts.market.now),
        },
        "feed": {
            **_line(daemon, MARKET_DATA),
            "last_bar_at": status.moment(daemon.last_bar_at),
            "lag_s": lag_s,
        },
        "trade_stream": _line(daemon, TRADE_STREAM),
        "clock_skew_s": None if remote is None else remote.skew_s,
        "oddities": {} if remote is None else dict(remote.terms.oddities()),
        "entries_closed_because": dict(parts.gate.reasons),
        "strategies": status.strategies(engine.lanes),
        "positions": status.positions(engine),
        "open_orders": status.open_orders(engine),
        "unknown_orders": status.unknown_orders(engine, daemon.pump.in_flight),
        "foreign_orders": status.foreign_orders(daemon.intake.strangers),
        "uncovered_shares": status.uncovered_shares(engine),
        "uncovered_share_seconds": text(daemon.cover.share_seconds),
        "uncovered_longest_s": round(daemon.cover.longest_s, 1),
        "pnl": status.pnl(engine),
        "risk": status.risk(engine),
        "ledger": {
            "facts": daemon.facts,
            "last_fact_at": None
            if daemon.last_fact_at is None
            else daemon.last_fact_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit_p99_ms": None if p99_s is None else round(p99_s * 1000, 2),
        },
    }


def _line(daemon: Daemon, name: str) -> dict[str, Any]:
    """A connection; one inside the process is there while it trades."""
    return daemon.parts.lines.shown(name) or {"connected": daemon.state is State.TRADING}
