"""What became of a command: the broker's answer, or what its absence is evidence of.

Silence is never a refusal. Only what certainly did not leave is given up at once, to be placed anew
if it is still wanted; everything else without an answer is unknown and looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from algo_trader.core import commands as cmd
from algo_trader.core import events as ev
from algo_trader.core.errors import AlgoTraderError, BrokerError, Unavailable
from algo_trader.core.ports import Broker
from algo_trader.core.types import Instant
from algo_trader.engine.engine import Engine
from algo_trader.runtime.lookups import Lookups
from algo_trader.runtime.weighing import weighed


async def carried_out(
    engine: Engine, broker: Broker, lookups: Lookups, command: cmd.Command, timeout_s: float
) -> Sequence[ev.Report]:
    """Send the command and report what came of it; no answer within `timeout_s` is none.

    Raises nothing but errors of our own: storage, or a broken invariant.
    """
    now = engine.now
    try:
        async with asyncio.timeout(timeout_s):
            reports = await broker.execute(command)
            return await weighed(broker, engine.book, lookups, reports, now)
    except Unavailable as error:
        return _not_sent(engine, command, str(error))
    except TimeoutError:
        return _unanswered(command, now, f"no answer within {timeout_s:g} s")
    except BrokerError as error:
        return _unanswered(command, now, str(error))
    except AlgoTraderError:
        raise  # Storage or a broken invariant of our own: no word about the order.
    except Exception as error:  # noqa: BLE001 - after a send, any other error is silence.
        return _unanswered(command, now, f"{type(error).__name__}: {error}")


def _not_sent(engine: Engine, command: cmd.Command, detail: str) -> Sequence[ev.Report]:
    """Nothing left: the order is given up, and what is still wanted is placed anew. Unless it had
    left before: that one may have arrived.
    """
    now = engine.now
    orders = [engine.book.order(each.order_id) for each in cmd.placed_by(command)]
    if not orders or any(order.sends > 1 or order.is_unknown for order in orders):
        return _unanswered(command, now, detail)
    reason = f"not sent: {detail}"
    return [ev.OrderAbandoned(at=now, order_id=o.order_id, reason=reason) for o in orders]


def _unanswered(command: cmd.Command, now: Instant, detail: str) -> Sequence[ev.Report]:
    if isinstance(command, cmd.Cancel):
        return (ev.CancelUnanswered(at=now, order_id=command.order_id, detail=detail),)
    return [
        ev.OutcomeUnknown(at=now, order_id=request.order_id, detail=detail)
        for request in cmd.placed_by(command)
    ]
