"""Ways in which nothing was done, told apart because what helps against them differs."""

from __future__ import annotations

from algo_trader.core.errors import Unavailable


class NotConnected(Unavailable):
    """No connection was made, so nothing was sent."""


class Throttled(Unavailable):
    """The broker's limit of requests is used up, or ours would be."""
