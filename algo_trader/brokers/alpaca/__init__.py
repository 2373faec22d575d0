"""Alpaca behind the broker port: REST for questions and commands, a stream that wakes us.

Nothing here imports the SDK until a client is made: it brings pandas with it.
"""
