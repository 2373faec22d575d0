"""Errors, named by what the caller may do next.

Risk refusals are values, not errors: they are a normal answer of the desk.
"""


class AlgoTraderError(Exception):
    """Anything this program raises on purpose."""


class ConfigError(AlgoTraderError):
    """Bad input from the operator: one message that names the field and the remedy; exit 2."""


class SafetyRefusal(ConfigError):
    """Nothing is wrong with the input, but going on could harm: another daemon, another account,
    live trading without its two keys; exit 4.
    """


class DataError(AlgoTraderError):
    """Bad market data: names file, row and field; nothing is half-imported; exit 2."""


class StrategyError(ConfigError):
    """A user's strategy cannot be loaded, or raised when asked; carries its own traceback."""

    def __init__(self, message: str, strategy_traceback: str = "") -> None:
        super().__init__(message)
        self.strategy_traceback = strategy_traceback


class CoreError(AlgoTraderError):
    """A broken invariant: state is left as it was, the process must stop."""


class IllegalTransition(CoreError):
    """A fact that the order state table does not allow in the order's present state."""


class BrokerError(AlgoTraderError):
    """The world outside did not do as asked. A refusal is a report, not an error."""


class Unanswered(BrokerError):
    """The broker may have what was sent: never to be recorded as a refusal."""


class Unavailable(BrokerError):
    """Certainly nothing was sent."""


class KeysRefused(Unavailable):
    """The broker does not accept our keys: asking again is no use until they are changed."""


class StorageFailure(AlgoTraderError):
    """The disk or the driver failed: whether the last write happened is unknown."""
