"""Days at an exchange that is slow, fills in parts and refuses: by themselves, and killed.

Every life ends by kill -9 at a random moment; some are then brought back for just as long as it
takes to reconcile and end in good order, so that books, ledger and protection can be compared in
the middle of a day too. The last life runs to the end of the bars.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from random import Random

import pytest
from books_oracle import Agreement, agree, nothing_overnight
from living import REPLAY, Home

REFUSES = "ALGO_EMBEDDED__REFUSE_PCT"
ROUGH = {
    "ALGO_EMBEDDED__LATENCY_MS": "20",
    "ALGO_EMBEDDED__PARTIAL_FILL_PCT": "60",
    REFUSES: "30",
}
COSTLY = {"ALGO_COSTS__COMMISSION_PER_SHARE": "0.005", "ALGO_COSTS__REGULATORY_FEES": "true"}
REAL = os.environ.get("ALGO_REAL_DATA")
MOMENTS_S = (0.001, 0.02)
"""Up to which a kill comes after the line that was waited for: one step of the daemon, or many."""
ASKED = ("order_sent", "cancel_sent")
"""Recorded, and on its way to the exchange: what a kill should meet more often than by chance."""


def killed(home: Home, *more: str, chance: Random, lines: int) -> bool:
    """One life that ends by kill -9 after up to so many lines; False if it came to its end."""
    with home.start(*REPLAY, *more) as daemon:
        left, waits_for_order = chance.randint(1, lines), chance.random() < 0.7
        event = ""
        while left > 0 or (waits_for_order and event not in ASKED):
            event, left = daemon.wait_for(None)["event"], left - 1
            if event == "ended":
                return False
        time.sleep(chance.uniform(0, chance.choice(MOMENTS_S)))  # Any moment will do.
        return daemon.kill().code == -signal.SIGKILL


def looked_at(home: Home, *more: str) -> Agreement:
    """One life as short as can be: reconciled, then ended in good order; what is there then."""
    with home.start(*REPLAY, *more) as daemon:
        daemon.wait_for("state", state="trading")
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended()
    assert (ended.code, ended.said) == (0, [])
    home.verified()
    return agree(home.folder, is_rough=REFUSES in home.environ)


def series(home: Home, *more: str, seed: int, kills: int, lines: int, look_every: int) -> int:
    """Kill so often, or until the bars have ended; how often it was."""
    chance = Random(seed)
    for number in range(1, kills + 1):
        if not killed(home, *more, chance=chance, lines=lines):
            return number - 1
        if number % look_every == 0:
            looked_at(home, *more)
    return kills


def test_a_rough_day(home: Home) -> None:
    """Goal: a day of late answers, partial fills and refusals ends with nothing uncovered."""
    home.environ |= ROUGH | COSTLY
    ended = home.replay("--to", "2024-11-27")
    told = {line["event"] for line in ended.log}
    assert told >= {"order_refused", "trade_closed"}
    assert "uncovered_at_shutdown" not in told
    home.verified()
    agreed = agree(home.folder)
    assert agreed.fills > agreed.trades * 2
    assert agreed.positions == {}


def test_killed_again_and_again(home: Home) -> None:
    """Goal: after six deaths in the middle of trading nothing is lost, doubled or unprotected."""
    day = ("--to", "2024-11-27")
    assert series(home, *day, seed=6, kills=6, lines=80, look_every=3) == 6
    home.replay(*day)
    home.verified()
    agreed = agree(home.folder)
    assert agreed.trades > 20
    assert agreed.positions == {}
    nothing_overnight(home.folder)


def killed_fifty_times(home: Home, *more: str, seed: int, lines: int) -> None:
    """A series of fifty, the rest of the bars, and everything compared."""
    assert series(home, *more, seed=seed, kills=50, lines=lines, look_every=5) == 50
    home.replay(*more)
    home.verified()
    assert agree(home.folder).positions == {}
    if REFUSES not in home.environ:  # It may refuse the last close of a session as well.
        nothing_overnight(home.folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rough", [{}, COSTLY, ROUGH | COSTLY], ids=["plain", "costs", "rough"])
def test_killed_fifty_times(home: Home, rough: dict[str, str], seed: int) -> None:
    """Goal: as above, fifty times on one ledger."""
    home.environ |= rough
    killed_fifty_times(home, seed=seed, lines=20)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="ALGO_REAL_DATA names no folder")
@pytest.mark.parametrize("rough", [{}, ROUGH], ids=["plain", "rough"])
@pytest.mark.parametrize("name", ["US23_2019-02-11_15", "AAPL_2024-01_02_alpaca"])
def test_killed_on_real_bars(home: Home, name: str, rough: dict[str, str]) -> None:
    """Goal: as above, on a week of 23 symbols and on months of one."""
    bars = Path(REAL or "") / "bars_1min" / f"{name}.csv.gz"
    home.environ |= rough
    killed_fifty_times(home, "--bars", str(bars), seed=len(rough), lines=300)
