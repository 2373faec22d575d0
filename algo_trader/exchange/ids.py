"""Ids that are the same in every run: each is a function of a seed and how many came before."""

from __future__ import annotations

from uuid import UUID, uuid5

_SPACE = UUID("6f1d6b0e-2f3c-5d0b-9a51-0f6f2a7d9c11")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def asset_id(symbol: str) -> str:
    """The id of a stock."""
    return str(uuid5(_SPACE, f"asset {symbol}"))


class Ids:
    """Draws ids: UUIDs, and ULIDs that ascend."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def uuid(self, kind: str) -> str:
        """The next UUID for something of this kind."""
        self._count += 1
        return str(uuid5(_SPACE, f"{self._seed} {kind} {self._count}"))

    def ulid(self, at: float) -> str:
        """The next ULID: 48 bits of milliseconds, then a count."""
        self._count += 1
        number = (int(at * 1000) << 80) + self._count
        return "".join(_CROCKFORD[(number >> 5 * place) & 31] for place in range(25, -1, -1))
