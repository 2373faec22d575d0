"""The first word with a broker across a network, before anything is known of the account."""

from __future__ import annotations

import asyncio

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.core.broker import AccountState
from algo_trader.core.errors import AlgoTraderError, BrokerError, ConfigError, KeysRefused
from algo_trader.runtime import Log

TRIES = 10
PAUSE_S, LONGEST_PAUSE_S = 2.0, 8.0
"""Before the second try; each further one waits twice as long, up to the longest. Positions may be
without a stop: a broker that is back is not to be missed for long.
"""


class Unreachable(AlgoTraderError):
    """The broker could not be asked at all: exit 1, and a service manager tries again."""


async def first_word(broker: AlpacaBroker, url: str, log: Log) -> AccountState:
    """The account that the keys answer for, once the broker's time is known.

    ConfigError if the keys are not accepted; Unreachable after so many tries at the `url`.
    """
    pause_s = PAUSE_S
    tries = 1
    while True:
        try:
            await broker.read_clock()
            return await broker.account()
        except KeysRefused as error:
            raise ConfigError(str(error)) from None
        except BrokerError as error:
            if tries == TRIES:
                raise Unreachable(
                    f"the broker cannot be reached at {url}: {error}: see whether the network, or "
                    "the `exchange serve` at broker.trading_url, is there, and try again"
                ) from None
            log("broker_unreachable", level="warning", error=error, again_in_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        tries += 1
