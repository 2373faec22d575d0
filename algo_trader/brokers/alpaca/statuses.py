"""What Alpaca's order statuses mean to us.

Only five end an order, and each of those is final: from any other one the order may still fill, so
it counts as open and stays asked about. That holds for a status nobody has heard of, too.

* new, partially_filled: working. accepted, pending_new, accepted_for_bidding, pending_review: had,
  on their way to the market, out of hours for a long time; may still be rejected.
* held: a leg that waits for its trigger, the normal state of a protective leg.
* pending_cancel, pending_replace: asked for, not done; a fill may come first.
* stopped: a trade is guaranteed and has not been made. suspended: may not trade now.
* done_for_day: no more fills in this session; a GTC order goes on in the next one, a DAY order is
  told of as expired in its time.
* calculated: done for the day or filled, settlement pending: what was filled is known by quantity.
"""

from __future__ import annotations

from algo_trader.core.broker import BrokerStatus

ENDED = {
    "filled": BrokerStatus.FILLED,
    "canceled": BrokerStatus.CANCELED,
    "expired": BrokerStatus.EXPIRED,
    "rejected": BrokerStatus.REJECTED,
    "replaced": BrokerStatus.REPLACED,
}

OPEN = frozenset(
    {
        "new",
        "partially_filled",
        "accepted",
        "pending_new",
        "accepted_for_bidding",
        "pending_review",
        "held",
        "pending_cancel",
        "pending_replace",
        "stopped",
        "suspended",
        "done_for_day",
        "calculated",
    }
)


def status_of(word: str) -> BrokerStatus:
    """Where an order of this status stands."""
    return ENDED.get(word, BrokerStatus.OPEN)
