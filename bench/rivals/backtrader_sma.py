"""Time backtrader over one symbol's minutes: `python backtrader_sma.py SYM.parquet`.

The minutes drive the orders, backtrader's resampler makes the candles. Preloading and vectorised
indicators (`preload`, `runonce`) are on, the statistics observers are off. The feed hands over
floats prepared before the clock starts; `Cerebro.run` itself, which is timed, contains
backtrader's preload because its resampling happens there.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import rival_bars as rb


class MemoryFeed(bt.feed.DataBase):  # type: ignore[misc]  # untyped base
    """Feeds prepared rows (date number of the minute's end, open, high, low, close, volume)."""

    params = (("rows", ()), ("timeframe", bt.TimeFrame.Minutes))

    def start(self) -> None:
        """Go back to the first row."""
        super().start()
        self._next_row = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self._next_row, None)
        if row is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0] = row[0], row[1], row[2]
        lines.low[0], lines.close[0], lines.volume[0] = row[3], row[4], row[5]
        lines.openinterest[0] = 0.0
        return True


class SmaBreakout(bt.Strategy):  # type: ignore[misc]  # untyped base
    """Buy-stop above a strong green candle while the averages diverge; see `rival_bars`."""

    def __init__(self) -> None:
        self.minutes, self.candles = self.datas
        self.fast = bt.indicators.SMA(self.candles.close, period=rb.FAST)
        self.slow = bt.indicators.SMA(self.candles.close, period=rb.SLOW)
        self.candles_seen = 0
        self.trades = 0
        self.entry: Any = None
        self.stop_order: Any = None
        self.stop_at = 0.0

    def next(self) -> None:
        """Handle one minute: leave before the close, else look at a candle if one is complete."""
        minute = (len(self.minutes) - 1) % rb.SESSION_MINUTES + 1
        if minute == rb.SESSION_MINUTES - 1:
            self.flatten()
        if len(self.candles) == self.candles_seen:
            return
        self.candles_seen = len(self.candles)
        if self.entry is not None:
            self.cancel(self.entry)
            self.entry = None
        elif minute <= rb.LAST_SIGNAL_MINUTE and not self.position and self.has_signal():
            self.place_entry()

    def has_signal(self) -> bool:
        """Whether the averages diverge upwards and the candle is strong and green."""
        gap = self.fast[0] - self.slow[0]
        if gap <= 0 or gap <= self.fast[-1] - self.slow[-1]:
            return False
        candle = self.candles
        return rb.is_strong_green(candle.open[0], candle.high[0], candle.low[0], candle.close[0])

    def place_entry(self) -> None:
        """Rest a buy-stop at the candle's high and note where the protective stop will go."""
        self.stop_at = rb.stop_price(self.candles.low[0])
        self.entry = self.buy(
            data=self.minutes,
            size=rb.SHARES,
            exectype=bt.Order.Stop,
            price=rb.entry_price(self.candles.high[0]),
        )

    def flatten(self) -> None:
        """Cancel what rests and sell what is held at the next minute's open."""
        for order in (self.entry, self.stop_order):
            if order is not None:
                self.cancel(order)
        self.entry = self.stop_order = None
        if self.position:
            self.close(data=self.minutes)

    def notify_order(self, order: Any) -> None:
        """Cover a filled entry with its stop; forget a filled stop.

        Backtrader hands out clones of orders, equal to the original but not identical with it.
        """
        if order.status != order.Completed:
            return
        if order == self.entry:
            self.entry = None
            self.stop_order = self.sell(
                data=self.minutes, size=rb.SHARES, exectype=bt.Order.Stop, price=self.stop_at
            )
        elif order == self.stop_order:
            self.stop_order = None

    def notify_trade(self, trade: Any) -> None:
        """Count the round trips."""
        self.trades += trade.isclosed


def prepare(columns: rb.Columns) -> list[tuple[float, ...]]:
    """Rows for the feed. Backtrader labels a bar by its end."""
    ends = [
        bt.date2num(datetime.fromtimestamp(start + 60, UTC).replace(tzinfo=None))
        for start in columns.starts
    ]
    return list(zip(ends, *columns[1:], strict=True))


def main() -> None:
    """Load, run, report."""
    rows = prepare(rb.load(Path(sys.argv[1])))
    cerebro = bt.Cerebro(stdstats=False, preload=True, runonce=True)
    feed = MemoryFeed(rows=rows)
    cerebro.adddata(feed)
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=rb.CANDLE_MINUTES)
    cerebro.addstrategy(SmaBreakout)
    cerebro.broker.setcash(rb.CASH)
    started = time.perf_counter()
    (strategy,) = cerebro.run()
    seconds = time.perf_counter() - started
    rb.report("backtrader", "backtrader", len(rows), seconds, strategy.trades)


if __name__ == "__main__":
    main()
