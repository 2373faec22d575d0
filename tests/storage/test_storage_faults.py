"""The disk says no: all are told, nothing is written after it, a restart finds all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from recorded import WHEN
from storage_disk import FAULTS, Call, Disk, Fault, Plan
from storage_faults import FaultLab
from storage_histories import HELD, HISTORIES, HOLDING, LATER, STEPS, History
from storage_life import NAME, Life, Story, state_of
from storage_vfs import missing

from algo_trader.core.events import Fact
from algo_trader.ledger.codec import encode
from algo_trader.ledger.errors import StorageError
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer

pytestmark = pytest.mark.skipif(bool(missing().reason), reason=missing().reason)
NAMED = {history.name: history for history in HISTORIES}


def test_some_calls_fail() -> None:
    """Goal: an error of the disk is told as ours, ends the ledger, and leaves all or nothing.

    Method: see storage_lab: fail, end in good order or by a kill, start while the fault lasts and
    after it, cut the power at three moments.
    """
    lab = FaultLab(seeds=1)
    assert list(lab.faults(NAMED["append"], 40, [Call.WRITE, Call.SYNC])) == []
    assert lab.counts["told: StorageError"]


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_every_change_fails(history: History) -> None:
    """Goal: the same for every call that changes the disk."""
    assert list(FaultLab(seeds=1).faults(history, only=set(Call) - {Call.READ})) == []


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_every_read_fails(history: History) -> None:
    """Goal: the same for every read, also one that brings too little."""
    assert list(FaultLab(seeds=1).faults(history, only=[Call.READ])) == []


class Heard:
    """What the callers of a writer heard: of each append in turn, None or an error."""

    def __init__(self, disk: Disk, steps: Sequence[Sequence[Fact]], *, is_grouping: bool) -> None:
        self.results: list[object] = []
        self.late: object = None
        asyncio.run(asyncio.wait_for(self._run(disk, steps, is_grouping), 30))

    async def _run(self, disk: Disk, steps: Sequence[Sequence[Fact]], is_grouping: bool) -> None:
        path = disk.folder / NAME
        writer = Writer(lambda: Ledger.open(path, lambda: WHEN), is_grouping=is_grouping)
        try:
            await writer.start()
        except StorageError as error:
            self.results = [error] * len(steps)
        else:
            waiting = (writer.append(step) for step in steps)
            self.results = list(await asyncio.gather(*waiting, return_exceptions=True))
            (self.late,) = await asyncio.gather(writer.append(LATER), return_exceptions=True)
        await writer.close()
        assert writer.ended.is_set()


@pytest.mark.parametrize("is_grouping", [False, True])
@pytest.mark.parametrize("fault", [Fault.FULL, Fault.WRITE, Fault.SYNC])
def test_all_who_wait_are_told(fault: Fault, is_grouping: bool) -> None:
    """Goal: after the first error nobody hears that an append is done, and nobody waits for ever;
    what was heard to be done is in the file, and beyond it at most what was under way.
    """
    steps = STEPS[HELD : HELD + 4]
    failed = 0
    with FaultLab().disk(HOLDING().files) as disk:
        Heard(disk, steps, is_grouping=is_grouping)
        calls = disk.calls
    for at in [at for at, call in enumerate(calls) if fault in FAULTS[call]][::9]:
        with FaultLab().disk(HOLDING().files, Plan(at, fault)) as disk:
            heard = Heard(disk, steps, is_grouping=is_grouping)
            disk.heal()
            life = Life(disk, Story(HOLDING().state))
            life.start()
            there = state_of(life.opened).facts
            assert life.opened.verify() == []
            life.close()
        told = [result is None for result in heard.results]
        assert told == sorted(told, reverse=True)
        assert all(isinstance(result, StorageError | None) for result in heard.results)
        if not all(told):
            failed += 1
            assert isinstance(heard.late, StorageError) or disk.hits == 0 or heard.late is None
        facts = [*HOLDING().state.facts]
        wholes = [tuple(facts)]
        later: Sequence[Fact] = LATER
        for step in (*steps, later):
            facts.extend(map(encode, step))
            wholes.append(tuple(facts))
        assert there in wholes[sum(told) :]
    assert failed
