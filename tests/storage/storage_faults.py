"""Experiments with a disk that fails: each call of a history, in every way, each in its own run.

A run fails, ends in good order or by a kill, starts while the fault lasts and when it is over; the
power is cut at the fault, after the restart and at the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from random import Random

from storage_disk import FAULTS, Call, Fault, Plan
from storage_histories import LATER, History
from storage_lab import Complaint, Lab, Recording
from storage_life import Life, Story, complaints_about
from storage_platter import Loss

from algo_trader.core.errors import AlgoTraderError
from algo_trader.ledger.errors import LedgerCorrupt, StorageError


class FaultLab(Lab):
    """A lab in which disks fail."""

    def faults(
        self, history: History, every: int = 1, only: Collection[Call] = tuple(Call)
    ) -> Iterator[Complaint]:
        """Fail every `every`-th call of the history, of those kinds, in every way."""
        calls = self.record(history).disk.calls
        wanted = [at for at, call in enumerate(calls) if call in only]
        for at in wanted[::every]:
            for fault in FAULTS[calls[at]]:
                for is_for_ever in (False, True):
                    for is_killed in (False, True):
                        plan = Plan(at, fault, is_for_ever)
                        for what in self.failed(history, plan, is_killed=is_killed):
                            ending = "killed" if is_killed else "closed"
                            yield Complaint(history.name, f"{plan}, {ending}", what)

    def failed(self, history: History, plan: Plan, *, is_killed: bool) -> Iterator[str]:
        """Run into one fault; every way in which it is not as it should be, then or later."""
        base = history.base()
        self.counts[f"fault: {plan.fault}{' for ever' if plan.is_for_ever else ''}"] += 1
        with self.disk(base.files, plan) as disk:
            life = Life(disk, base.story(), self.kind)
            yield from self._runs_into(history, life)
            with suppress(AlgoTraderError):
                if not is_killed and life.ledger is not None:
                    life.close()
            life.die()
            story, at = life.story, len(disk.ops)
            if plan.is_for_ever:
                yield from self._starts_in_trouble(Life(disk, Story(story.before)))
            disk.heal()
            life = Life(disk, Story(story.before, is_older=story.is_older_at(at)))
            what = list(complaints_about(life, story, at))
            yield from what
            read_at = len(disk.ops)
            if not what:
                yield from self.goes_on(life)
            life.die()
        if what:
            return
        # What a fault left undecided is decided for good by the next commit, not by being read.
        for recording, when, number in (
            (Recording(disk, story), "at the fault", at),
            (Recording(disk, story), "after the restart", read_at),
            (Recording(disk, life.story), "at the end", len(disk.ops)),
        ):
            is_known = plan.fault is Fault.SYNC_DROPS and recording.story is story
            yield from self._cut_later(recording, number, when, is_known=is_known)

    def _runs_into(self, history: History, life: Life) -> Iterator[str]:
        try:
            history.live(life)
        except AlgoTraderError as error:
            self.counts[f"told: {type(error).__name__}"] += 1
        except Exception as error:  # noqa: BLE001 - that is what is looked for.
            yield f"a traceback: {type(error).__name__}: {error}"
        else:
            self.counts["told: nothing, the work is done"] += 1
            return
        if life.ledger is None or not life.ledger.is_poisoned:
            return
        try:
            life.ledger.append(LATER)
        except StorageError:
            self.counts["refused after a fault"] += 1
        else:
            yield "it takes a fact after it has failed"

    def _starts_in_trouble(self, life: Life) -> Iterator[str]:
        """A start while the fault lasts works or is refused in our words."""
        try:
            life.start()
        except AlgoTraderError:
            self.counts["starts refused while a fault lasts"] += 1
        except Exception as error:  # noqa: BLE001 - as above.
            yield f"a traceback at the start: {type(error).__name__}: {error}"
        life.die()

    def _cut_later(
        self, recording: Recording, at: int, when: str, *, is_known: bool
    ) -> Iterator[str]:
        """Cut the power when `at` operations were done. Damage that the start tells of is known
        where the system forgot pages, and nothing was committed since.
        """
        platter = recording.disk.platter()
        for op in recording.disk.ops[:at]:
            platter.do(op)
        for loss in Loss:
            for seed in range(self.seeds if loss is Loss.TORN else 1):
                self.counts["images"] += 1
                files = platter.after(loss, Random(f"{at} {seed}"))
                for what in self.judged(files, recording.story, at)[0]:
                    if is_known and what.startswith(LedgerCorrupt.__name__):
                        self.counts["forgotten pages: damage told at the start"] += 1
                    else:
                        yield f"{loss} (seed {seed}) {when}: {what}"
