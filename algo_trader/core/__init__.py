"""The pure heart: values, facts, orders, book, work, candles and sessions.

Nothing here can wait, read a clock, open a file or draw a random number.
"""
