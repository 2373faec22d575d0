"""How a mistake is planted in the real daemon for the length of a run, and how it is found out.

A mutant swaps one or two functions or constants of the real code for wrong ones while its context
lasts. A run that complains is over at once: what a mutant does after its mistake has shown proves
nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from algo_trader.cli.simulate import ROOM
from algo_trader.config.loading import load_settings
from algo_trader.core.errors import StrategyError
from algo_trader.simulation.campaign import Setup
from algo_trader.simulation.plan import (
    COMMAND_FAULTS,
    QUESTION_FAULTS,
    SYMBOLS,
    Appointment,
    BarFault,
    Deed,
    Fault,
    FrameFault,
    Level,
    Plan,
    draw,
)
from algo_trader.simulation.world import World


@dataclass(frozen=True, slots=True)
class Swap:
    """`make` is given what `owner` has under `name` and returns what stands there instead."""

    owner: Any
    name: str
    make: Callable[[Any], Any]

    @contextmanager
    def done(self) -> Iterator[None]:
        """While it lasts."""
        own = vars(self.owner)
        before = own[self.name]
        setattr(self.owner, self.name, self.make(before))
        try:
            yield
        finally:
            setattr(self.owner, self.name, before)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A daemon that makes one mistake. `mistake` says which one of real programs it is."""

    name: str
    mistake: str
    swaps: Sequence[Swap]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While it lasts the daemon makes the mistake."""
        with ExitStack() as stack:
            for swap in self.swaps:
                stack.enter_context(swap.done())
            yield


class Case(NamedTuple):
    """A run: of a campaign at a level, or a short day on which one thing alone goes wrong."""

    seed: int
    level: Level = Level.NONE
    minutes: int = 30
    days: int = 1
    alone: str = ""

    def __str__(self) -> str:
        what = f"{self.alone} alone" if self.alone else f"faults {self.level}"
        return f"seed {self.seed}, {what}, {self.days} x {self.minutes} min"

    @property
    def plan(self) -> Plan:
        """What it holds in store."""
        plan = draw(self.seed, self.level, self.minutes, self.days)
        if self.alone:
            plan = replace(plan, **{"latency_s": 0.1, **ALONE[self.alone]})
        return plan


def quiet(seed: int) -> Case:
    """A day on which nothing goes wrong."""
    return Case(seed)


def alone(what: str, seed: int) -> Case:
    """A day on which this alone goes wrong, often."""
    return Case(seed, alone=what)


def heavy(seed: int) -> Case:
    """A run of `algo-trader simulate --faults heavy`."""
    return Case(seed, Level.HEAVY, 40, 2)


def _thrice(deed: Deed) -> tuple[Appointment, ...]:
    return tuple(
        Appointment(0, minute, deed, symbol)
        for minute, symbol in zip((5, 10, 15), SYMBOLS, strict=True)
    )


OFTEN = 0.25
ALONE: dict[str, dict[str, Any]] = {
    **{f"command {fault}": {"commands": {fault: OFTEN}} for fault in COMMAND_FAULTS},
    **{
        f"question {fault}": {"questions": {fault: OFTEN}, "lag_s": 3.0}
        for fault in QUESTION_FAULTS
    },
    **{f"frame {fault}": {"frames": {fault: OFTEN}} for fault in FrameFault},
    **{f"bar {fault}": {"bars": {fault: OFTEN}} for fault in BarFault},
    **{str(deed): {"deeds": _thrice(deed)} for deed in Deed},
    "slow lines and part fills": {"partial_pct": 90, "latency_s": 0.5, "speed": 60},
    "deeds that nobody hears of": {
        "frames": {FrameFault.DROPPED: 0.7},
        "deeds": (*_thrice(Deed.BUYS), *_thrice(Deed.LOSES_STOP)),
    },
    "disk": {"disk_pct": 0.02},
    "deaths": {"crash_every": 80},
    "deaths and lost commands": {"crash_every": 60, "commands": {Fault.LOST: OFTEN}},
    "deaths under a halt": {"crash_every": 80, "deeds": _thrice(Deed.HALTS)},
}
"""What may go wrong alone."""


def complaint(case: Case, mutant: Mutant | None = None) -> str | None:
    """The first complaint of a run, None if there is none."""
    said: list[str] = []

    def make(complain: Callable[[World, str], None]) -> Callable[[World, str], None]:
        def and_end(world: World, detail: str) -> None:
            complain(world, detail)
            if not said:
                asyncio.get_running_loop().stop()
            said.append(detail)

        return and_end

    planted = () if mutant is None else mutant.swaps
    # The loop that was stopped says so by an error, which is what is wanted here.
    with Swap(World, "complain", make).done(), ExitStack() as stack, suppress(RuntimeError):
        for swap in planted:
            stack.enter_context(swap.done())
        try:
            said += setup(case).play_plan(case.plan).complaints
        except StrategyError as error:  # The core's own refusal, in a strategy's turn.
            said.append(str(error))
    return said[0] if said else None


def setup(case: Case) -> Setup:
    """The settings of `simulate` with the built-in strategy."""
    loaded = load_settings(
        env_file=None, environ={}, overrides=[*ROOM, f"watchlist={','.join(SYMBOLS)}"]
    )
    return Setup(
        settings=loaded.settings, level=case.level, minutes=case.minutes, days=case.days
    )


def constant(value: Any) -> Callable[[Any], Any]:
    """A swap for a constant."""
    return lambda before: value


def never(before: Any) -> Callable[..., bool]:
    """A question whose answer is always no."""
    return lambda *given, **named: False


def always(before: Any) -> Callable[..., bool]:
    """A question whose answer is always yes."""
    return lambda *given, **named: True


def nothing(before: Any) -> Callable[..., None]:
    """A deed that is not done."""
    return lambda *given, **named: None


def nothing_at_last(before: Any) -> Callable[..., Any]:
    """The same for one that is awaited."""

    async def done(*given: Any, **named: Any) -> None:
        return None

    return done
