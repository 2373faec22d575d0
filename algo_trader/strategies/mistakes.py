"""Words for what goes wrong in a user's strategy, and the watch over the decimal context.

A message must come out whatever the user's code does: a value may be endless or refuse to be
shown, and so may an exception.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from decimal import getcontext
from typing import Any

PACKAGE = __file__.removesuffix("strategies/mistakes.py")
"""Where this program's own code lies: its frames are left out of a strategy's traceback."""

OURS = __name__.partition(".")[0] + "."
"""What the names of this program's modules begin with."""

CHANGED_CONTEXT = (
    "changed the decimal context, in which all money is reckoned; change a copy for your own "
    "lines: with localcontext() as context"
)
LONGEST_SHOWN = 200
"""Characters of a user's value in a message."""


def is_stop(error: BaseException) -> bool:
    """Whether this asks the process to end: the operator's request, whatever code it met."""
    if isinstance(error, Exception):
        return False
    return isinstance(error, KeyboardInterrupt) or str(type(error).__module__).startswith(OURS)


def is_whole(value: object) -> bool:
    """Whether this is a whole number and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A user's value in a message."""
    words = _words(repr, value, f"a {type(value).__name__}")
    return words if len(words) <= LONGEST_SHOWN else words[:LONGEST_SHOWN] + "..."


def said(error: BaseException) -> str:
    """The text of a user's error."""
    return _words(str, error, "(it has no text)")


def _words(ask: Callable[[Any], str], value: object, otherwise: str) -> str:
    try:
        return ask(value)
    except BaseException as error:
        if is_stop(error):
            raise
        return otherwise


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where it was raised, without this program's and the import system's frames."""
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((PACKAGE, "<frozen importlib"))
    ]


def own_traceback(error: BaseException) -> str:
    """The traceback as Python would print it, of the user's own frames."""
    frames = traceback.format_list(own_frames(error))
    return "".join([*frames, *traceback.format_exception_only(error)])


class ContextWatch:
    """Remembers the present decimal context, as far as it bears on a result."""

    __slots__ = ("_before", "_clamp", "_largest", "_prec", "_rounding", "_smallest", "_traps")

    def __init__(self) -> None:
        self._before = before = getcontext().copy()  # Kept, for the traps are a view of it.
        self._prec, self._rounding, self._traps = before.prec, before.rounding, before.traps
        self._smallest, self._largest, self._clamp = before.Emin, before.Emax, before.clamp

    def has_changed(self) -> bool:
        """Whether the present context reckons otherwise."""
        now = getcontext()
        return (
            now.prec != self._prec
            or now.rounding != self._rounding
            or now.traps != self._traps
            or now.Emin != self._smallest
            or now.Emax != self._largest
            or now.clamp != self._clamp
        )
