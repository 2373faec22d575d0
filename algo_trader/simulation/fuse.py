"""Where the process dies.

A fuse belongs to one incarnation. It counts boundaries, the moments before and after whatever can
be told from outside: a commit, a request, a frame. All that a process knows dies with it, so two
crashes between the same boundaries leave the same world behind: dying at each boundary is dying at
every await. From the chosen one on nothing that the incarnation does passes a boundary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Counts the boundaries passed; burns at the one of number `burns_at`, None never.

    `tell` is given the name of each boundary, and of the one where it burns with a mark.
    """

    def __init__(
        self, burns_at: int | None = None, tell: Callable[[str], None] = lambda name: None
    ) -> None:
        self.passed: list[str] = []
        self.is_burnt = False
        self.burnt = asyncio.Event()
        self._burns_at = burns_at
        self._tell = tell

    def touch(self, boundary: str) -> None:
        """Pass a boundary, or die."""
        if not self.is_burnt and len(self.passed) != self._burns_at:
            self.passed.append(boundary)
            self._tell(boundary)
            return
        if not self.is_burnt:
            self.burn(boundary)
        raise Crash(boundary)

    def burn(self, why: str) -> None:
        """The process dies now, wherever it is."""
        if not self.is_burnt:
            self._tell(f"*** dies: {why}")
        self.is_burnt = True
        self.burnt.set()
