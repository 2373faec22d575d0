"""What can go wrong when the exchange is opened, named by what the operator may do next.

A failing disk is core's StorageFailure: the exchange that raised it raises it at every later call,
and the process must end. What the file holds is then read again, for a commit that raised may be
there after all.
"""

from algo_trader.core.errors import ConfigError, SafetyRefusal


class ExchangeRefused(ConfigError):
    """The file is not an exchange's, is newer or damaged, or belongs to other bars."""


class ExchangeLocked(SafetyRefusal):
    """Another process holds the exchange's file; exit 4."""
