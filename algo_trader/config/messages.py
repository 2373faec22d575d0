"""What an operator reads when a setting is wrong: one line a problem, naming field and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from algo_trader.config.values import ENV_PREFIX

if TYPE_CHECKING:  # The table of settings costs half a second that not every verb has.
    from algo_trader.config.settings import Setting

LONGEST_SHOWN = 60


def bad_value(setting: Setting, given: str, where: str, reason: str = "") -> str:
    """A value that is not allowed; `reason` says why when the allowed range would not."""
    why = f", {reason}" if reason else ""
    return (
        f"{both_names(setting)} is {quoted(given)} ({where}){why};"
        f" allowed: {setting.allowed}. {setting.meaning}"
    )


def not_ascending(
    lower: Setting, lower_given: str, lower_where: str, upper: Setting, given: str, where: str
) -> str:
    """Two values that must stand in order and do not."""
    return (
        f"{both_names(lower)} is {quoted(lower_given)} ({lower_where}) and must be less than"
        f" {both_names(upper)}, which is {quoted(given)} ({where})"
    )


def unknown(name: str, where: str, known: Iterable[str], what: str = "a setting") -> str:
    """A name that means nothing, with the nearest that does."""
    by_core = {_core(candidate): candidate for candidate in known}
    close = get_close_matches(_core(name), by_core, n=1, cutoff=0.6)
    # Not "see `algo-trader config`": that verb stops at the same error.
    remedy = f"did you mean {by_core[close[0]]}?" if close else ".env.example lists every setting"
    return f"{quoted(name)} ({where}) is not {what}; {remedy}"


def _core(name: str) -> str:
    """What of a name is compared: case is often wrong, and ALGO_ makes all names seem alike."""
    return name.lower().removeprefix(ENV_PREFIX.lower())


def ambiguous(name: str, where: str, candidates: Iterable[str]) -> str:
    """A bare name that could mean several things."""
    return f"{quoted(name)} ({where}) is ambiguous; write one of {', '.join(candidates)}"


def both_names(setting: Setting) -> str:
    """A setting in both spellings."""
    return f"{setting.key} ({setting.env_name})"


def quoted(given: str) -> str:
    """A value as it was given, cut to a length a line can hold."""
    cut = given if len(given) <= LONGEST_SHOWN else given[: LONGEST_SHOWN - 3] + "..."
    return repr(cut)
