"""The embedded exchange: a broker of its own in this process, which replays bars.

Account, orders, fills and virtual time lie in a file of their own, durable like a broker's books.
"""

from algo_trader.brokers.embedded.errors import ExchangeLocked as ExchangeLocked
from algo_trader.brokers.embedded.errors import ExchangeRefused as ExchangeRefused
from algo_trader.brokers.embedded.exchange import EmbeddedExchange as EmbeddedExchange
from algo_trader.brokers.embedded.exchange import ExchangeSetup as ExchangeSetup
