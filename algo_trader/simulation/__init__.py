"""Whole-system simulation: the daemon as it is, in a world that is made up and misbehaves.

The daemon, its pump, supervisor, reconciliation, Alpaca adapter, live market and ledger are the
real ones. Simulated are the event loop's time, the exchange at the other end of the line (the one
that `exchange serve` serves), the lines themselves, the disk's failures, the moments at which the
process dies, and the people: the operator, and whoever trades the account by hand. Everything is
drawn from one seed and happens in one thread, so a seed is a run.

    plan       what a seed holds in store        life      one incarnation of the process
    market     bars and sessions                 run       lives one after the other, to the end
    exchange   the account at the other end      oracle    ledger and exchange compared
    lines      REST, trade stream, bar stream    campaign  many seeds on all cores
    deeds      what people do meanwhile          scenarios short runs, dying at every point
    witness    what must hold at every step      report    what it has all come to
"""
