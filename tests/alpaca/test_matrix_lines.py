"""One test per row of what can happen to a whole line: it breaks, it is refused, it brings rubbish.

One life of the daemon suffers one after the other (lines.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lines import DATA, TRADE, breaks, broken, line, suffering
from rehearsal import Life


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The life that suffers all of it."""
    with suffering(tmp_path_factory.mktemp("lines")) as running:
        yield running


@pytest.mark.parametrize(
    "how", [{"do": "close", "code": 1011}, {"do": "reset"}], ids=["1011", "RST"]
)
@pytest.mark.parametrize("name", [TRADE, DATA])
def test_line_breaks(life: Life, name: str, how: dict[str, Any]) -> None:
    """Goal: a line that breaks is told, made anew within seconds, and never silently missed.

    Method: the exchange closes the line, or resets its connection.
    """
    breaks(life, name, broken(name) | how, patience_s=5)
    assert life.log("line_lost", line=name)


def test_upgrade_refused(life: Life) -> None:
    """Goal: 429 to a new trade stream is a state and an alert, and is tried again.

    Method: the line breaks and the next connection is refused.
    """
    breaks(
        life,
        TRADE,
        {"on": "trade_stream:connect", "do": "refuse_upgrade", "status": 429},
        broken(TRADE),
    )
    assert life.log("line_refused", line=TRADE, level="critical")


def test_error_in_the_middle_of_the_bars(life: Life) -> None:
    """Goal: an error that comes between bars ends the connection, not the stream.

    Method: the server says that it has an internal error.
    """
    breaks(life, DATA, {"on": "data_stream:bar", "do": "error", "code": 500})


@pytest.mark.parametrize("do", ["malformed_frame", "big_frame"])
def test_frame_between_the_bars_that_is_no_use(life: Life, do: str) -> None:
    """Goal: neither half a frame nor one of more than a mebibyte costs a bar or the line.

    Method: one of them comes with a bar; bars go on over the same connection.
    """
    life.opened()
    before = line(life, DATA)["reconnects"]
    life.exchange.fault(on="data_stream:bar", do=do)
    life.until("the frame", lambda: life.fired(do))
    last = line(life, DATA)["last_bar_at"]
    life.until("more bars", lambda: line(life, DATA)["last_bar_at"] > last)
    assert line(life, DATA)["reconnects"] == before
