"""What a seed holds in store: the market, the company the lines keep, deaths, and people's deeds.

Faults are drawn per seed (some kinds, at some rates), so that rare combinations are not drowned in
the usual ones. All rates are chances of one request, frame, bar, commit or boundary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple, TypeVar

from algo_trader.core.types import Symbol, Word
from algo_trader.simulation.market import PATHS

Kind = TypeVar("Kind", bound=Word)
SYMBOLS = ("AA", "BB", "CC")


class Level(Word):
    """How bad the world is."""

    NONE = "none"
    LIGHT = "light"
    HEAVY = "heavy"


class Fault(Word):
    """What becomes of a request to the broker, or of the answer."""

    UNSENT = "unsent"
    """No connection: it certainly did not leave."""
    LOST = "lost"
    """It never arrives, and no answer comes."""
    NO_REPLY = "no reply"
    """It arrives, its answer does not."""
    RESET = "reset"
    """It arrives, then the connection breaks."""
    LATE = "late"
    """No answer comes; it arrives after the first look-ups have said that it is not there."""
    TWICE = "twice"
    """It arrives twice, and the answer is the one to the second."""
    REFUSED = "refused"
    """The broker refuses what it would otherwise have done."""
    THROTTLED = "throttled"
    """429: too many requests."""
    ERROR_BEFORE = "error before"
    """503 and a page of HTML; nothing was done."""
    ERROR_AFTER = "error after"
    """504 and a page of HTML; it was done all the same."""
    GARBLED = "garbled"
    """It was done, and the answer cannot be read."""
    STALE = "stale"
    """A question is answered as of some seconds ago."""


COMMAND_FAULTS = tuple(each for each in Fault if each is not Fault.STALE)
QUESTION_FAULTS = (
    Fault.UNSENT,
    Fault.LOST,
    Fault.THROTTLED,
    Fault.ERROR_BEFORE,
    Fault.GARBLED,
    Fault.STALE,
)


class FrameFault(Word):
    """What becomes of a frame of a stream."""

    DROPPED = "dropped"
    TWICE = "twice"
    LATE = "late"
    ODD = "odd"
    """It cannot be read."""
    CUT = "cut"
    """The connection ends before it, and is gone for a while."""
    MUTE = "mute"
    """It and all that follow for a while are lost, the connection stays."""


class BarFault(Word):
    """What becomes of a minute's bar on the stream."""

    DROPPED = "dropped"
    TWICE = "twice"
    LATE = "late"
    CORRECTED = "corrected"
    """It is told wrong first, and right later."""
    CUT = "cut"
    MUTE = "mute"


class DiskFault(Word):
    """What becomes of a commit that fails: nobody knows, but it is one of these."""

    KEPT = "kept"
    LOST = "lost"


class Deed(Word):
    """What people do meanwhile: the account's owner at the broker's own screen, and operators."""

    SELLS_ALL = "owner closes a position"
    SELLS_PART = "owner sells some shares"
    BUYS = "owner buys shares"
    CANCELS_STOP = "owner cancels a stop"
    MOVES_STOP = "owner moves a stop"
    RESTS_ORDER = "owner rests an order"
    BLOCKS = "broker blocks the account for a while"
    LOSES_STOP = "a stop is canceled and nobody is told"
    BUSTS = "an execution is taken back"
    REJECTS = "an order is rejected after it was taken"
    HALTS_TRADING = "trading in a symbol is halted for a while"
    HALTS = "operator halts, and resumes"
    FLATTENS = "operator closes everything, and resumes"
    RESTARTS = "operator stops the daemon and starts it again"


HANDS = (
    Deed.SELLS_ALL,
    Deed.SELLS_PART,
    Deed.BUYS,
    Deed.CANCELS_STOP,
    Deed.MOVES_STOP,
    Deed.RESTS_ORDER,
    Deed.LOSES_STOP,
    Deed.BUSTS,
)
"""Deeds after which the ledger may hold what no order of ours explains."""


class Appointment(NamedTuple):
    """A deed, `minute` minutes into the session of number `day`."""

    day: int
    minute: float
    deed: Deed
    symbol: Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run. `speed` market seconds pass in a second of the loop's; `calm_minutes` before the end
    nothing goes wrong any more. `latency_s` is the longest of a request and of a frame.

    `scripted` lets a certain request, frame, bar or commit go wrong: the n-th of its sort in a run,
    such as `POST stop 1`, `DELETE orders 2`, `frame fill 1`, `bar 3`, `commit OrderFilled 1`.
    `tapes` and `script` say every price, and all that the strategy does, if they are given.

    `crash_every` is the mean number of boundaries from a death to the next, 0 for none; `down_s`
    the longest time until the process is started again. `crash_at` names the boundaries instead,
    one a life; `downs_s` the times until the next start instead, one after the other. At last the
    daemon is started once more, for `once_more_s`. It looks at the market's clock every `tick_s`.
    """

    seed: int = 1
    level: Level = Level.NONE
    symbols: tuple[Symbol, ...] = SYMBOLS
    paths: tuple[str, ...] = ("calm",)
    minutes: int = 40
    history_days: int = 1
    speed: int = 20
    calm_minutes: int = 12
    has_targets: bool = False
    partial_pct: int = 0
    latency_s: float = 0.05
    commands: Mapping[Fault, float] = field(default_factory=dict)
    questions: Mapping[Fault, float] = field(default_factory=dict)
    frames: Mapping[FrameFault, float] = field(default_factory=dict)
    bars: Mapping[BarFault, float] = field(default_factory=dict)
    scripted: Mapping[str, Word] = field(default_factory=dict)
    tapes: Mapping[Symbol, str] = field(default_factory=dict)
    script: str = ""
    lag_s: float = 0.0
    disk_pct: float = 0.0
    crash_every: int = 0
    crash_at: tuple[int, ...] = ()
    down_s: float = 5.0
    downs_s: tuple[float, ...] = ()
    once_more_s: float = 30.0
    tick_s: float = 1.0
    deeds: tuple[Appointment, ...] = ()

    @property
    def has_hands(self) -> bool:
        """Whether somebody else trades the account too."""
        return any(each.deed in HANDS for each in self.deeds)

    @property
    def is_peaceful(self) -> bool:
        """Whether nothing at all goes wrong."""
        return self.has_sound_lines and not (self.bars or self.deeds)

    @property
    def has_sound_lines(self) -> bool:
        """Whether the broker always hears and answers, and the process lives."""
        faults = (self.commands, self.questions, self.frames, self.crash_at)
        return not (any(faults) or self.disk_pct or self.crash_every)

    def dice(self, about: str) -> Random:
        """The dice of one matter."""
        return Random(f"{about} {self.seed}")


RATES = {Level.LIGHT: (0.005, 0.02), Level.HEAVY: (0.01, 0.03, 0.10, 0.25)}
DEATHS = {Level.LIGHT: (0, 0, 400), Level.HEAVY: (0, 400, 150, 60)}
TICKS_S = (1.0, 5.0, 10.0)
"""A daemon looks at the clock every real second, which is more than these at a plan's speed."""
DEEDS_MOST = {Level.LIGHT: 1, Level.HEAVY: 4}


def draw(seed: int, level: Level, minutes: int = 40, days: int = 2) -> Plan:
    """The plan of a seed at a level."""
    chance = Random(f"plan {seed} {level}")
    paths = tuple(chance.choice(PATHS) for _ in range(days))
    base = Plan(
        seed=seed,
        level=level,
        paths=paths,
        minutes=minutes,
        speed=chance.choice((20, 30, 60)),
        has_targets=chance.random() < 0.4,
        partial_pct=chance.choice((0, 30, 60)),
    )
    if level is Level.NONE:
        return base
    rates = RATES[level]

    def some(kinds: Sequence[Kind], share: float) -> dict[Kind, float]:
        return {kind: chance.choice(rates) for kind in kinds if chance.random() < share}

    return replace(
        base,
        latency_s=chance.choice((0.02, 0.1, 0.5)),
        commands=some(COMMAND_FAULTS, 0.4),
        questions=some(QUESTION_FAULTS, 0.4),
        frames=some(tuple(FrameFault), 0.4),
        bars=some(tuple(BarFault), 0.3),
        lag_s=chance.choice((0.5, 1.5, 3.0)),
        disk_pct=chance.choice((0.0, 0.0, 0.002, 0.01)),
        crash_every=chance.choice(DEATHS[level]),
        down_s=chance.choice((0.5, 3.0, 20.0)),
        deeds=tuple(
            Appointment(
                chance.randrange(days),
                chance.randrange(3, minutes - 8),
                chance.choice(tuple(Deed)),
                chance.choice(SYMBOLS),
            )
            for _ in range(chance.randrange(DEEDS_MOST[level] + 1))
        ),
        tick_s=chance.choice(TICKS_S),
    )

