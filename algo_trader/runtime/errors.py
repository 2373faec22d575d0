"""What can go wrong between a daemon and who asks it, named by what the caller may do next."""

from algo_trader.core.errors import AlgoTraderError, SafetyRefusal


class SecondDaemon(SafetyRefusal):
    """Another daemon has the data directory; exit 4."""


class NoDaemon(AlgoTraderError):
    """No daemon is running in the data directory; exit 3."""


class DaemonFailed(AlgoTraderError):
    """There is a daemon, but it did not do as asked; exit 1."""


class NoAnswer(DaemonFailed):
    """There is a daemon, but it did not answer: it may be starting, ending, busy or stuck."""
