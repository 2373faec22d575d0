"""Brokers behind the ports of core: an account somewhere, and the market it trades on."""
