"""Short scripted days, each about one thing that can happen, to die in at every single point.

Each says every price, all that the strategy does and what goes wrong, so that nothing is left to
chance but delays. `shows` are the facts, trades, faults and deeds without which a scenario is not
what its name says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from algo_trader.core.types import Word
from algo_trader.simulation.plan import Appointment, Deed, DiskFault, Fault, FrameFault, Plan

SYMBOL, OTHER = "AA", "BB"
IDLE = "0 0 0"
ENTRY = "1 buy 10 -20"
PAIR = "1 buy 10 -20 40"
UP = "0 0 0 0/15"
"""The tape until an entry of minute 1 is filled."""
NUMBER = re.compile(r"-?\d+")
WHOLE_NIGHT_S = 8.0
"""Until the middle of the first minutes of the next session, at the speed of a scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A short run, and what it must contain."""

    name: str
    plan: Plan
    shows: tuple[str, ...]


def _scenario(
    name: str,
    script: str,
    tape: str,
    *shows: str,
    other: str = "",
    faults: Mapping[str, Word] | None = None,
    deeds: Sequence[tuple[float, Deed]] = (),
    speed: int = 60,
    partial_pct: int = 0,
    lag_s: float = 0.0,
    downs_s: tuple[float, ...] = (),
) -> Scenario:
    """A scenario; `deeds` are by minutes of the first day, `other` is a second symbol's tape."""
    tapes = {SYMBOL: tape} | ({OTHER: other} if other else {})
    days = tape.split("|")
    plan = Plan(
        symbols=tuple(tapes),
        paths=("calm",) * len(days),
        minutes=max(len(day.split()) for day in days),
        speed=speed,
        partial_pct=partial_pct,
        lag_s=lag_s,
        downs_s=downs_s,
        calm_minutes=-1,
        latency_s=0.03,
        script=script,
        tapes=tapes,
        scripted=faults or {},
        deeds=tuple(Appointment(0, minute, deed, SYMBOL) for minute, deed in deeds),
        once_more_s=3.0,
        tick_s=4.0,
    )
    return Scenario(name=name, plan=plan, shows=shows)


def _mirrored(scenario: Scenario) -> Scenario:
    """The same on the short side: every price is as far below the first one as it was above."""
    plan = scenario.plan
    moves = [move.split() for move in plan.script.split(";")]
    short = replace(
        plan,
        script="; ".join(
            " ".join([at, deed.replace("buy", "short"), *map(_opposite, cents)])
            for at, deed, *cents in moves
        ),
        tapes={
            symbol: " ".join(
                word if word in "-|" else NUMBER.sub(lambda found: _opposite(found[0]), word)
                for word in tape.split()
            )
            for symbol, tape in plan.tapes.items()
        },
    )
    shows = tuple(each.replace("long:", "short:") for each in scenario.shows)
    return Scenario(name=f"short: {scenario.name}", plan=short, shows=shows)


def _opposite(cents: str) -> str:
    return str(-int(cents))


HALVES = 100
"""Per cent of the fills that are of half of what is open."""
SLOW = 20
"""Where somebody waits for an answer for as long as he ever does."""
STOPPED, EVENING = "long: stop_loss", "long: end_of_day"
LONGER = f"{UP} 15 15 15 15 15 15 15 15"

ON_BOTH_SIDES = (
    _scenario("entry fills at once", ENTRY, f"{UP} 15 15 15", "OrderFilled", EVENING),
    _scenario(
        "entry fills in part, the rest is canceled", ENTRY, f"{UP} 5 5 5 5",
        "canceled: PARTIAL_FILL", "OrderCanceled", "ExitDecided", partial_pct=HALVES,
    ),
    _scenario(
        "entry fills while its cancel is on its way", ENTRY, f"{UP} 5/15 5/15 5/15 5/15 5 5 5",
        "canceled: PARTIAL_FILL", "fault: DELETE orders late",
        faults={"DELETE orders 1": Fault.LATE}, partial_pct=HALVES, speed=SLOW,
    ),
    _scenario("entry expires", ENTRY, "0 0 0 0 0 0 0 0", "canceled: EXPIRED", "OrderCanceled"),
    _scenario("entry is refused, a limit follows", ENTRY, "0 0/12 12 8/12 12 12 12",
        "OrderRefused", "OrderFilled"),
    _scenario("stop is moved", f"{ENTRY}; 4 stop -5; 5 stop 5", f"{UP} 15 15 20 20 20",
        "OrderReplaced", "StopSet", EVENING),
    _scenario("stop's move is refused", f"{ENTRY}; 4 stop -5; 6 stop 5", f"{UP} 15 15 20 20 20",
        "fault: PATCH stop refused", faults={"PATCH stop 1": Fault.REFUSED}),
    _scenario("stop is hit", ENTRY, f"{UP} 15 0/-30 -30", STOPPED),
    _scenario("stop is hit after a move", f"{ENTRY}; 4 stop 0", f"{UP} 15 15 15/-10 -10 -10",
        "OrderReplaced", STOPPED),
    _scenario("stop is hit in parts", ENTRY, f"{UP} 5 0/-30 -30 -30 -30 -30", STOPPED,
        "canceled: PARTIAL_FILL", partial_pct=HALVES),
    _scenario("target is filled", PAIR, f"{UP} 15 15/45 45 45", "long: target"),
    _scenario("target fills in part, then the stop", PAIR,
        f"{UP} 15 15/45 0/-30 -30 -30 -30 -30", STOPPED, partial_pct=HALVES),
    _scenario("pair is moved, the stop is hit", f"{PAIR}; 4 stop -5",
        f"{UP} 15 15 15/-10 -10 -10", "OrderReplaced", STOPPED),
    _scenario("exit by the strategy", f"{ENTRY}; 4 exit", f"{UP} 15 15 15 15",
        "canceled: EXIT", "long: strategy"),
    _scenario("exit fills in parts", f"{ENTRY}; 4 exit", f"{UP} 15 15 15 15 15 15 15",
        "canceled: EXIT", "long: strategy", partial_pct=HALVES),
)  # fmt: skip


def _overnight(name: str, morning: str, *shows: str) -> Scenario:
    return _scenario(
        name, ENTRY, f"{UP} 15 15 15 | {morning}",
        f"deed: {Deed.RESTARTS}", *shows, deeds=[(5, Deed.RESTARTS)], downs_s=(WHOLE_NIGHT_S,),
    )  # fmt: skip


ORDINARY = (
    _scenario("entry fills in too small a part", "1 buy 1000 970", "980 980 980 980/1005"
        " 1000 1000 1000 1000 1000", "canceled: PARTIAL_FILL", "ExitDecided", partial_pct=HALVES),
    _scenario("stop is hit in the entry's minute", ENTRY, "0 0 0 0/15/-30 -30 -30 -30", STOPPED),
    _overnight("a night with a position and nobody there", "15 15 15 15 15 15 15", EVENING),
    _overnight("the stop is jumped over while nobody is there", "-50 -50 -50 -50 -50", STOPPED),
    _scenario("two symbols at once", f"{ENTRY}; 5 exit", f"{UP} 15 15 15 15", "long: strategy",
        STOPPED, other=f"{UP} 0/-30 -30 -30 -30"),
    _scenario("two pairs at once", PAIR, f"{UP} 15 15/45 45 45", "long: target", STOPPED,
        other=f"{UP} 15 0/-30 -30 -30"),
)  # fmt: skip


def _on_the_line() -> Iterator[Scenario]:
    """Each request whose answer is lost, that comes late, and twice; and an error of a proxy."""
    entry = (ENTRY, f"{LONGER} 15 15 15")
    moved = (f"{ENTRY}; 4 stop -5", f"{LONGER} 15 15 15")
    left = (f"{ENTRY}; 4 exit", f"{LONGER} 15 15 15")
    requests = {
        "entry": ("POST entry", entry),
        "stop": ("POST stop", entry),
        "exit": ("POST exit", left),
        "cancel": ("DELETE orders", left),
        "move": ("PATCH stop", moved),
        "pair": ("POST target", (PAIR, f"{LONGER} 15 15/45 45")),
    }
    for what, (sort, (script, tape)) in requests.items():
        for words, fault in (
            ("'s answer is lost", Fault.NO_REPLY),
            (" arrives late", Fault.LATE),
            (" never arrives", Fault.LOST),
            (" is done, a proxy says 504", Fault.ERROR_AFTER),
            (" arrives twice", Fault.TWICE),
        ):
            yield _scenario(
                f"{what}{words}", script, tape, f"fault: {sort} {fault}",
                faults={f"{sort} 1": fault}, speed=SLOW,
            )  # fmt: skip


def _on_the_stream() -> Iterator[Scenario]:
    """The frames of the entry's and the stop's fill."""
    for words, fault in (
        ("is cut at", FrameFault.CUT),
        ("is mute from", FrameFault.MUTE),
        ("loses", FrameFault.DROPPED),
        ("brings twice", FrameFault.TWICE),
    ):
        for number, whose in ((1, "entry"), (2, "stop")):
            yield _scenario(
                f"stream {words} the {whose}'s fill", ENTRY, f"{UP} 15 15 0/-30 -30 -30 -30",
                f"fault: frame fill {fault}", STOPPED, faults={f"frame fill {number}": fault},
                speed=SLOW,
            )  # fmt: skip


def _of_stale_answers() -> Iterator[Scenario]:
    for sort in ("GET orders:by_client_order_id", "GET orders", "GET positions"):
        yield _scenario(
            f"stale answers to {sort}", ENTRY, f"{UP} 15 15 0/-30 -30 -30 -30",
            f"fault: {sort} stale", STOPPED, lag_s=3.0,
            faults={f"{sort} {number}": Fault.STALE for number in range(1, 7)},
        )  # fmt: skip


HELD_BACK = (Deed.SELLS_ALL, Deed.SELLS_PART, Deed.BUYS, Deed.RESTS_ORDER)
"""Deeds that the broker refuses as long as a stop is there."""
AT_ONCE = 5.01
"""The minute of a deed that follows one of minute 5 before the daemon can answer."""


def _of_deeds() -> Iterator[Scenario]:
    """Everything that people do, to a position with a stop."""
    for deed in Deed:
        if deed not in (Deed.RESTARTS, *HELD_BACK):
            yield _scenario(str(deed), ENTRY, LONGER, f"deed: {deed}", deeds=[(5, deed)])
    for deed in HELD_BACK:
        yield _scenario(
            f"{deed}, the stop canceled before", ENTRY, LONGER, f"deed: {deed}",
            deeds=[(5, Deed.CANCELS_STOP), (AT_ONCE, deed)],
        )  # fmt: skip
    for deed in (Deed.BUYS, Deed.RESTS_ORDER):
        yield _scenario(f"{deed} before an entry", "3 buy 10 -20", "0 0 0 0 0 0/15 15 15 15",
            f"deed: {deed}", deeds=[(1, deed)])
    yield _scenario("operator restarts with a position", f"{ENTRY}; 6 stop -5", LONGER,
        f"deed: {Deed.RESTARTS}", "OrderReplaced", EVENING, deeds=[(5, Deed.RESTARTS)])
    yield _scenario("owner sells shares of a pair", PAIR, LONGER, f"deed: {Deed.SELLS_PART}",
        deeds=[(5, Deed.CANCELS_STOP), (AT_ONCE, Deed.SELLS_PART)])
    yield _scenario("entry is rejected after it was taken", ENTRY, "0 0 0 0 0 0 0",
        f"deed: {Deed.REJECTS}", deeds=[(2, Deed.REJECTS)])


def _of_the_disk() -> Iterator[Scenario]:
    for kind, whose in (("OrderFilled", "a fill"), ("OrderIntended", "an entry")):
        for fault in DiskFault:
            yield _scenario(
                f"disk fails at {whose}, {fault}", ENTRY, f"{UP} 15 15 0/-30 -30 -30",
                f"fault: commit {kind} {fault}", faults={f"commit {kind} 1": fault},
            )  # fmt: skip


SCENARIOS: Mapping[str, Scenario] = {
    each.name: each
    for each in (
        *ON_BOTH_SIDES,
        *map(_mirrored, ON_BOTH_SIDES),
        *ORDINARY,
        *_on_the_line(),
        *_on_the_stream(),
        *_of_stale_answers(),
        *_of_deeds(),
        *_of_the_disk(),
    )
}
"""By name."""
