"""Rows of the fault matrix that share one life of the daemon, each with a symbol of its own.

    matrix = Matrix()

    @matrix.row("LOST", plot(), {"on": POST, "do": "execute_then_drop", "role": "entry"})
    def test_answer_lost(life: Life) -> None: ...

What goes wrong with one symbol leaves the others as they are, so all rows happen at once. At most
20 of them, as many as there may be positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from plots import Plot
from rehearsal import COVER_S, Life, rehearsing

POST, PATCH, DELETE = (
    "rest:POST /v2/orders", "rest:PATCH /v2/orders/*", "rest:DELETE /v2/orders/*",
)  # fmt: skip
EVENT, BAR = "trade_stream:event", "data_stream:bar"
CASH = Decimal(100_000)
Row = Callable[[Life], None]


class Matrix:
    """The rows of one life."""

    def __init__(self) -> None:
        self._plots: dict[str, Plot] = {}
        self._faults: list[dict[str, Any]] = []

    def row(self, symbol: str, plot: Plot, *faults: dict[str, Any]) -> Callable[[Row], Row]:
        """A row: its symbol, how that trades, and what goes wrong with it; of the symbol, unless
        the fault itself says of which, or that it is of none.
        """
        self._plots[symbol] = plot
        self._faults.extend({"symbol": symbol, **fault} for fault in faults)
        return lambda test: test

    @contextmanager
    def living(self, place: Path, *, cover_s: float, but: Iterable[str] = ()) -> Iterator[Life]:
        """The one life; in the end it has to be well, and everything that must always be so is
        judged for all symbols but those somebody else has traded.
        """
        with rehearsing(place, self._plots, faults=self._faults, cash=CASH) as life:
            yield life
            assert life.status()["risk"]["halted_because"] is None
            life.judge(cover_s=cover_s, but=but)
            assert life.ended() == 0


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The one there may be."""
    assert len(rows) == 1, rows
    return rows[0]


def is_covered_in_time(life: Life, symbol: str, seconds: float = COVER_S) -> None:
    """A stop for every share held, and no longer without one than that."""
    is_covered(life, symbol)
    assert bare_s(life, symbol) < seconds


def is_covered(life: Life, symbol: str) -> None:
    """A stop for every share held, and all of the last entry is held."""
    stop = life.covered(symbol)
    assert stop["qty"] == life.rows(symbol, "entry")[-1]["qty"]


def bare_s(life: Life, symbol: str) -> float:
    """The longest real time in which shares of the symbol had no stop at the exchange."""
    return life.bare_s().get(symbol, 0.0)
