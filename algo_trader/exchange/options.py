"""Where it is not known, or differs by age of the API, how Alpaca's accounts behave."""

from __future__ import annotations

from dataclasses import dataclass

from algo_trader.core.types import Word


class Hold(Word):
    """What a desk may keep back from the market."""

    NEW = "new"
    CANCEL = "cancel"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskOptions:
    """`carries_filled_qty`: an order that replaces a partly filled one begins with its
    `filled_qty`, else at 0. `tells_canceled_stops`: the stream tells of a stop that was canceled
    because the take-profit of its group was filled; Alpaca is known not to.
    """

    carries_filled_qty: bool = True
    tells_canceled_stops: bool = False
