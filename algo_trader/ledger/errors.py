"""What can go wrong with a ledger, named by what the caller may do next."""

from algo_trader.core.errors import ConfigError, CoreError, SafetyRefusal, StorageFailure


class StorageError(StorageFailure):
    """The disk or the driver failed: whether the last write happened is unknown.

    The ledger that raised it is poisoned and raises at every later call. Send nothing more, end the
    process (75) and read the file again: a commit that raised may be there after all.
    """


class LedgerLocked(SafetyRefusal):
    """Another process holds the file; exit 4."""


class LedgerRefused(ConfigError):
    """The file is not ours, is newer than this program, or must be upgraded first."""


class LedgerCorrupt(CoreError):
    """The file holds something this program would not have written; restore a backup."""


class FactRefused(CoreError):
    """A fact broke a rule of the ledger (a second intent, a fill counted before); nothing of its
    transaction was written.
    """
