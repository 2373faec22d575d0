"""The trading REST API: account, orders, positions, assets, clock, calendar and activities."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from algo_trader.core.session import SessionTable
from algo_trader.core.types import Session
from algo_trader.exchange.asking import BAD_PARAMETER, Answer, Ask, Route
from algo_trader.exchange.desk import Desk
from algo_trader.exchange.errors import ApiFault
from algo_trader.exchange.wire import NEW_YORK, in_new_york, rfc3339

NOT_FOUND = 40410000
SESSION_OPEN, SESSION_CLOSE = "0400", "2000"
ACTIVITY_TYPE = re.compile(r"[A-Z]{2,8}")
TIMEFRAMES = ("1min", "5min", "15min", "1h", "1d")


class TradingRoutes:
    """Answers of one account's desk; `tell_asked` is called whenever the clock is asked for."""

    def __init__(
        self, desk: Desk, sessions: SessionTable, tell_asked: Callable[[], None]
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._tell_asked = tell_asked

    def routes(self) -> list[Route]:
        """Every route of the trading host."""
        order, position = "/v2/orders/{order_id}", "/v2/positions/{symbol}"
        return [
            Route("GET", "/v2/account", self._account),
            Route("GET", "/v2/account/configurations", self._configurations),
            Route("GET", "/v2/account/activities", self._activities),
            Route("GET", "/v2/account/activities/{type}", self._activities),
            Route("GET", "/v2/account/portfolio/history", self._portfolio),
            Route("GET", "/v2/clock", self._clock),
            Route("GET", "/v2/calendar", self._calendar),
            Route("GET", "/v2/assets", self._assets),
            Route("GET", "/v2/assets/{symbol}", self._asset),
            Route("POST", "/v2/orders", self._submit),
            Route("GET", "/v2/orders", self._orders),
            Route("DELETE", "/v2/orders", self._cancel_all),
            Route("GET", "/v2/orders:by_client_order_id", self._order_by_client_id),
            Route("GET", order, self._order),
            Route("PATCH", order, self._replace),
            Route("DELETE", order, self._cancel),
            Route("GET", "/v2/positions", self._positions),
            Route("DELETE", "/v2/positions", self._close_all),
            Route("GET", position, self._position),
            Route("DELETE", position, self._close),
        ]

    # -- account --

    def _account(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.account())

    def _configurations(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.configurations())

    def _activities(self, ask: Ask) -> Answer:
        types = [ask.parts["type"]] if "type" in ask.parts else ask.words("activity_types")
        for name in types:
            if not ACTIVITY_TYPE.fullmatch(name):
                raise ApiFault(422, BAD_PARAMETER, f"invalid activity type: {name}")
        rows = self._desk.activities(
            types=types or None,
            after=ask.instant("after"),
            until=ask.instant("until"),
            date=ask.query.get("date") or None,
            direction=ask.choice("direction", "desc", ("asc", "desc")),
            page_size=ask.number("page_size", 100, 1, 100),
            page_token=ask.query.get("page_token") or None,
        )
        return Answer(body=rows)

    def _portfolio(self, ask: Ask) -> Answer:
        timeframe = ask.choice("timeframe", "1D", TIMEFRAMES)
        account = self._desk.account()
        equity, last = float(account["equity"]), float(account.get("last_equity") or 0)
        gain = round(equity - last, 2)
        return Answer(
            body={
                "timestamp": [int(ask.now)],
                "equity": [equity],
                "profit_loss": [gain],
                "profit_loss_pct": [round(gain / last, 6) if last else 0.0],
                "base_value": last,
                "base_value_asof": self._day_of(ask.now).isoformat(),
                "timeframe": timeframe.replace("min", "Min").upper().replace("MIN", "Min"),
                "cashflow": {},
            }
        )

    def _assets(self, ask: Ask) -> Answer:
        status = ask.query.get("status")
        rows = self._desk.assets()
        return Answer(body=[row for row in rows if status in (None, "", row["status"])])

    def _asset(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.asset(ask.parts["symbol"]))

    # -- time --

    def _clock(self, ask: Ask) -> Answer:
        self._tell_asked()
        now = int(ask.now)
        session = self._sessions.at(now)
        following = self._sessions.next_after(now)
        if following is None:
            raise ApiFault(500, None, "the exchange's calendar has ended")
        closes = session if session is not None else following
        return Answer(
            body={
                "timestamp": in_new_york(ask.now),
                "is_open": session is not None,
                "next_open": in_new_york(following.opens_at),
                "next_close": in_new_york(closes.closes_at),
            }
        )

    def _calendar(self, ask: Ask) -> Answer:
        first, last = _day(ask, "start"), _day(ask, "end")
        rows = [
            _calendar_row(session, self._settles(session))
            for session in self._sessions
            if (first is None or session.date >= first) and (last is None or session.date <= last)
        ]
        return Answer(body=rows)

    def _settles(self, session: Session) -> date:
        """The next session: trades settle a business day later."""
        following = self._sessions.next_after(session.opens_at)
        return session.date + timedelta(days=1) if following is None else following.date

    def _day_of(self, now: float) -> date:
        return datetime.fromtimestamp(now, NEW_YORK).date()

    # -- orders --

    def _submit(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.submit(ask.fields(), ask.now))

    def _replace(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.replace(_order_id(ask), ask.fields(), ask.now))

    def _cancel(self, ask: Ask) -> Answer:
        self._desk.cancel(_order_id(ask), ask.now)
        return Answer(status=204)

    def _cancel_all(self, ask: Ask) -> Answer:
        return Answer(status=207, body=self._desk.cancel_all(ask.now))

    def _order(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.order(_order_id(ask), nested=ask.flag("nested")))

    def _order_by_client_id(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.order_by_client_id(ask.query.get("client_order_id", "")))

    def _orders(self, ask: Ask) -> Answer:
        before_id, after_id = ask.query.get("before_order_id"), ask.query.get("after_order_id")
        after, until = ask.instant("after"), ask.instant("until")
        if before_id and after_id:
            raise ApiFault(
                422, BAD_PARAMETER, "before_order_id and after_order_id are mutually exclusive"
            )
        if (before_id or after_id) and (after is not None or until is not None):
            raise ApiFault(422, BAD_PARAMETER, "order ids cannot be combined with after or until")
        rows = self._desk.orders(
            status=ask.choice("status", "open", ("open", "closed", "all")),
            limit=ask.number("limit", 50, 1, 500),
            after=after,
            until=until,
            direction=ask.choice("direction", "desc", ("asc", "desc")),
            nested=ask.flag("nested"),
            symbols=ask.words("symbols") or None,
            side=ask.query.get("side") or None,
            before_order_id=before_id or None,
            after_order_id=after_id or None,
        )
        return Answer(body=rows)

    # -- positions --

    def _positions(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.positions())

    def _position(self, ask: Ask) -> Answer:
        return Answer(body=self._desk.position(ask.parts["symbol"]))

    def _close(self, ask: Ask) -> Answer:
        order = self._desk.close_position(
            ask.parts["symbol"],
            ask.now,
            qty=ask.query.get("qty") or None,
            percentage=ask.query.get("percentage") or None,
        )
        return Answer(body=order)

    def _close_all(self, ask: Ask) -> Answer:
        rows = self._desk.close_all_positions(ask.now, cancel_orders=ask.flag("cancel_orders"))
        return Answer(status=207, body=rows)


def _order_id(ask: Ask) -> str:
    order_id = ask.parts["order_id"]
    try:
        UUID(order_id)
    except ValueError:
        raise ApiFault(422, BAD_PARAMETER, "order_id is missing") from None
    return order_id


def _day(ask: Ask, name: str) -> date | None:
    at = ask.instant(name)
    return None if at is None else datetime.fromisoformat(rfc3339(at)).date()


def _calendar_row(session: Session, settles: date) -> dict[str, Any]:
    opens, closes = (
        datetime.fromtimestamp(at, NEW_YORK) for at in (session.opens_at, session.closes_at)
    )
    return {
        "date": session.date.isoformat(),
        "open": f"{opens:%H:%M}",
        "close": f"{closes:%H:%M}",
        "session_open": SESSION_OPEN,
        "session_close": SESSION_CLOSE,
        "settlement_date": settles.isoformat(),
    }
