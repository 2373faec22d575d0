"""A strategy for the benches: an entry on every candle while flat, an exit on the next one."""

from decimal import Decimal

from algo_trader.strategies import Strategy


class Often(Strategy):
    """Buys at each candle's high, is stopped at half a per cent below its low."""

    candle_interval_minutes = 1

    def required_history(self):  # type: ignore[no-untyped-def]
        """One candle."""
        return 1

    def should_long(self, bar, indicators):  # type: ignore[no-untyped-def]
        """Always."""
        return True

    def entry_price(self, bar):  # type: ignore[no-untyped-def]
        """The high."""
        return bar.high

    def stop_loss_price(self, bar):  # type: ignore[no-untyped-def]
        """Below the low."""
        return bar.low * Decimal("0.995")

    def should_exit(self, bar, position, indicators):  # type: ignore[no-untyped-def]
        """At once."""
        return True
