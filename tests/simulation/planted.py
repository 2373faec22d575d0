"""All planted mistakes, and for each the run that finds it out.

The runs were found by find_kills.py, which also says how many seeds of a campaign it takes. Of the
mistakes in SURVIVORS no harm is seen, for the reason given; they are not counted.
"""

from __future__ import annotations

from planted_cover import COVER
from planted_sending import SENDING
from planted_truth import TRUTH
from planting import Case, alone, heavy, quiet

KILLS: dict[str, Case] = {
    "acts before recording": quiet(1),
    "commits later": quiet(1),
    "goes on without its disk": alone("disk", 1),
    "takes silence for refusal": alone("command no reply", 1),
    "takes silence for unsent": alone("command no reply", 1),
    "takes a server error for refusal": alone("command error after", 1),
    "believes the duplicate": alone("command twice", 1),
    "believes the first absence": alone("question stale", 3),
    "sends an unknown entry again": alone("command lost", 1),
    "posts again after silence": alone("command reset", 1),
    "names a retry anew": alone("command no reply", 2),
    "makes names up": quiet(1),
    "computes prices in floats": quiet(1),
    "takes 204 for canceled": quiet(1),
    "takes a refused cancel for canceled": alone("command refused", 1),
    "takes a lost cancel for canceled": heavy(1),
    "believes in the moved stop": alone("command refused", 2),
    "believes the stop gone with its move": alone("command refused", 2),
    "sells beside its stop": alone("command twice", 37),
    "exits again": heavy(13),
    "covers what was ordered": quiet(3),
    "covers the first fill": alone("slow lines and part fills", 2),
    "never sizes a stop anew": alone("an execution is taken back", 2),
    "covers whole fills only": quiet(2),
    "waits for the rest": quiet(2),
    "stops for the day": quiet(2),
    "sells what was ordered": quiet(2),
    "rests through a halt": alone("operator halts, and resumes", 1),
    "lets entries grow old": quiet(1),
    "adopts without a stop": alone("owner buys shares", 1),
    "covers what it is told of": alone("owner buys shares", 1),
    "stays over night": quiet(1),
    "moves its stop away": quiet(2),
    "counts a fill twice": quiet(1),
    "believes the stream alone": alone("frame dropped", 1),
    "takes a part for the whole": quiet(2),
    "books the price it asked for": quiet(1),
    "never compares positions": alone("owner buys shares", 1),
    "believes an order gone": alone("deaths", 1),
    "begins blind": alone("deaths", 1),
    "trusts a stream that comes back": alone("frame cut", 1),
    "passes its gate": alone("frame cut", 1),
    "leaves gaps open": alone("bar cut", 1),
    "trades on a feed that is gone": alone("bar cut", 1),
    "decides under a halt": alone("operator halts, and resumes", 1),
    "forgets a halt": alone("deaths under a halt", 1),
    "counts its orders anew": alone("deaths", 2),
    "knows executions by heart": alone("deaths", 1),
    "asks about its own orders only": alone("deaths and lost commands", 1),
}

SURVIVORS: dict[str, str] = {
    "cancels once": "the order is asked about all the same, an operator is told, and a day order"
    " ends with the day",
    "remembers the stop as placed": "an operator is told each minute that shares are bare, and the"
    " session's end closes them",
    "leaves the stop of what is gone": "the broker holds the shares for the stop: nobody can sell"
    " them while it works",
    "is deaf after the end": "an order's end is told only with all of its executions",
    "compares when told to": "what somebody else trades is told by the stream as well, and open"
    " orders by the sweep",
    "never sweeps": "an entry's life is short, and its cancel tells what was filled",
    "believes positions at first sight": "orders are compared just before, so that a delay hardly"
    " ever shows",
    "forgets its limits": "no day of the built-in strategy loses as much as trips the limit",
    "decides on old candles": "old candles come while the gate is closed for the gap",
}

EVERY_MUTANT = (*SENDING, *COVER, *TRUTH)
MUTANTS = tuple(mutant for mutant in EVERY_MUTANT if mutant.name not in SURVIVORS)
