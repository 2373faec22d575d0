"""The matching model of a broker for our own orders. One venue behind every door, pure."""
