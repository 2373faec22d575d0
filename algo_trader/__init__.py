"""algo-trader: a trading daemon for US equities and a backtest on the same core."""

__version__ = "0.1.0"
