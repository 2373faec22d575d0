"""One test per row of what can go wrong with the whole account: keys, limits, blocks, its books.

Rows after which all is well again share one life of the daemon; those that end it have their own.
HELD is in position, REST has an entry at the exchange that never fills by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from judging import OPEN
from lines import RESTING, TRADE, broken
from matrix import POST, bare_s, is_covered, only
from plots import plot
from rehearsal import Life, again, rehearsing
from serving import Serving

from algo_trader.exchange.fault_script import rule_of

EVERYTHING = "rest:* /v2/*"
EXIT_REFUSED = 4
PLOTS = {"HELD": plot(), "REST": RESTING, "REST2": RESTING}


@contextmanager
def held(place: Path) -> Iterator[Life]:
    """A life with a position and resting entries."""
    with rehearsing(place, PLOTS) as running:
        is_covered(running, "HELD")
        for symbol in ("REST", "REST2"):
            entry_of(running, symbol)
        yield running


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life of the rows after which all is well again."""
    with held(tmp_path_factory.mktemp("account")) as running:
        yield running
        running.opened()
        running.judge(cover_s=8, but=["HELD"])  # Whose execution was of another price.
        assert running.ended() == 0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Life]:
    """A life of one row."""
    with held(tmp_path) as running:
        yield running


def entry_of(life: Life, symbol: str) -> dict[str, Any]:
    """Wait for an entry at the exchange."""
    found = life.until(
        f"an entry of {symbol}",
        lambda: [row for row in life.rows(symbol, "entry") if row["status"] in OPEN],
    )
    return dict(found[-1])


def entries_sent(life: Life) -> int:
    """Requests for entries so far."""
    return sum(len(life.posts(symbol, "entry")) for symbol in PLOTS)


def at_once(exchange: Serving, *faults: dict[str, Any]) -> None:
    """Carry out several faults with nothing between them."""
    rules = [rule_of(fault, "fault", may_be_now=True) for fault in faults]

    def inject() -> None:
        for rule in rules:
            exchange.exchange.inject(rule)

    exchange.do(inject)


def mended(life: Life) -> None:
    """Take all faults out of force; entries are possible again by themselves."""
    life.exchange.do(life.exchange.exchange.clear_faults)
    life.opened()


def test_account_blocked(life: Life) -> None:
    """Goal: an account that may not trade takes no entries, and says so.

    Method: the account is blocked and, later, free again.
    """
    life.exchange.fault(do="block_account")
    assert life.closed_for("account") == "trading is blocked"
    life.told("entries_closed", cause="account", level="critical")
    life.exchange.fault(do="unblock_account")
    life.opened()


def test_limit_of_requests_used_up_for_long(life: Life) -> None:
    """Goal: 429 for seconds loses nothing, and a fill meanwhile is covered once it is over.

    Method: every request is refused for a while; meanwhile an entry is filled.
    """
    entry = entry_of(life, "REST")
    at_once(
        life.exchange,
        {"on": EVERYTHING, "do": "rate_limited", "times": 0},
        {"do": "partial_fill", "order": entry["client_order_id"], "qty": entry["qty"]},
    )
    life.until("refusals", lambda: len(life.fired("rate_limited")) > 3)
    mended(life)
    is_covered(life, "REST")
    assert bare_s(life, "REST") < 8


def test_pause_the_broker_asks_for(life: Life) -> None:
    """Goal: Retry-After is heeded by all calls: nothing is sent until it is over.

    Method: one look at the clock is answered with 429 and two seconds of pause.
    """
    before = len(life.fired("rate_limited"))
    life.exchange.fault(on="rest:GET /v2/clock", do="rate_limited", retry_after_s=2)
    fired = life.until("429", lambda: life.fired("rate_limited")[before:])[0]["real"]
    after = life.until(
        "the next request",
        lambda: [
            entry
            for entry in life.exchange.journal("request")
            if entry["real"] > fired + 0.1 and "/stocks/" not in entry["path"]
        ],
    )
    assert after[0]["real"] - fired > 1.9


@pytest.mark.parametrize(
    "do", ["unauthorized", pytest.param("forbidden", marks=pytest.mark.slow)]
)
def test_keys_revoked_in_the_session(life: Life, do: str) -> None:
    """Goal: keys that are no longer accepted end entries at once, with an alert.

    Method: every request is answered 401, or 403 without a code; then the keys are good again.
    """
    life.exchange.fault(on=EVERYTHING, do=do, times=0)
    assert "keys" in life.closed_for("account")

    def alerts() -> list[dict[str, Any]]:
        closed = life.log("entries_closed", cause="account", level="critical")
        return [line for line in closed if "does not accept the keys" in line["reason"]]

    life.until("an alert", alerts)
    sent = entries_sent(life)
    minute = life.status()["feed"]["last_bar_at"]
    life.until("another minute", lambda: life.status()["feed"]["last_bar_at"] > minute)
    assert entries_sent(life) == sent
    mended(life)
    assert life.covered("HELD")


def test_execution_of_another_price(life: Life) -> None:
    """Goal: a corrected execution is no other trade; the cash is made to agree.

    Method: the entry's execution is corrected by a cent a share.
    """
    entry = life.rows("HELD", "entry")[0]
    life.exchange.fault(do="correct", order=entry["client_order_id"], price="20.03")
    adjusted = life.told("cash_adjusted")
    assert Decimal(adjusted["amount"]) == Decimal(entry["qty"]) * Decimal("-0.01")
    life.opened()
    is_covered(life, "HELD")
    assert bare_s(life, "HELD") < 1


# -- rows that end a life, or what it was like --


def test_order_of_another_size_for_good(tmp_path: Path) -> None:
    """Goal: an order that the broker has under our id and that is not ours ends new risk.

    Method: every answer about the entry says qty 7: the daemon halts with an alert, and the entry
    is canceled.
    """
    faults = [
        {"on": on, "do": "wrong_echo", "set": {"qty": "7"}, "times": 0}
        for on in (POST, "rest:GET /v2/orders:by_client_order_id", "rest:GET /v2/orders")
    ]
    with rehearsing(tmp_path, {"ECHO": RESTING}, faults=faults, speed=120) as life:
        halted = life.told("halted")
        assert "has qty 7, ours" in halted["reason"]
        assert life.status()["state"] == "halted"
        life.until("no entry", lambda: life.rows("ECHO")[-1]["status"] == "canceled")
        only(life.posts("ECHO"))
        life.exchange.do(life.exchange.exchange.clear_faults)
        assert life.ended() == 0


def test_entry_that_never_gets_to_the_market(tmp_path: Path) -> None:
    """Goal: an entry that hangs at the broker is exposure until its end is proven.

    Method: the entry stays pending beyond its time; its cancel is proven by its status, and no
    other one left meanwhile.
    """
    fault = {"on": POST, "do": "hold_pending", "role": "entry"}
    with rehearsing(tmp_path, {"PENDING": plot(again=3)}, faults=[fault], speed=120) as life:
        life.told("canceled", symbol="PENDING")
        assert only(life.rows("PENDING"))["status"] == "canceled"
        only(life.posts("PENDING"))
        life.judge()
        assert life.ended() == 0


def test_account_wiped(own: Life) -> None:
    """Goal: another account under the same keys is not traded, neither now nor at a new start.

    Method: the paper account is reset, and the books are compared: the daemon ends with a reason.
    The next one does not begin.
    """
    own.exchange.fault(do="wipe_account")
    own.exchange.fault(**broken(TRADE))
    own.daemon.ended().refused(EXIT_REFUSED, "belongs to the broker account PA0TEST")
    with again(own) as daemon:
        daemon.ended().refused(EXIT_REFUSED, "knows the Alpaca account PA0TEST")
    own.verified()


def test_clock_that_is_wrong(tmp_path: Path) -> None:
    """Goal: more than two seconds off the broker's clock no entry is taken.

    Method: the daemon goes by this machine's clock, the exchange is years behind.
    """
    environ = {"ALGO_CLOCK__SOURCE": "system", "ALGO_CLOCK__SPEED": "1"}
    with rehearsing(tmp_path, {"AA": plot()}, environ=environ) as life:
        life.told("state", state="trading")
        assert "set it right" in life.closed_for("clock")
        life.told("entries_closed", cause="clock", level="critical")
        assert abs(life.status()["clock_skew_s"]) > 2
        assert life.ended() == 0


@pytest.mark.slow
def test_execution_taken_back(own: Life) -> None:
    """Goal: a busted execution leaves shares that are not there: nothing is traded on them.

    Method: the entry's execution is taken back; the books are compared, and the daemon halts.
    """
    entry = own.rows("HELD", "entry")[0]
    own.exchange.fault(do="bust", order=entry["client_order_id"])
    own.closed_for("reconcile")
    halted = own.until("halted", lambda: own.log("halted"), patience_s=45)[0]
    assert "the broker holds 0 HELD, our fills make" in halted["reason"]
    assert not own.rows("HELD", "exit")
    assert own.ended() == 0


@pytest.mark.slow
def test_shares_somebody_else_sold(own: Life) -> None:
    """Goal: a position that was sold behind our back is not traded on.

    Method: somebody cancels the stop and sells half in the broker's app; the books are compared.
    """
    stop = own.covered("HELD")
    at_once(
        own.exchange,
        {"do": "manual_cancel", "order": stop["client_order_id"]},
        {"do": "manual_trade", "of": "HELD", "action": "sell", "qty": 31},
        broken(TRADE),
    )
    halted = own.until("halted", lambda: own.log("halted"), patience_s=45)[0]
    assert "the broker holds 31 HELD, our fills make 62" in halted["reason"]
    assert not own.rows("HELD", "exit")
    assert own.ended() == 0
