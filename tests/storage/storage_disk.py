"""A simulated disk under one folder: it keeps a record of all that is done, and fails when told.

Owns what a process gets to hear. The real files in the folder are what processes see (the page
cache); the record is what a platter is made from (see storage_platter). Calls are numbered from 0
in the order in which they come, and a fault is planned for a number. SQLite's calls come through
storage_vfs; Python's own (a backup's fsync, rename, unlink) through the functions of `os`, which
are the disk's while it is mounted.

A process that is killed goes on being heard (its connection is closed by Python some time), but
nothing that it does is carried out.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import storage_vfs as vfs
from storage_platter import SECTOR, Change, Op, Platter


class Fault(StrEnum):
    """What a call is answered with instead of being carried out."""

    FULL = "ENOSPC"
    WRITE = "EIO on write"
    READ = "EIO on read"
    SHORT = "short read"
    SYNC = "EIO on fsync"
    SYNC_DROPS = "EIO on fsync, pages forgotten"
    OTHER = "EIO on unlink, rename or truncate"


class Call(StrEnum):
    """What a process asks of the disk."""

    MAKE = "make"
    READ = "read"
    WRITE = "write"
    CUT = "cut"
    SYNC = "sync"
    UNLINK = "unlink"
    RENAME = "rename"


FAULTS: dict[Call, tuple[Fault, ...]] = {
    Call.MAKE: (Fault.FULL,),
    Call.READ: (Fault.READ, Fault.SHORT),
    Call.WRITE: (Fault.FULL, Fault.WRITE),
    Call.CUT: (Fault.OTHER,),
    Call.SYNC: (Fault.SYNC, Fault.SYNC_DROPS),
    Call.UNLINK: (Fault.OTHER,),
    Call.RENAME: (Fault.FULL, Fault.OTHER),
}
"""What can happen to each call."""
_ANSWERS = {
    Call.MAKE: vfs.CANTOPEN,
    Call.CUT: vfs.IOERR_TRUNCATE,
    Call.SYNC: vfs.IOERR_FSYNC,
    Call.UNLINK: vfs.IOERR_DELETE,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A fault at the call with a number; for ever: also at all later ones that it can befall."""

    at: int
    fault: Fault
    is_for_ever: bool = False

    def befalls(self, number: int, call: Call) -> bool:
        """Whether it happens to this call."""
        if number == self.at:
            return True
        return self.is_for_ever and number > self.at and self.fault in FAULTS[call]


class Disk:
    """The disk of a folder. `is_lying`: syncs are answered, and nothing is saved."""

    def __init__(self, folder: Path, plan: Plan | None = None, *, is_lying: bool = False) -> None:
        self.folder = folder
        self.plan = plan
        self.ops: list[Op] = []
        self.calls: list[Call] = []
        self.hits = 0
        self.is_lying = is_lying
        self._is_cut_off = False
        self._begins_with = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        self._names = set(self._begins_with)

    def platter(self) -> Platter:
        """The platter as it was before the first operation; all that was there was safe."""
        return Platter(self._begins_with)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Close what a killed process left open, without it having any effect."""
        self._is_cut_off = True
        try:
            yield
        finally:
            self._is_cut_off = False

    def heal(self) -> None:
        """No more faults."""
        self.plan = None

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """SQLite and the functions of `os` go by this disk."""
        with ExitStack() as stack:
            stack.enter_context(vfs.mounted(self.folder, self))
            for name, mine in (
                ("fsync", self._os_fsync),
                ("replace", self._os_replace),
                ("unlink", self._os_unlink),
            ):
                stack.callback(setattr, os, name, getattr(os, name))
                setattr(os, name, mine(getattr(os, name)))
            yield

    # -- SQLite's calls --

    def opening(self, name: str, flags: int) -> int:
        """A file is opened."""
        if self._is_cut_off:
            return vfs.CANTOPEN
        if name in self._names or not flags & vfs.CREATE:
            return vfs.OK
        if self._fault(Call.MAKE):
            return vfs.CANTOPEN
        self._names.add(name)
        return self._done(Op(Change.MADE, name))

    def reading(self, name: str) -> int:
        """Bytes are read."""
        if self._is_cut_off:
            return vfs.IOERR_READ
        fault = self._fault(Call.READ)
        if fault is None:
            return vfs.OK
        return vfs.SHORT_READ if fault is Fault.SHORT else vfs.IOERR_READ

    def writing(self, name: str, data: bytes, offset: int) -> tuple[int, int]:
        """Bytes are written; a full disk takes the first sectors of them."""
        if self._is_cut_off:
            return vfs.IOERR_WRITE, 0
        fault = self._fault(Call.WRITE)
        if fault is None:
            return self._done(Op(Change.WRITTEN, name, offset, data)), len(data)
        if fault is Fault.WRITE:
            return vfs.IOERR_WRITE, 0
        fits = len(data) // 2 // SECTOR * SECTOR
        if fits:
            self._done(Op(Change.WRITTEN, name, offset, data[:fits]))
        return vfs.FULL, fits

    def truncating(self, name: str, size: int) -> int:
        """A file is cut."""
        return self._simple(Call.CUT, Op(Change.CUT, name, size))

    def syncing(self, name: str, *, with_names: bool) -> int:
        """A file is synced, the first time with the folder if it is a journal."""
        if self._is_cut_off:
            return vfs.IOERR_FSYNC
        if self._sync(name):
            return vfs.IOERR_FSYNC
        if with_names:
            self._saved(Op(Change.NAMES_SYNCED))
        return vfs.OK

    def deleting(self, name: str, *, with_names: bool) -> int:
        """A file is unlinked."""
        if not self._is_cut_off and name not in self._names:
            return vfs.OK
        answer = self._simple(Call.UNLINK, Op(Change.UNLINKED, name))
        if answer == vfs.OK:
            self._names.discard(name)
            if with_names:
                self._saved(Op(Change.NAMES_SYNCED))
        return answer

    # -- Python's calls --

    def _os_fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            found = os.fstat(descriptor)
            for path in (self.folder, *self.folder.iterdir()):
                if os.path.samestat(found, path.stat()):
                    self._adopt(path)
                    self._require(not self._sync("" if path == self.folder else path.name), path)
            real(descriptor)

        return fsync

    def _os_replace(self, real: Callable[..., None]) -> Callable[..., None]:
        def replace(source: Any, target: Any) -> None:
            old, new = Path(source), Path(target)
            if old.parent == self.folder:
                self._adopt(old)
                self._require(self._fault(Call.RENAME) is None, new)
                self._names.discard(old.name)
                self._names.add(new.name)
                self._done(Op(Change.RENAMED, old.name, other=new.name))
            real(source, target)

        return replace

    def _os_unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def unlink(path: Any, **more: Any) -> None:
            name = Path(path).name
            if Path(path).parent == self.folder and name in self._names:
                self._require(self._fault(Call.UNLINK) is None, Path(path))
                self._names.discard(name)
                self._done(Op(Change.UNLINKED, name))
            real(path, **more)

        return unlink

    def _adopt(self, path: Path) -> None:
        """Take note of a file that Python made and wrote: it is on its way since now."""
        if path != self.folder and path.name not in self._names:
            self._names.add(path.name)
            self._done(Op(Change.MADE, path.name))
            self._done(Op(Change.WRITTEN, path.name, 0, path.read_bytes()))

    def _require(self, is_well: bool, path: Path) -> None:
        if self._is_cut_off or not is_well:
            full = self.plan is not None and self.plan.fault is Fault.FULL
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, os.strerror(number), str(path))

    # -- inside --

    def _simple(self, call: Call, op: Op) -> int:
        if self._is_cut_off or self._fault(call):
            return _ANSWERS[call]
        return self._done(op)

    def _sync(self, name: str) -> bool:
        """Sync a file, or without a name the folder; whether it failed."""
        fault = self._fault(Call.SYNC)
        if fault is not None:
            if name:
                self._done(Op(Change.SYNC_FAILED, name, drops=fault is Fault.SYNC_DROPS))
            return True
        self._saved(Op(Change.SYNCED, name) if name else Op(Change.NAMES_SYNCED))
        return False

    def _saved(self, op: Op) -> None:
        if not self.is_lying:
            self._done(op)

    def _done(self, op: Op) -> int:
        self.ops.append(op)
        return vfs.OK

    def _fault(self, call: Call) -> Fault | None:
        number = len(self.calls)
        self.calls.append(call)
        if self.plan is None or not self.plan.befalls(number, call):
            return None
        self.hits += 1
        return self.plan.fault
