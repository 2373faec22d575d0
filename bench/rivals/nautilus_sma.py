"""Time nautilus_trader over one symbol's minutes: `python nautilus_sma.py SYM.parquet`.

The minutes move the simulated exchange; the engine itself makes the 2-minute candles out of them
(2-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL). Logging and the pre-trade risk engine are bypassed and
the analysis after the run is off. Bars are built and added before the clock starts.
"""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import rival_bars as rb
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.data.config import DataEngineConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.risk.config import RiskEngineConfig
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
INSTRUMENT_ID = InstrumentId(Symbol("SYM"), VENUE)
MINUTE_NS = 60_000_000_000
MINUTES_TYPE = f"{INSTRUMENT_ID}-1-MINUTE-LAST-EXTERNAL"
CANDLES_TYPE = f"{INSTRUMENT_ID}-{rb.CANDLE_MINUTES}-MINUTE-LAST-INTERNAL@1-MINUTE-EXTERNAL"
CANDLE_DELAY_US = 15
"""The delay nautilus documents for candles of bars: the boundary's own bar comes first."""


class SmaBreakoutConfig(StrategyConfig, frozen=True):  # type: ignore[misc, call-arg]  # untyped base
    """`flatten_at` are the starts of each session's last minute, in nanoseconds."""

    flatten_at: tuple[int, ...]


class SmaBreakout(Strategy):  # type: ignore[misc]  # untyped base
    """Buy-stop above a strong green candle while the averages diverge; see `rival_bars`."""

    def __init__(self, config: SmaBreakoutConfig) -> None:
        super().__init__(config)
        self.candle_type = BarType.from_str(CANDLES_TYPE)
        self.fast = SimpleMovingAverage(rb.FAST)
        self.slow = SimpleMovingAverage(rb.SLOW)
        self.gap_before: float | None = None
        self.session = 0
        self.trades = 0
        self.entry: Any = None
        self.stop_order: Any = None
        self.stop_at = 0.0
        self.is_long = False

    def on_start(self) -> None:
        """Subscribe to the candles and set the first session's alarm."""
        self.instrument = self.cache.instrument(INSTRUMENT_ID)
        self.register_indicator_for_bars(self.candle_type, self.fast)
        self.register_indicator_for_bars(self.candle_type, self.slow)
        self.subscribe_bars(self.candle_type)
        self.set_alarm()

    def set_alarm(self) -> None:
        """Wake the strategy at the start of this session's last minute."""
        if self.session < len(self.config.flatten_at):
            # As late as the candles are, so that the minute that ends now has been traded.
            at = self.config.flatten_at[self.session] + CANDLE_DELAY_US * 1_000
            self.clock.set_time_alert_ns(f"flatten-{self.session}", at, self.on_alarm)

    def on_alarm(self, _event: Any) -> None:
        """Cancel what rests, sell what is held, and look forward to the next session."""
        for order in (self.entry, self.stop_order):
            if order is not None:
                self.cancel_order(order)
        self.entry = self.stop_order = None
        if self.is_long:
            self.close_all_positions(INSTRUMENT_ID)
        self.session += 1
        self.set_alarm()

    def on_bar(self, bar: Any) -> None:
        """Handle one candle: an entry lives for one candle, then signals are looked for again."""
        if not self.slow.initialized:
            return
        gap, before = self.fast.value - self.slow.value, self.gap_before
        self.gap_before = gap
        if self.entry is not None:
            self.cancel_order(self.entry)
            self.entry = None
        elif before is not None and gap > 0 and gap > before and not self.is_long:
            self.consider(bar)

    def consider(self, bar: Any) -> None:
        """Rest a buy-stop at a strong green candle's high if its life ends before the session."""
        if self.session == len(self.config.flatten_at):
            return
        expires_at = bar.ts_event + rb.CANDLE_MINUTES * MINUTE_NS
        to_spare = self.config.flatten_at[self.session] - expires_at
        if not 0 <= to_spare < rb.SESSION_MINUTES * MINUTE_NS:
            return  # after the alarm the next session's is far away
        high, low = bar.high.as_double(), bar.low.as_double()
        if not rb.is_strong_green(bar.open.as_double(), high, low, bar.close.as_double()):
            return
        self.stop_at = rb.stop_price(low)
        self.entry = self.stop_market(OrderSide.BUY, rb.entry_price(high))
        self.submit_order(self.entry)

    def stop_market(self, side: Any, price: float) -> Any:
        """A stop order of the fixed size."""
        return self.order_factory.stop_market(
            instrument_id=INSTRUMENT_ID,
            order_side=side,
            quantity=self.instrument.make_qty(rb.SHARES),
            trigger_price=self.instrument.make_price(price),
        )

    def on_order_filled(self, event: Any) -> None:
        """Cover a filled entry with its stop; count every sale as a round trip."""
        if event.order_side == OrderSide.BUY:
            self.is_long, self.entry = True, None
            self.stop_order = self.stop_market(OrderSide.SELL, self.stop_at)
            self.submit_order(self.stop_order)
        else:
            self.is_long, self.stop_order = False, None
            self.trades += 1


def equity() -> Any:
    """A US stock quoted in cents and traded by the share."""
    return Equity(
        instrument_id=INSTRUMENT_ID,
        raw_symbol=INSTRUMENT_ID.symbol,
        currency=USD,
        price_precision=2,
        price_increment=Price.from_str("0.01"),
        lot_size=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def prepare(columns: rb.Columns, instrument: Any) -> list[Bar]:
    """The engine's own bars. Nautilus stamps a bar with its end."""
    ends = pd.to_datetime([start + 60 for start in columns.starts], unit="s", utc=True)
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame(dict(zip(names, columns[1:], strict=True)), index=ends)
    wrangler = BarDataWrangler(BarType.from_str(MINUTES_TYPE), instrument)
    return list(wrangler.process(frame))


def build_engine() -> Any:
    """An engine with one cash account and the faster options on."""
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            data_engine=DataEngineConfig(
                time_bars_build_with_no_updates=False,
                time_bars_build_delay=CANDLE_DELAY_US,
            ),
            risk_engine=RiskEngineConfig(bypass=True),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USD,
        starting_balances=[Money(Decimal(rb.CASH), USD)],
        # As with ours, a buy-stop that the price has reached already is filled, not rejected.
        reject_stop_orders=False,
    )
    return engine


def main() -> None:
    """Load, run, report."""
    columns = rb.load(Path(sys.argv[1]))
    engine, instrument = build_engine(), equity()
    engine.add_instrument(instrument)
    engine.add_data(prepare(columns, instrument))
    ends = columns.starts[rb.SESSION_MINUTES - 1 :: rb.SESSION_MINUTES]
    strategy = SmaBreakout(
        SmaBreakoutConfig(flatten_at=tuple(start * 1_000_000_000 for start in ends))
    )
    engine.add_strategy(strategy)
    started = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - started
    rb.report("nautilus", "nautilus_trader", len(columns.starts), seconds, strategy.trades)
    engine.dispose()


if __name__ == "__main__":
    main()
