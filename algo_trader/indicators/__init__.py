"""Indicators, fed one candle at a time; strategies receive values, never compute them."""

from algo_trader.indicators.sma import IndicatorSet, SmaPair
from algo_trader.indicators.source import IndicatorSource

__all__ = ["IndicatorSet", "IndicatorSource", "SmaPair"]
