"""Instants the account deals in. Virtual time is float seconds since the epoch, UTC."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from algo_trader.exchange.wire import NEW_YORK, rfc3339

GTC_DAYS = 90
_GTC_SWEEP = time(16, 15)


def rfc3339_or_none(at: float | None) -> str | None:
    """The instant as text, or None for what has not happened."""
    return None if at is None else rfc3339(at)


def activity_stamp(at: float) -> str:
    """New York's local time as the 17 digits that an activity id begins with."""
    local = datetime.fromtimestamp(at, NEW_YORK)
    return local.strftime("%Y%m%d%H%M%S") + f"{local.microsecond // 1000:03d}"


def new_york_date(at: float) -> date:
    """The date in New York."""
    return datetime.fromtimestamp(at, NEW_YORK).date()


def gtc_expiry(created_at: float) -> float:
    """When a GTC order is canceled by the broker: 90 days later at 16:15 in New York."""
    day = new_york_date(created_at) + timedelta(days=GTC_DAYS)
    return datetime.combine(day, _GTC_SWEEP, NEW_YORK).timestamp()
