"""A series of deaths on one account: what kills each life, and what is found after it.

A cycle is one life: start, reconcile, trade for a moment, die; then the oracle is asked. Every few
cycles the market stands for a moment and everything must be equal, not only what had happened
before the life began. The draws are made by the seed: the same seed kills in the same ways.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from kill_oracle import uncovered
from kill_points import CALL_MOST, CALLS, IN_PARTS, POINTS, STARTING, STORAGE, TRADING, Point
from kill_world import Life, TooLate, World, traced

MEETS_S = 4.0
"""Real seconds of trading within which a point is met, or the life ends anywhere."""
BEGINS_S = 40.0
"""The same for what is met while a daemon begins, on a machine that has much to do."""
STOOD_S = (0.3, 3.0)
LONG_S = 15.0
STORM = 10
"""Starts that are killed one after the other."""
UNANSWERED_MOST = 2
"""So many symbols may stand still until a life is long enough to prove that an order is absent."""
STORAGE_FAILED = 75
ALREADY_RUNNING = 4
KINDS = {
    "point": 40, "start_point": 15, "random": 15, "syscall": 12, "quiet": 8, "stopped": 3,
    "storage": 3, "stood": 2, "storm": 1, "second": 1, "clock": 1,
    "long": 1,
}  # fmt: skip
"""What a life dies of, and how often of a hundred."""
TRACED = frozenset({"syscall", "storage"})


@dataclass
class Tally:
    """What a series has come to."""

    cycles: int = 0
    kills: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    """Real seconds, by kind."""
    points: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    bare_s: list[float] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    alerts: int = 0


class Series:
    """The lives of one account, one after the other."""

    def __init__(
        self, world: World, seed: int, *, in_parts: bool, may_trace: bool, storm: int = STORM
    ) -> None:
        self.world = world
        self._storm = storm
        self.chance = Random(f"series-{seed}")
        self.tally = Tally()
        self._seed = seed
        self._points = (*TRADING, *IN_PARTS) if in_parts else TRADING
        self._kinds = {k: n for k, n in KINDS.items() if may_trace or k not in TRACED}

    def run(self, most: int, is_enough: Callable[[], bool] = lambda: False) -> Tally:
        """So many cycles, or until the bars have ended, a finding is made or it `is_enough`."""
        world, tally = self.world, self.tally
        while tally.cycles < most and not (world.market.is_over or tally.findings or is_enough()):
            kind = self.chance.choices([*self._kinds], [*self._kinds.values()])[0]
            self.cycle("settled" if len(world.unanswered) >= UNANSWERED_MOST else kind)
        if not tally.findings:
            self.cycle("settled")
        self._sum_up()
        return tally

    def cycle(self, kind: str, point: Point | None = None) -> None:
        """One life that dies of this kind."""
        self.tally.kinds[kind] += 1
        began = time.monotonic()
        deaths: dict[str, Callable[[], str]] = {
            "point": lambda: self._at_point(point or self.chance.choice(self._points)),
            "start_point": lambda: self._at_point(point or self.chance.choice(STARTING)),
            "random": self._at_random,
            "syscall": self._at_syscall,
            "quiet": lambda: self._in_quiet("quiet"),
            "settled": lambda: self._in_quiet("settled"),
            "stopped": lambda: self._in_quiet("stopped"),
            "storage": self._of_storage,
            "stood": self._after_standing,
            "storm": self._in_storm,
            "second": self._beside_second,
            "clock": self._after_clock_jump,
            "long": self._after_long,
        }
        try:
            what = deaths[kind]()
        except TooLate as late:
            what = kind
            self._find(kind, [f"too late: {late}"])
        for life in self.world.lives:
            if life.is_alive:
                self.world.hit(life)
        self.tally.cycles += 1
        in_quiet = kind in ("quiet", "settled", "stopped")
        is_quiet = in_quiet and (kind == "stopped" or self.world.was_still(self.world.lives[-1]))
        if in_quiet and not is_quiet:
            self.tally.missed["quiet"] += 1
        if not (in_quiet and self.tally.findings):
            is_settled = kind == "settled" and is_quiet
            self._find(what, self.world.judged(is_quiet=is_quiet, is_settled=is_settled))
        if in_quiet:
            self.world.stand(False)
        self.tally.seconds[kind] += round(time.monotonic() - began)

    # -- ways to die --

    def _at_point(self, point: Point) -> str:
        world = self.world
        if point.at_start:
            self._arm(point)
            life = world.start()
        else:
            life = world.start()
            if world.wait_ready(life):
                self._arm(point)
        is_met = self._met(point, life)
        if is_met:
            time.sleep(self.chance.uniform(0, point.after_s))
        self._kill(life)
        world.clear_faults()
        (self.tally.points if is_met else self.tally.missed)[point.name] += 1
        return point.name

    def _arm(self, point: Point) -> None:
        self.world.look()
        if point.fault is not None:
            self.world.inject(**point.fault)

    def _met(self, point: Point, life: Life) -> bool:
        sent: dict[str, tuple[str, str]] = {}

        def answer() -> str:
            if any(point.is_seen(entry, sent) for entry in self.world.look()):
                return "met"
            life.look()
            is_past = point.at_start and life.span.ready_at is not None
            return "past" if is_past or not life.is_alive else ""

        try:
            patience_s = BEGINS_S if point.at_start else MEETS_S
            return bool(self.world.until(point.name, answer, patience_s) == "met")
        except TooLate:
            return False

    def _at_random(self) -> str:
        life = self.world.start()
        if self.chance.random() < 0.4:
            time.sleep(self.chance.uniform(0.3, 1.2))
        elif self.world.wait_ready(life):
            time.sleep(self.chance.uniform(0, 1.5))
        self._kill(life)
        return "random"

    def _at_syscall(self) -> str:
        call = self.chance.choice(CALLS)
        number = self.chance.randint(1, CALL_MOST[call])
        name = f"{call}_{number}"
        paths = (self.world.ledger, self.world.ledger.with_name("trading.db-wal"))
        where = paths if call in ("pwrite64", "fdatasync") else ()
        life = self.world.start(by=[*traced(call, f"signal=KILL:when={number}", *where)])
        self._ends_by_itself(life, name)
        return name

    def _ends_by_itself(self, life: Life, name: str) -> bool:
        def answer() -> str:
            life.look()
            ready_at = life.span.ready_at
            is_past = ready_at is not None and time.time() > ready_at + MEETS_S
            return "ended" if not life.is_alive else "past" if is_past else ""

        if self.world.until(name, answer, BEGINS_S) == "past":
            self.tally.missed[name.rpartition("_")[0]] += 1
            self._kill(life)
            return False
        self.world.hit(life)
        self.tally.kills += life.process.returncode == -signal.SIGKILL
        self.tally.points[name.rpartition("_")[0]] += 1
        return True

    def _in_quiet(self, kind: str) -> str:
        world = self.world
        life = world.start()
        if world.wait_ready(life):
            world.stand(True)
            if kind == "settled":
                world.wait_answered(life)
            world.wait_quiet(life)
        if kind != "stopped":
            self._kill(life)
        elif (code := world.stopped(life)) != 0:
            self._find(kind, [f"exit: {code} after SIGTERM: {life.said()[-300:]}"])
        return kind

    def _of_storage(self) -> str:
        call, error = self.chance.choice(STORAGE)
        number = self.chance.randint(1, CALL_MOST[call] // 4)
        name = f"{call}_{error}_{number}"
        paths = (self.world.ledger, self.world.ledger.with_name("trading.db-wal"))
        life = self.world.start(by=[*traced(call, f"error={error}:when={number}+", *paths)])
        has_ended = self._ends_by_itself(life, name)
        code = life.process.returncode
        if has_ended and code != STORAGE_FAILED:
            self._find(name, [f"exit: {code}, not {STORAGE_FAILED}: {life.said()[-300:]}"])
        return name

    def _after_standing(self) -> str:
        life = self.world.start()
        if self.world.wait_ready(life):
            time.sleep(self.chance.uniform(0, 0.7))
            life.process.send_signal(signal.SIGSTOP)
            stood_at = time.time()
            time.sleep(self.chance.uniform(*STOOD_S))
            life.process.send_signal(signal.SIGCONT)
            life.span.pauses.append((stood_at, time.time()))
            time.sleep(self.chance.uniform(0.2, 1.5))
        self._kill(life)
        return "stood"

    def _in_storm(self) -> str:
        for _ in range(self._storm - 1):
            life = self.world.start()
            time.sleep(self.chance.uniform(0.2, 1.3))
            self._kill(life)
            self._find("storm", self.world.judged())
        life = self.world.start()
        self.world.wait_ready(life)
        self._kill(life)
        return "storm"

    def _beside_second(self) -> str:
        life = self.world.start()
        if self.world.wait_ready(life):
            second = self.world.start()
            self.world.until("the second's end", lambda: not second.is_alive)
            self.world.hit(second)
            self.world.lives.remove(second)
            if second.process.returncode != ALREADY_RUNNING:
                self._find("second", [f"exit: {second.process.returncode} of a second daemon"])
        self._kill(life)
        return "second"

    def _after_long(self) -> str:
        life = self.world.start()
        if self.world.wait_ready(life):
            time.sleep(LONG_S)
        self._kill(life)
        return "long"

    def _after_clock_jump(self) -> str:
        """The broker's clock is wrong for a few readings, now and at the next start."""
        seconds = self.chance.choice([-3600, -90, 90, 3600])
        is_early = self.chance.random() < 0.5
        fault = {"on": "clock", "do": "clock_skew", "seconds": seconds, "times": 3}
        if is_early:
            self.world.inject(**fault)
        life = self.world.start()
        if self.world.wait_ready(life):
            if not is_early:
                self.world.inject(**fault)
            time.sleep(self.chance.uniform(0.5, 2.0))
        self._kill(life)
        self.world.clear_faults()
        if seconds > 0:  # A ledger that is ahead of the market is refused, and rightly so.
            ends = time.monotonic() + seconds / self.world.speed
            self.world.until("the market's time", lambda: time.monotonic() > ends, seconds)
        return "clock"

    # -- what is found --

    def _kill(self, life: Life) -> None:
        self.tally.kills += self.world.hit(life) == -signal.SIGKILL

    def _find(self, what: str, lines: list[str]) -> None:
        life = self.world.lives[-1]
        if self.tally.findings and lines:
            known = {line for each in self.tally.findings for line in each["lines"]}
            lines = [line for line in lines if line not in known]
        if "Traceback" in life.said():
            lines = [*lines, f"traceback: {life.file}"]
        if lines:
            self.tally.findings.append(
                {
                    "seed": self._seed, "cycle": self.tally.cycles, "what": what,
                    "lines": lines[:10], "files": str(self.world.place),
                    "log": Path(life.file).name,
                }
            )  # fmt: skip

    def _sum_up(self) -> None:
        world = self.world
        spans = [life.span for life in world.lives]
        self.tally.bare_s = [seconds for _, seconds in uncovered(world.market, spans)]
        self.tally.alerts = sum(span.has_alerted for span in spans)
        self.tally.compared = Counter(world.comparisons)


__all__ = ["POINTS", "Series", "Tally"]
