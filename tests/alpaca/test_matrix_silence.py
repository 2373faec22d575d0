"""One test per row of what a line may keep back: fills between two connections, a stream that is
silent or refused while things happen.

One life of the daemon suffers one after the other (lines.py); the rows that take their time, by
the daemon's own patience, have one each and are slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lines import DATA, TRADE, breaks, broken, filled_by_hand, line, suffering
from matrix import bare_s, is_covered
from rehearsal import Life


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life that suffers all of it."""
    with suffering(tmp_path_factory.mktemp("lines")) as running:
        yield running


def test_fill_between_two_connections(life: Life) -> None:
    """Goal: what happened between two connections is never told again, so the books are compared.

    Method: an entry is filled after the line broke and before the next one listens.
    """
    life.opened()
    life.exchange.fault(on="trade_stream:event", do="drop_event", event="fill", symbol="REST2")
    filled_by_hand(life, "REST2")
    life.exchange.fault(**broken(TRADE))
    is_covered(life, "REST2")
    assert bare_s(life, "REST2") < 3
    life.opened()


def test_trade_stream_falls_silent(life: Life) -> None:
    """Goal: a trade stream that is connected and mute hides no fill.

    Method: the line sends nothing but pongs; an entry is filled, and found by the sweep.
    """
    life.opened()
    life.exchange.fault(do="mute", stream="trade", for_s=8)
    filled_by_hand(life, "REST3")
    is_covered(life, "REST3")
    assert bare_s(life, "REST3") < 6


def test_trade_stream_unauthorized_and_a_fill_meanwhile(life: Life) -> None:
    """Goal: without its trade stream the daemon opens nothing, and still finds fills and covers.

    Method: the line breaks and the keys are not accepted for a while; an entry is filled then.
    """
    life.exchange.fault(on="trade_stream:auth", do="unauthorized")
    life.exchange.fault(**broken(TRADE))
    life.told("line_refused", line=TRADE)
    assert "keys" in line(life, TRADE)["detail"]
    filled_by_hand(life, "REST1")
    is_covered(life, "REST1")
    assert bare_s(life, "REST1") < 6
    life.opened()


def test_data_stream_falls_silent(life: Life) -> None:
    """Goal: a data stream that is connected and mute is found out over REST, and made anew.

    Method: the line sends nothing but pongs. The bars that it kept back are fetched.
    """
    breaks(life, DATA, {"do": "mute", "stream": "data"}, patience_s=20)
    lost = life.log("line_lost", line=DATA)[-1]
    assert "mute" in lost["reason"]
    assert life.log("gap_filled")


def test_place_of_the_data_stream_is_taken(life: Life) -> None:
    """Goal: the connection limit (406) is a state and an alert, and is tried again.

    Method: the line breaks, and the next connection is refused with 406.
    """
    breaks(
        life,
        DATA,
        {"on": "data_stream:auth", "do": "error", "code": 406},
        broken(DATA),
    )
    assert life.log("line_refused", line=DATA, level="critical")


# -- rows that take their time --


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Life]:
    """A life of one row."""
    with suffering(tmp_path) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("code", [402, 409])
def test_data_stream_refused_for_good(own: Life, code: int) -> None:
    """Goal: keys or a plan that are not accepted are a state and an alert, tried again in a while.

    Method: the line breaks, and the next connection is refused with this code.
    """
    breaks(
        own,
        DATA,
        {"on": "data_stream:auth", "do": "error", "code": code},
        broken(DATA),
        patience_s=40,
    )
    assert f"({code})" in own.log("line_refused", line=DATA)[-1]["reason"]


@pytest.mark.slow
def test_subscription_refused(own: Life) -> None:
    """Goal: an error in answer to the subscription is no subscription.

    Method: the line breaks, and the next subscription is one symbol too many (405).
    """
    breaks(
        own,
        DATA,
        {"on": "data_stream:subscribe", "do": "error", "code": 405},
        broken(DATA),
        patience_s=40,
    )
    assert "(405)" in own.log("line_refused", line=DATA)[-1]["reason"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "on", "do"),
    [
        (DATA, "data_stream:connect", "no_welcome"),
        (DATA, "data_stream:auth", "no_reply"),
        (TRADE, "trade_stream:auth", "no_reply"),
    ],
)
def test_handshake_without_an_answer(own: Life, name: str, on: str, do: str) -> None:
    """Goal: a server that accepts a connection and says nothing is given up on.

    Method: the line breaks, and the next handshake is not answered.
    """
    breaks(own, name, {"on": on, "do": do}, broken(name), patience_s=25)


@pytest.mark.slow
@pytest.mark.parametrize("name", [TRADE, DATA])
def test_pings_without_an_answer(own: Life, name: str) -> None:
    """Goal: a half-open connection is noticed within 20 seconds.

    Method: no ping is answered any more, and nothing is sent.
    """
    silence = broken(name)
    breaks(
        own, name, silence | {"do": "no_pongs"}, silence | {"do": "mute"}, patience_s=25
    )
