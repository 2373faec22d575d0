"""What one life leaves to the next: told at the end of the one, and as the other begins."""

from __future__ import annotations

from algo_trader.engine.engine import Engine
from algo_trader.runtime import Log, status


def tell_found(engine: Engine, log: Log) -> None:
    """What the life before has left and this one cannot settle by itself."""
    book = engine.book
    if book.halted is not None:
        remedy = "put it right, then `algo-trader resume`"
        log("still_halted", level="critical", reason=book.halted, remedy=remedy)
    traded = {(lane.name, lane.symbol) for lane in engine.lanes}
    for held in book.in_order():
        if held.qty and (held.strategy, held.symbol) not in traded:
            log(
                "position_not_traded",
                level="warning",
                symbol=held.symbol,
                strategy=held.strategy,
                qty=held.qty,
                note="this run does not manage it: its stop stays, the session's end ends it",
            )


def tell_left(engine: Engine, log: Log) -> None:
    """What this life leaves at the broker: positions, and what should not be."""
    if engine.book.resting:
        log("entries_rest_at_shutdown", level="warning", count=engine.book.resting)
    for held in status.positions(engine):
        log("position_left", **held)
    shares = status.uncovered_shares(engine)
    if shares != "0":
        log("uncovered_at_shutdown", level="critical", shares=shares)
