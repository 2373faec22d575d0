"""Rows that take as long as a request may live: what was never taken, and what never answers.

All of them share one life of the daemon (matrix.py), which takes half a minute and more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from matrix import POST, Matrix, bare_s, is_covered, only
from plots import plot
from rehearsal import COVER_S, Life

pytestmark = pytest.mark.slow
matrix = Matrix()
PROOF_S = 45
"""Real seconds after which "no such order" is believed, and what follows has been done."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life of all rows."""
    with matrix.living(tmp_path_factory.mktemp("patience"), cover_s=PROOF_S) as running:
        yield running


ENTRY, STOP = {"on": POST, "role": "entry"}, {"on": POST, "role": "stop"}


def is_given_up(life: Life, symbol: str) -> None:
    """The entry is given up once it is proven that there is none, and was never sent again."""
    life.until("given up", lambda: life.log("abandoned", symbol=symbol), PROOF_S)
    assert life.log("outcome_unknown", symbol=symbol)
    assert not life.log("order_refused", symbol=symbol)
    assert not life.rows(symbol)
    only(life.posts(symbol))


@matrix.row("NEVER", plot(), {**ENTRY, "do": "drop"})
def test_entry_that_never_arrived(life: Life) -> None:
    """Goal: an entry that was lost on its way is given up when that is proven, not sent again.

    Method: the connection is closed without an answer, and nothing was taken.
    """
    is_given_up(life, "NEVER")


@matrix.row("DOWN", plot(), {**ENTRY, "do": "status", "status": 503})
def test_entry_met_by_503(life: Life) -> None:
    """Goal: a server's error in HTML says nothing about the order.

    Method: the entry is answered with 503 and a page; nothing was taken.
    """
    is_given_up(life, "DOWN")


@matrix.row(
    "TAKEN",
    plot(),
    {
        **ENTRY, "do": "refuse", "status": 422, "code": 40010001,
        "message": "client_order_id must be unique",
    },
)  # fmt: skip
def test_id_that_is_said_to_be_taken(life: Life) -> None:
    """Goal: "client_order_id must be unique" means look it up, and never that it was refused.

    Method: the entry is answered so, although there is no such order.
    """
    is_given_up(life, "TAKEN")


@matrix.row("MUTE", plot(), {**ENTRY, "do": "hang"})
def test_server_that_never_answers(life: Life) -> None:
    """Goal: a server that takes the request and says nothing blocks nobody for ever.

    Method: the entry is never answered nor taken. The other rows go on meanwhile.
    """
    is_given_up(life, "MUTE")


@matrix.row("STOPDOWN", plot(), {**STOP, "do": "status", "status": 503})
def test_stop_met_by_503(life: Life) -> None:
    """Goal: a stop that may not have been taken is sent again under the same id, soon.

    Method: the first stop is answered with 503 and not taken; the second request is taken.
    """
    is_covered(life, "STOPDOWN")
    assert bare_s(life, "STOPDOWN") < COVER_S
    first, second = life.posts("STOPDOWN", "stop")
    assert first == second


@matrix.row("STOPLOST", plot(), {**STOP, "do": "drop"})
def test_stop_that_never_arrived(life: Life) -> None:
    """Goal: a stop that was lost on its way is sent again under the same id, soon.

    Method: the connection is closed without an answer, and nothing was taken.
    """
    is_covered(life, "STOPLOST")
    assert bare_s(life, "STOPLOST") < COVER_S
    first, second = life.posts("STOPLOST", "stop")
    assert first == second


@matrix.row("HANGS", plot(), {**ENTRY, "do": "late_accept", "after_s": 0, "answer": "hang"})
def test_server_that_takes_the_entry_and_never_answers(life: Life) -> None:
    """Goal: the fill of an entry whose request still hangs is covered all the same.

    Method: the entry is taken and filled, its answer never comes; the stream tells of the fill.
    """
    is_covered(life, "HANGS")
    assert bare_s(life, "HANGS") < COVER_S
    only(life.posts("HANGS", "entry"))


@matrix.row("STOPHANG", plot(), {**STOP, "do": "late_accept", "after_s": 0, "answer": "hang"})
def test_server_that_takes_the_stop_and_never_answers(life: Life) -> None:
    """Goal: a stop whose request hangs is not placed a second time.

    Method: the stop is taken, its answer never comes; it is looked up and adopted.
    """
    life.until(
        "adopted", lambda: life.log("order_accepted", symbol="STOPHANG", role="stop"), PROOF_S
    )
    assert bare_s(life, "STOPHANG") < 1
    only(life.posts("STOPHANG", "stop"))
