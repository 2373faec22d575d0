"""The setup of a campaign that the tests share with processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from algo_trader.config import load_settings
from algo_trader.simulation.campaign import Setup
from algo_trader.simulation.plan import SYMBOLS, Level

HERE = Path(__file__).parent
ROOM = (
    "risk.max_position_pct=0.2",
    "risk.max_daily_loss_pct=0.1",
    "risk.max_risk_per_trade_pct=0.02",
    "risk.consecutive_loss_pause=10",
)
TELL = "import whole_system, sys; whole_system.tell(sys.argv[1:])"


def setup(level: Level = Level.HEAVY, *, minutes: int = 40, days: int = 2) -> Setup:
    """The built-in strategy with room to trade, as `simulate` has it."""
    overrides = [*ROOM, f"watchlist={','.join(SYMBOLS)}"]
    loaded = load_settings(env_file=Path(os.devnull), environ={}, overrides=overrides)
    return Setup(settings=loaded.settings, level=level, minutes=minutes, days=days)


def tell(seeds: Sequence[str]) -> None:
    """Print the fingerprint of each heavy seed."""
    for seed in seeds:
        sys.stdout.write(setup().play(int(seed)).fingerprint + "\n")


def elsewhere(seeds: Sequence[int], hash_seed: int) -> list[str]:
    """The fingerprints that another process comes to."""
    told = subprocess.run(
        [sys.executable, "-c", TELL, *map(str, seeds)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split()
