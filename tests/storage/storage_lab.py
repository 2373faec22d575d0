"""Experiments: a history on the simulated disk, cut or failed at every operation, and the verdict.

A history is run once with a record; from it the platter after every operation is made, and for each
what a power cut may leave. That is laid out as real files, on which the ledger is started again, on
a disk that keeps a record too: so the restart can be cut at every operation in turn.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from recorded import OPENS_AT
from storage_disk import Disk, Plan
from storage_histories import History, between_versions
from storage_life import BEFORE, NAME, REAL, Kind, Life, State, Story, complaints_about, state_of
from storage_platter import Loss

from algo_trader.core.errors import AlgoTraderError
from algo_trader.core.events import SettingChanged

MEMORY = Path("/dev/shm")
SMALL = SettingChanged(at=OPENS_AT + 172_800, key="risk.y", value="1")


class Complaint(NamedTuple):
    """What is wrong, and where to see it again."""

    history: str
    where: str
    what: str


class Recording(NamedTuple):
    """A disk's record of a run, and the story that goes with it."""

    disk: Disk
    story: Story


class Lab:
    """Folders in memory, the verdicts on images seen before, and what was counted."""

    def __init__(self, kind: Kind = REAL, seeds: int = 2) -> None:
        self.kind, self.seeds = kind, seeds
        self.counts: Counter[str] = Counter()
        self._seen: dict[tuple[str, ...], list[str]] = {}

    @contextmanager
    def disk(self, files: Mapping[str, bytes], plan: Plan | None = None) -> Iterator[Disk]:
        """A mounted disk with files that are safe."""
        name = tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        try:
            for file, data in files.items():
                Path(name, file).write_bytes(data)
            disk = Disk(Path(name), plan)
            with disk.mounted():
                yield disk
        finally:
            shutil.rmtree(name)

    def record(self, history: History) -> Recording:
        """The history's run without any fault."""
        base = history.base()
        with self.disk(base.files) as disk:
            life = Life(disk, base.story(), self.kind)
            history.live(life)
            life.die()
        self.counts["operations"] += len(disk.ops)
        self.counts["appends and other steps acknowledged"] += len(life.story.steps)
        return Recording(disk, life.story)

    # -- lies --

    def lies(self, history: History) -> Iterator[Complaint]:
        """Cut the power of a disk that saves nothing when it is told to sync. What is on it then is
        no software's to answer for; it is to be told, or to be a state that once was.
        """
        base = history.base()
        with self.disk(base.files) as disk:
            disk.is_lying = True
            life = Life(disk, base.story(), self.kind)
            history.live(life)
            life.die()
        once = [life.story.before, *(step.after for step in life.story.steps)]
        seen: dict[str, State | None] = {}
        for where, at, files in self._images(Recording(disk, life.story)):
            digest = _digest(files)
            if digest not in seen:
                self.counts["distinct images opened"] += 1
                with self.disk(files) as after:
                    seen[digest] = self._found(after)
            found = seen[digest]
            if found is None:
                self.counts["lying disk: told"] += 1
            elif found in life.story.may_be(at):
                self.counts["lying disk: nothing lost"] += 1
            elif found in once:
                self.counts["lying disk: an earlier state"] += 1
            elif NAME not in files:  # Its very name is lost: a start makes a new one.
                self.counts["lying disk: the file is gone"] += 1
            else:
                yield Complaint(history.name, where, f"a lie is believed: {found}")

    def _found(self, disk: Disk) -> State | None:
        """What a start finds; None if it is refused, or does not verify."""
        life = Life(disk, Story(State()))
        try:
            life.start()
            return state_of(life.opened) if not life.opened.verify() else None
        except AlgoTraderError:
            return None
        finally:
            life.die()

    # -- power cuts --

    def cuts(self, history: History, *, again: int = 0) -> Iterator[Complaint]:
        """Cut the power after every operation of the history; of the restart, too, at every
        `again`-th operation (0: never).
        """
        recording = self.record(history)
        for where, at, files in self._images(recording):
            what, restart = self.judged(files, recording.story, at)
            for complaint in what:
                yield Complaint(history.name, where, complaint)
            if not again or what or restart is None:
                continue
            for second, later, rest in self._images(restart, again):
                for complaint in self.judged(rest, restart.story, later)[0]:
                    yield Complaint(history.name, f"{where}, then {second}", complaint)

    def _images(
        self, recording: Recording, every: int = 1
    ) -> Iterator[tuple[str, int, dict[str, bytes]]]:
        """What a cut leaves, after every operation and in every way; where, and the number."""
        platter = recording.disk.platter()
        ops = recording.disk.ops
        for at in range(len(ops) + 1):
            if at:
                platter.do(ops[at - 1])
            if at % every:
                continue
            self.counts["power cuts"] += 1
            for loss in Loss:
                for seed in range(self.seeds if loss is Loss.TORN else 1):
                    self.counts["images"] += 1
                    files = platter.after(loss, Random(f"{at} {seed}"))
                    yield f"after operation {at}, {loss} (seed {seed})", at, files

    def judged(
        self, files: dict[str, bytes], story: Story, at: int
    ) -> tuple[list[str], Recording | None]:
        """What is wrong with the ledger when it is started on these files; the record of the start
        unless the same was seen before.
        """
        may_be, copies = story.may_be(at), story.copies_may_be(at)
        known = (_digest(files), repr(hash((*may_be,))), repr(copies))
        if known in self._seen:
            return self._seen[known], None
        self.counts["distinct images opened"] += 1
        self._seen[known], restart = self._restarted(files, story, at)
        return self._seen[known], restart

    def _restarted(
        self, files: dict[str, bytes], story: Story, at: int
    ) -> tuple[list[str], Recording]:
        what = []
        if any(step.copies == BEFORE for step in story.steps):
            with self.disk(files) as disk:
                what.extend(between_versions(disk.folder / NAME))
        with self.disk(files) as disk:
            life = Life(disk, Story(story.before, is_older=story.is_older_at(at)), REAL)
            what.extend(complaints_about(life, story, at))
            if not what:
                what.extend(self.goes_on(life))
            life.die()
        return what, Recording(disk, life.story)

    def goes_on(self, life: Life) -> Iterator[str]:
        """Whatever is wrong with writing to a ledger that was found right."""
        try:
            life.append([SMALL])
            yield from life.opened.verify()
            life.close()
        except (AlgoTraderError, sqlite3.Error) as error:
            yield f"it does not go on: {type(error).__name__}: {error}"
        for ending in ("-wal", "-journal"):
            if life.path.with_name(life.path.name + ending).exists():
                yield f"{ending} is left by a ledger that was closed"


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()
