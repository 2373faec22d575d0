"""Lines that break: a life of the daemon in which they do, and what must be so all the time.

A position is held, and entries rest at the exchange that never fill by themselves; a test fills one
when it needs it. A line that breaks again and again within seconds is tried for less and less
often, so a life does not have many breaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from judging import OPEN
from matrix import is_covered
from plots import MINUTES, Plot, plot
from prober import BUY
from rehearsal import Life, rehearsing

TRADE, DATA = "trade_stream", "market_data"
FEED = {TRADE: "trade_stream", DATA: "feed"}
"""What `status` calls a line."""
RESTING = Plot({}, dict.fromkeys(range(1, MINUTES), BUY))
"""Wants to buy at every minute, at a price that never comes."""
PLOTS = {"HELD": plot()} | {f"REST{n}": RESTING for n in range(1, 4)}


@contextmanager
def suffering(place: Path) -> Iterator[Life]:
    """A life with a position and resting entries; judged at its end."""
    with rehearsing(place, PLOTS) as life:
        is_covered(life, "HELD")
        yield life
        life.opened()
        entries_only_while_connected(life)
        life.judge(cover_s=8)
        assert life.ended() == 0


def broken(name: str) -> dict[str, Any]:
    """The fault that breaks a line now."""
    return {"do": "close", "stream": "trade" if name == TRADE else "data"}


def line(life: Life, name: str) -> dict[str, Any]:
    """A line as `status` shows it."""
    return dict(life.status().get(FEED[name], {}))


def breaks(life: Life, name: str, *faults: dict[str, Any], patience_s: float = 15) -> None:
    """The faults happen; the line comes back by itself, and entries are possible again."""
    life.opened()
    before = line(life, name)["reconnects"]
    for fault in faults:
        life.exchange.fault(**fault)

    def is_back() -> bool:
        shown = line(life, name)
        return bool(shown.get("connected")) and shown["reconnects"] > before

    life.until(f"{name} back", is_back, patience_s)
    life.opened()


def filled_by_hand(life: Life, symbol: str) -> None:
    """The symbol's resting entry is filled at the exchange."""
    entry = life.until(
        f"an entry of {symbol}",
        lambda: [row for row in life.rows(symbol, "entry") if row["status"] in OPEN],
    )[0]
    life.exchange.fault(
        do="partial_fill", order=entry["client_order_id"], qty=entry["qty"], price="20.01"
    )


def entries_only_while_connected(life: Life) -> None:
    """By the exchange's journal no entry came while one of the lines was not there.

    A tenth of a second is granted in which a loss is noticed.
    """
    open_lines = {"trade": 0, "data": 0}
    gone_at: dict[str, float] = {}
    for entry in life.exchange.journal():
        if entry["kind"] in ("connected", "disconnected"):
            kind = entry["line"].partition("-")[0]
            open_lines[kind] += 1 if entry["kind"] == "connected" else -1
            if open_lines[kind]:
                gone_at.pop(kind, None)
            else:
                gone_at[kind] = entry["real"]
        elif entry["kind"] == "request" and entry["method"] == "POST":
            is_entry = "-entry-" in entry["body"].get("client_order_id", "")
            late = [at for at in gone_at.values() if entry["real"] > at + 0.1]
            assert not (is_entry and late), entry
