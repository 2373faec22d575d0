"""The first word with a broker that does not answer. Method: a broker that is away for a while, in
virtual time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.core.broker import AccountState
from algo_trader.core.errors import BrokerError, ConfigError, KeysRefused, Unavailable
from algo_trader.simulation.loop import now, run_virtually
from algo_trader.wiring.contact import Unreachable, first_word

ACCOUNT = AccountState("a", Decimal(1), Decimal(1))


class Away:
    """A broker that fails until an instant."""

    def __init__(self, error: BrokerError, until_s: float) -> None:
        self.error, self.until_s = error, until_s
        self.asked_at: list[float] = []

    async def read_clock(self) -> None:
        """Asked first."""
        self.asked_at.append(now())
        if now() < self.until_s:
            raise self.error

    async def account(self) -> AccountState:
        """Asked second."""
        return ACCOUNT


def ask(away: Away, log: Any = lambda event, **fields: None) -> AccountState:
    return run_virtually(first_word(cast(AlpacaBroker, away), "the url", log))


def test_a_broker_that_comes_back_is_met_soon() -> None:
    """Goal: pauses double up to eight seconds, each told; a minute of them in all."""
    away, pauses = Away(Unavailable("no line"), 50.0), []
    found = ask(away, lambda event, **fields: pauses.append(fields["again_in_s"]))
    assert found == ACCOUNT
    assert away.asked_at == [0, 2, 6, 14, 22, 30, 38, 46, 54]
    assert pauses == [2, 4, 8, 8, 8, 8, 8, 8]


def test_a_broker_that_stays_away() -> None:
    """Goal: after ten tries the remedy is told, with the address."""
    away = Away(Unavailable("no line"), 1e9)
    with pytest.raises(Unreachable, match=r"cannot be reached at the url: no line: see whether"):
        ask(away)
    assert (len(away.asked_at), away.asked_at[-1]) == (10, 62)


def test_keys_that_are_refused_are_not_tried_again() -> None:
    """Goal: what an operator has to mend is told at once."""
    away = Away(KeysRefused("keys not accepted"), 1e9)
    with pytest.raises(ConfigError, match="keys not accepted"):
        ask(away)
    assert away.asked_at == [0]
