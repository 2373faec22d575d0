"""One simulated run that is looked at: its ledger kept, its last lines told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from algo_trader.cli.main import say
from algo_trader.core.errors import ConfigError
from algo_trader.simulation import campaign
from algo_trader.simulation.run import Outcome


def looked_at(
    play: Callable[[], Outcome],
    name: str,
    *,
    crash_at: tuple[int, ...],
    keep: Path | None,
    has_trace: bool,
) -> campaign.Summary:
    """Play it. ConfigError for a place that its ledger cannot be kept at, before anything is
    played, and if it has no such boundary to die at.
    """
    target = None if keep is None else _place(keep, name)
    outcome = play()
    for life, number in enumerate(crash_at, start=1):
        passed = len(outcome.boundaries[life - 1]) if life <= len(outcome.boundaries) else 0
        if passed < number:
            raise ConfigError(
                f"--crash-at: life {life} was to die at boundary {number}, and it has {passed}: "
                "give a lower one"
            )
    if target is not None:
        outcome.file.save(target)
        say(f"wrote {target}")
    if has_trace:
        say("\n".join(outcome.tail))
    return campaign.summary(outcome)


def _place(folder: Path, name: str) -> Path:
    path = folder / f"{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_there = path.exists()
    except OSError as error:
        raise ConfigError(f"--keep {folder}: {error.strerror}: name a folder") from None
    if is_there:
        raise ConfigError(f"--keep {folder}: {path.name} is there already: name another folder")
    return path
