"""One test per row of what people do: in the broker's app, and with the daemon's own files.

The rows that concern one symbol each share one life of the daemon, at which a minute takes three
seconds; those that end a life, and begin another one on a ledger that is gone or old, have their
own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judging import OPEN
from matrix import is_covered
from plots import plot
from rehearsal import ACCOUNT, Life, again, rehearsing

from algo_trader.cli.client import ask

SLOW = 20
LATER = 8
"""The minute of the entry where a life is as fast as any: the daemon has that long to be ready."""
PLOTS = {symbol: plot() for symbol in ("TWICE", "PRICE", "SMALLER", "SOLD")}


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life of the rows of one symbol each, every one of them with its position."""
    with rehearsing(tmp_path_factory.mktemp("manual"), PLOTS, speed=SLOW) as running:
        for symbol in PLOTS:
            running.covered(symbol, patience_s=40)
        yield running
        running.judge(cover_s=60, but=PLOTS)
        assert running.ended() == 0


def stop_of(life: Life, symbol: str) -> dict[str, Any]:
    """The symbol's open order at the exchange, whatever its name."""
    (row,) = [row for row in life.rows(symbol) if row["status"] in OPEN]
    return dict(row)


def position(life: Life, symbol: str) -> dict[str, Any]:
    """What `status` says of the symbol's position; empty if there is none."""
    found = life.status().get("positions", ())
    return next((dict(row) for row in found if row["symbol"] == symbol), {})


def test_stop_canceled_twice_by_its_owner(life: Life) -> None:
    """Goal: the first time the stop is placed again, with an alert; the second time within a minute
    it is respected, told, and shown; `resume` has it placed again.

    Method: both stops are canceled by hand.
    """
    first = life.covered("TWICE")
    life.exchange.fault(do="manual_cancel", order=first["client_order_id"])
    life.until("another stop", lambda: life.covered("TWICE")["id"] != first["id"])
    assert "and it is placed again" in life.told("discrepancy", symbol="TWICE")["reason"]
    second = life.covered("TWICE")
    life.exchange.fault(do="manual_cancel", order=second["client_order_id"])
    life.told("stop_declined", symbol="TWICE", level="critical")
    assert position(life, "TWICE")["is_left_bare"]
    assert life.status()["uncovered_shares"] == position(life, "TWICE")["qty"]
    assert "without a working stop" in life.closed_for("uncovered")
    asked = len(life.posts("TWICE", "stop"))
    minute = life.status()["feed"]["last_bar_at"]
    life.until("another minute", lambda: life.status()["feed"]["last_bar_at"] > minute)
    assert len(life.posts("TWICE", "stop")) == asked == 2
    ask(life.home.data, "POST", "/resume", {})
    is_covered(life, "TWICE")
    assert not position(life, "TWICE")["is_left_bare"]


def test_stop_whose_price_its_owner_has_changed(life: Life) -> None:
    """Goal: the price of an edit in the broker's app is the one we want: nothing is sent, nothing
    is bare, no stranger is seen; and the order can still be canceled by us.

    Method: the stop is lowered by hand, and the books are compared.
    """
    stop = life.covered("PRICE")
    life.exchange.fault(
        do="manual_replace", order=stop["client_order_id"], set={"stop_price": "18.5"}
    )
    edited = life.told("stop_edited", symbol="PRICE")
    assert edited["price"] == "18.5"
    asked = len(life.posts("PRICE"))
    life.exchange.fault(do="close", stream="trade")
    life.opened("reconcile")
    assert position(life, "PRICE")["stop_price"] == "18.5"
    assert position(life, "PRICE")["uncovered"] == "0"
    assert len(life.posts("PRICE")) == asked
    assert stop_of(life, "PRICE")["stop_price"] == "18.5"
    assert not [row for row in life.status()["foreign_orders"] if row["symbol"] == "PRICE"]
    assert not life.log("discrepancy", symbol="PRICE")


def test_stop_that_its_owner_has_made_smaller(life: Life) -> None:
    """Goal: every share is covered again, at his price. Method: the stop is cut to ten shares."""
    stop = life.covered("SMALLER")
    life.exchange.fault(
        do="manual_replace",
        order=stop["client_order_id"],
        set={"qty": "10", "stop_price": "18.25"},
    )
    life.told("stop_edited", symbol="SMALLER")
    life.until("whole again", lambda: stop_of(life, "SMALLER")["qty"] == stop["qty"])
    assert stop_of(life, "SMALLER")["stop_price"] == "18.25"


def test_position_its_owner_has_sold(life: Life) -> None:
    """Goal: who cancels the stop twice can sell; the trade is over, no stop opens the opposite, and
    the daemon halts with a reason.

    Method: two cancels, a sale by hand, and a comparison; then `resume`.
    """
    first = life.covered("SOLD")
    life.exchange.fault(do="manual_cancel", order=first["client_order_id"])
    second = life.until(
        "another stop",
        lambda: [r for r in life.rows("SOLD", "stop") if r["status"] in OPEN and r != first],
    )[0]
    life.exchange.fault(do="manual_cancel", order=second["client_order_id"])
    life.told("stop_declined", symbol="SOLD")
    life.exchange.fault(do="manual_trade", of="SOLD", action="sell", qty=int(first["qty"]))
    life.exchange.fault(do="close", stream="trade")
    life.told("shares_gone", symbol="SOLD")
    halted = life.told("halted")
    assert "the broker holds 0 SOLD" in halted["reason"]
    assert not [row for row in life.rows("SOLD") if row["status"] in OPEN]
    assert life.shares("SOLD") == 0
    ask(life.home.data, "POST", "/resume", {})
    life.until("resumed", lambda: life.status()["risk"]["halted_because"] is None)


# -- a ledger that is gone, or old --


def contents(place: Path) -> dict[str, str]:
    """Every file under a folder by its content."""
    return {
        str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }


def foreseen(life: Life) -> dict[str, Any]:
    """The document of `reconcile --dry-run`; nothing was written, and the exchange only asked."""
    files = contents(life.home.data)
    before = len(life.exchange.journal("request"))
    document: dict[str, Any] = life.home.answer("reconcile", "--dry-run")
    assert contents(life.home.data) == files
    requests = life.exchange.journal("request")[before:]
    assert requests
    assert {entry["method"] for entry in requests} == {"GET"}
    return document


def kinds(document: dict[str, Any]) -> list[str]:
    return [record["kind"] for record in document["records"]]


@pytest.mark.parametrize("how", ["restored", pytest.param("deleted", marks=pytest.mark.slow)])
def test_ledger_that_has_forgotten_a_position(tmp_path: Path, how: str) -> None:
    """Goal: a ledger from an old backup, or none, doubles nothing: our own forgotten stop is found
    and left to protect, the daemon halts and says what to do, and when that is done the shares have
    a stop of this life and `resume` leads on. A dry run tells it all before.

    Method: a backup from before the trade; kill -9; dry runs before and after a cancel by hand, and
    on the older ledger; a start, the cancel of the forgotten stop, and a resume.
    """
    old = tmp_path / "old.db"
    with rehearsing(tmp_path, {"HELD": plot(LATER)}) as life:
        life.told("state", state="trading")
        ask(life.home.data, "POST", "/backup", {"path": str(old)})
        stop = life.covered("HELD")
        life.until("quiet", lambda: not life.status().get("unknown_orders", [1]))
        running = life.home.ask("reconcile", "--dry-run")
        running.refused(4, "a daemon (pid ", "algo-trader status")
        life.daemon.kill()

        found = foreseen(life)
        assert (found["agrees"], found["records"], found["commands"]) == (True, [], [])
        if how == "restored":
            assert life.home.ask("restore", str(old)).code == 0
        else:
            shutil.rmtree(life.folder)
        found = foreseen(life)
        assert not found["agrees"]
        assert found["commands"] == []
        assert {"Discrepancy", "Halted", "SharesAdopted"} <= set(kinds(found))

        orders = len(life.rows("HELD"))
        with again(life):
            halted = life.told("halted")
            assert stop["client_order_id"] in halted["reason"]
            assert "cancel them at the broker" in halted["reason"]
            life.told("shares_adopted", symbol="HELD")
            life.told("state", state="trading")
            (foreign,) = life.status()["foreign_orders"]
            assert foreign["order_id"] == stop["client_order_id"]
            assert len(life.rows("HELD")) == orders
            life.exchange.fault(do="manual_cancel", order=stop["client_order_id"])
            mine = life.until(
                "a stop of this life",
                lambda: [row for row in life.rows("HELD", "external") if row["status"] in OPEN],
            )[0]
            assert mine["qty"] == stop["qty"]
            assert mine["client_order_id"].startswith(f"{ACCOUNT}-external-HELD-")
            life.until("none of others", lambda: not life.status()["foreign_orders"])
            ask(life.home.data, "POST", "/resume", {})
            life.opened()
            assert life.status()["risk"]["halted_because"] is None
            assert life.status()["uncovered_shares"] == "0"
            assert life.ended() == 0


def test_dry_run_after_a_stop_was_canceled(tmp_path: Path) -> None:
    """Goal: what a start would record and send is told in words and as JSON, and nothing is done.

    Method: kill -9, the stop is canceled by hand, a dry run; then a start does what was told.
    """
    with rehearsing(tmp_path, {"HELD": plot(LATER)}) as life:
        stop = life.covered("HELD")
        life.told("order_accepted", symbol="HELD", role="stop")
        life.daemon.kill()
        life.exchange.fault(do="manual_cancel", order=stop["client_order_id"])
        found = foreseen(life)
        assert kinds(found) == ["OrderCanceled", "Discrepancy", "OrderIntended", "OrderSubmitting"]
        (command,) = found["commands"]
        assert command["command"] == "submit"
        assert (command["qty"], command["type"]) == (stop["qty"], "stop")
        shown = life.home.ask("reconcile", "--dry-run").out
        assert "would be sent: 1\n  sell " in shown
        assert "would be recorded: 4\n" in shown
        with again(life):
            life.told("state", state="trading")
            assert life.covered("HELD")["client_order_id"] == command["order_id"]
            assert life.ended() == 0
