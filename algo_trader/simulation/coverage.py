"""What a campaign must have met, or it has proved nothing: situations, and cells of order states.

A situation is met if the tally says so in one run at least. A cell is a state and a kind of fact
that moved an order on from it, of those that the table of order states allows.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeAlias

from algo_trader.core.orders import TRANSITIONS, PartialFill
from algo_trader.ledger.projection import EVENT_TYPES

Met: TypeAlias = Callable[[Mapping[str, int]], int]


def _all(*names: str) -> Met:
    return lambda tally: min(tally.get(name, 0) for name in names)


def _any(start: str, end: str = "") -> Met:
    return lambda tally: sum(
        count for name, count in tally.items() if name.startswith(start) and name.endswith(end)
    )


SITUATIONS: dict[str, Met] = {
    "a request arrived after nobody waited for it any more": _any("fault: POST", "late"),
    "a request arrived twice": _any("fault: POST", "twice"),
    "an order's name was taken already (422)": _all("seen: the name is taken"),
    "an entry was accepted, and the answer was lost": _all("fault: POST entry no reply"),
    "a stop was accepted, and the answer was lost": _all("fault: POST stop no reply"),
    "a stop was refused": _all("fault: POST stop refused"),
    "a move of a stop was refused": _all("fault: PATCH stop refused"),
    "a fill was told before the answer to its order": _all("cell: submitted partial_fill"),
    "the process died between a fill and its stop": _all("seen: died with bare shares"),
    "the process died three times before it traded again": _all("seen: died thrice at the start"),
    "the process died while reconciling": _all("seen: died while reconciling"),
    "both streams were away with a position open": _all("seen: deaf with a position"),
    "the trade stream was mute": _any("fault: trade frame mute"),
    "a stale answer": _any("fault: GET stale"),
    "the disk failed, and the facts were kept": _all("fault: disk kept"),
    "the disk failed, and the facts were lost": _all("fault: disk lost"),
    "the owner sold shares that had a stop": _all("deed: owner closes a position"),
    "the owner canceled a stop": _all("deed: owner cancels a stop"),
    "the owner moved a stop": _all("deed: owner moves a stop"),
    "a stop went away and nobody was told": _all("deed: a stop is canceled and nobody is told"),
    "an execution was taken back": _all("deed: an execution is taken back"),
    "the operator closed everything": _all("deed: operator closes everything, and resumes"),
    "trading was halted by an operator": _all("deed: operator halts, and resumes"),
    "trading in a symbol was halted": _all("deed: trading in a symbol is halted for a while"),
    "a bar was corrected": _all("fault: bar corrected"),
}


def cells_of(driver: sqlite3.Connection) -> Counter[str]:
    """The cells that a ledger's facts went through."""
    rows = driver.execute(
        "SELECT old_state, event_type, count(*) FROM order_event"
        " WHERE old_state IS NOT NULL AND event_type <> 'discrepancy' GROUP BY 1, 2"
    )
    return Counter({f"{state} {kind}": count for state, kind, count in rows})


def legal_cells() -> set[str]:
    """Every cell of the table of order states, in the words of the ledger."""
    words = {**EVENT_TYPES, PartialFill: "partial_fill"}
    return {f"{state} {words[kind]}" for state, moves in TRANSITIONS.items() for kind in moves}
