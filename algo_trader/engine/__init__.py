"""The order of events: what a bar, a candle or a broker's report leads to."""
