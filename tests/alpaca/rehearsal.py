"""A daemon as a real process on an exchange in this one, and what can be seen of both from outside.

    with rehearsing(place, {"AA": plot()}, faults=[...]) as life:
        life.covered("AA")

The tape is drawn by the tests: a symbol stands at 20 until its plot says otherwise, and trades when
a bar is marked (prober.py). `life.judge()` holds what the exchange saw against what must always be
so: no order twice, every held share covered in time, and both books the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from judging import (
    OPEN,
    differing_fills,
    entries_sent_again,
    ids_of_two_orders,
    longest_uncovered,
)
from living import PROGRAM, Daemon, Home, until
from plots import DATE, OPENS_AT, Plot, tape
from serving import KEY_ID, SECRET, Serving, serving

from algo_trader.cli.client import ask
from algo_trader.runtime.errors import DaemonFailed, NoAnswer, NoDaemon

PROBER = f"{Path(__file__).with_name('prober.py')}:Prober"
ACCOUNT = "PA0TEST"
SPEED = 60
LEAD_S = 2.0
"""Real seconds from the daemon's first look at the clock to the open, if it is there by then."""
COVER_S = 5.0
"""Real seconds within which shares have their stop at the exchange, or are sold."""
PATIENCE_S = 20.0


class Life:
    """A daemon and the exchange that it trades at."""

    def __init__(
        self, exchange: Serving, home: Home, daemon: Daemon, options: tuple[str, ...] = ()
    ) -> None:
        self.exchange = exchange
        self.home = home
        self.daemon = daemon
        self.options = options
        self.folder = home.data / f"alpaca-{ACCOUNT}"

    # -- what the daemon says --

    def status(self) -> dict[str, Any]:
        """The document of `status`; empty while nobody answers."""
        return status_of(self.home)

    def ledger(self, kind: str, symbol: str | None = None) -> list[dict[str, Any]]:
        """Rows of the running daemon's ledger: orders, trades or positions."""
        try:
            rows: list[dict[str, Any]] = ask(self.home.data, "POST", f"/{kind}", {})[kind]
        except (NoDaemon, NoAnswer, DaemonFailed):
            return []
        return [row for row in rows if symbol in (None, row["symbol"])]

    def log(self, event: str | None = None, **fields: object) -> list[dict[str, Any]]:
        """Lines of the log so far, of that event and with those fields."""
        return [
            line
            for line in self.daemon.lines
            if event in (None, line["event"]) and fields.items() <= line.items()
        ]

    def told(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for such a line."""
        found = self.until(f"{event} {fields}", lambda: self.log(event, **fields))
        return dict(found[0])

    def until(self, what: str, holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """The first true answer of `holds`; a daemon that has ended ends the waiting."""

        def seen() -> Any:
            found = holds()
            if not found and not self.daemon.is_alive:
                pytest.fail(f"{what}: the daemon has ended: {self.daemon.lines[-5:]}")
            return found

        try:
            return until(what, seen, patience_s)
        except pytest.fail.Exception as failure:
            lines = "\n".join(map(str, self.log()[-15:]))
            pytest.fail(f"{failure}\n{lines}\n{self.status().get('entries_closed_because')}")

    def closed_for(self, cause: str) -> str:
        """Wait until entries are closed for a cause; its text."""
        return str(
            self.until(
                f"entries closed for {cause}",
                lambda: self.status().get("entries_closed_because", {}).get(cause),
            )
        )

    def opened(self, *causes: str) -> None:
        """Wait until entries are possible, or none of these causes stands in their way."""

        def is_open() -> bool:
            reasons = self.status().get("entries_closed_because")
            return reasons is not None and not (set(reasons) & set(causes) if causes else reasons)

        self.until(f"entries possible again {causes}", is_open)

    # -- what the exchange says --

    def rows(self, symbol: str, role: str = "") -> list[dict[str, Any]]:
        """The symbol's orders at the exchange, the oldest first, by role if one is given."""
        desk = self.exchange.exchange._desk
        found = self.exchange.do(
            lambda: desk.orders(status="all", limit=500, direction="asc", symbols=[symbol])
        )
        return [row for row in found if f"-{role}" in row["client_order_id"]]

    def shares(self, symbol: str) -> Decimal:
        """Shares held at the exchange, signed."""
        rows = self.exchange.do(self.exchange.exchange._desk.positions)
        return next((Decimal(row["qty"]) for row in rows if row["symbol"] == symbol), Decimal(0))

    def posts(self, symbol: str, role: str = "") -> list[dict[str, Any]]:
        """The bodies of the requests for new orders that came, whatever became of them."""
        return [
            entry["body"]
            for entry in self.exchange.journal("request")
            if (entry["method"], entry["path"]) == ("POST", "/v2/orders")
            and entry["body"]["symbol"] == symbol
            and f"-{role}" in entry["body"].get("client_order_id", "")
        ]

    def fired(self, do: str, **about: object) -> list[dict[str, Any]]:
        """The occurrences of a fault."""
        return [
            entry
            for entry in self.exchange.journal("fault")
            if entry["do"] == do and about.items() <= entry["about"].items()
        ]

    # -- what happens to a symbol --

    def covered(self, symbol: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until shares are held and a stop at the exchange is for all of them; the stop."""

        def stop() -> dict[str, Any] | None:
            held = self.shares(symbol)
            open_rows = [row for row in self.rows(symbol, "stop") if row["status"] in OPEN]
            if held > 0 and len(open_rows) == 1 and Decimal(open_rows[0]["qty"]) == held:
                return open_rows[0]
            return None

        try:
            return dict(self.until(f"{symbol} covered", stop, patience_s))
        except pytest.fail.Exception:
            rows = self.rows(symbol)
            shown = [(row["client_order_id"], row["status"], row["qty"]) for row in rows]
            pytest.fail(f"{symbol}: {self.shares(symbol)} shares, orders {shown}")

    def sold(self, symbol: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until the ledger has a trade of the symbol, and the exchange no shares; the trade.
        """

        def trade() -> dict[str, Any] | None:
            trades = self.ledger("trades", symbol)
            return trades[-1] if trades and not self.shares(symbol) else None

        return dict(self.until(f"{symbol} sold", trade, patience_s))

    def known(self, symbol: str) -> None:
        """Wait until the daemon holds what the exchange holds."""

        def agrees() -> bool:
            held = self.ledger("positions", symbol)
            ours = sum((Decimal(row["qty"]) for row in held), start=Decimal(0))
            return ours == self.shares(symbol)

        self.until(f"{symbol} known", agrees)

    # -- what must always be so --

    def judge(self, *, cover_s: float = COVER_S, but: Iterable[str] = ()) -> None:
        """The invariants so far; `but` are symbols somebody else traded too."""
        others = frozenset(but)
        assert ids_of_two_orders(self.exchange.journal("update")) == set()
        assert entries_sent_again(self.exchange.journal()) == set()
        exposed = self.bare_s(others)
        assert all(seconds <= cover_s for seconds in exposed.values()), exposed
        rows = self.exchange.exchange._desk.orders

        def differences() -> list[str]:
            theirs = self.exchange.do(lambda: rows(status="all", limit=500))
            return differing_fills(self.ledger("orders"), theirs, f"{ACCOUNT}-", others)

        until(f"the same fills in both books {differences()}", lambda: not differences())

    def bare_s(self, others: frozenset[str] = frozenset()) -> dict[str, float]:
        """By symbol, the longest real time in which shares had no stop at the exchange."""
        return longest_uncovered(self.exchange.journal("update"), time.time(), others)

    def ended(self) -> int:
        """Stop it as an operator does; its exit code, once its ledger is proven."""
        with suppress(NoDaemon, NoAnswer):
            ask(self.home.data, "POST", "/stop", {})
        ended = self.daemon.ended()
        self.verified()
        return int(ended.code)

    def verified(self) -> None:
        """What `verify` says of the ledger."""
        answer = self.home.answer("verify")
        assert answer["ok"], answer
        assert answer["facts"]


def status_of(home: Home) -> dict[str, Any]:
    """The document of `status` of the daemon that runs there; empty while nobody answers."""
    with suppress(NoDaemon, NoAnswer):
        return ask(home.data, "GET", "/status")
    return {}


def environment(exchange: Serving, symbols: Iterable[str], speed: int) -> dict[str, str]:
    """The settings of a daemon on this exchange."""
    urls = exchange.urls
    return {
        "ALGO_BROKER__PROVIDER": "alpaca",
        "ALGO_BROKER__TRADING_URL": urls.trading,
        "ALGO_BROKER__DATA_URL": urls.data,
        "ALGO_BROKER__TRADE_STREAM_URL": urls.trade_stream,
        "ALGO_BROKER__DATA_STREAM_URL": urls.data_stream,
        "ALGO_BROKER_API_KEY": KEY_ID,
        "ALGO_BROKER_SECRET_KEY": SECRET,
        "ALGO_CLOCK__SOURCE": "broker",
        "ALGO_CLOCK__SPEED": str(speed),
        "ALGO_WATCHLIST": ",".join(symbols),
        "ALGO_RISK__MAX_OPEN_POSITIONS": "20",
        "ALGO_RISK__CONSECUTIVE_LOSS_PAUSE": "10",
        "ALGO_RISK__MAX_DAILY_LOSS_PCT": "0.1",
        "ALGO_LOG__LEVEL": "debug",
    }


@contextmanager
def rehearsing(
    place: Path,
    plots: Mapping[str, Plot],
    *,
    faults: Iterable[Mapping[str, Any]] = (),
    speed: int = SPEED,
    environ: Mapping[str, str] | None = None,
    keys_in: Path | None = None,
    **terms: Any,
) -> Iterator[Life]:
    """A daemon that trades the plots, from before their session's open.

    Virtual time waits for it. Its keys are in the environment, or in the file `keys_in`. What is
    left of it at the end is killed.
    """
    with serving(
        tape(plots),
        first=DATE,
        speed=speed,
        faults=faults,
        rate=terms.pop("rate", 0),
        waits_for_clients=True,
        **terms,
    ) as exchange:
        exchange.step_to(OPENS_AT - LEAD_S * speed)
        settings = {**environment(exchange, plots, speed), **(environ or {})}
        options: tuple[str, ...] = ()
        if keys_in is not None:
            options = ("--env-file", str(keys_in))
            settings = {name: settings[name] for name in settings if not name.endswith("_KEY")}
        home = Home(place / "data", settings)
        with home.start(*options, "start", "--strategy", PROBER) as daemon:
            yield Life(exchange, home, daemon, options)


def again(life: Life) -> Daemon:
    """Another life of the daemon at the same exchange; the one before has ended."""
    life.daemon = life.home.start(*life.options, "start", "--strategy", PROBER)
    return life.daemon


def exchange_process(place: Path, *arguments: str) -> tuple[Daemon, Path]:
    """`algo-trader exchange serve` as a process; the file of settings that it writes."""
    file = place / "exchange.env"
    own = {name: value for name, value in os.environ.items() if not name.startswith("ALGO_")}
    command = [PROGRAM, "exchange", "serve", "--env-file", str(file), *arguments]
    return Daemon(command, place, own), file


def journal_of(file: Path) -> list[dict[str, Any]]:
    """The entries of a journal's file."""
    return [json.loads(line) for line in file.read_text().splitlines()]
