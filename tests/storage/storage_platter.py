"""What a power cut leaves of a folder: the bytes that are safe, and those on their way.

Owns the physics. A file is an inode: durable bytes and a list of changes since its last sync, in
order. Names are apart from files: making, renaming and unlinking a file are changes of the folder,
safe when the folder is synced; syncing a file does not save its name. A cut may take any of what is
on its way, in any combination, a write at every edge of a 512-byte sector; it leaves alone what is
durable, also the rest of a sector that was written in part.

Stricter than a journalling file system, which keeps the changes of names in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import NamedTuple

SECTOR, PAGE = 512, 4096


class Loss(StrEnum):
    """What happens to what is on its way when the power goes."""

    ALL = "all of it lost"
    TORN = "some of it lost, writes torn"
    NONE = "none of it lost"


class Change(StrEnum):
    """What was done to the disk."""

    MADE = "made"
    WRITTEN = "written"
    CUT = "cut"
    SYNCED = "synced"
    SYNC_FAILED = "sync failed"
    NAMES_SYNCED = "names synced"
    RENAMED = "renamed"
    UNLINKED = "unlinked"


class Op(NamedTuple):
    """One thing done: to the file `name`; `offset` is the new size of a file that is cut, `other`
    the new name of one that is renamed. A failed sync `drops` if later syncs will not make up for
    it: the system forgets that the pages are dirty.
    """

    change: Change
    name: str = ""
    offset: int = 0
    data: bytes = b""
    other: str = ""
    drops: bool = False


class _Write(NamedTuple):
    """Bytes on their way, or with None a new size; forgotten ones are on their way for ever."""

    offset: int
    data: bytes | None
    is_forgotten: bool = False

    def pages(self) -> range:
        """The pages it lies on; a new size lies on none."""
        end = self.offset + len(self.data or b"")
        return range(self.offset // PAGE, -(-end // PAGE)) if self.data else range(0)

    def pieces(self, size: int) -> Iterator[_Write]:
        """Itself, cut at every multiple of `size`."""
        if not self.data:
            yield self
            return
        begin, end = self.offset, self.offset + len(self.data)
        edges = [begin, *range((begin // size + 1) * size, end, size), end]
        for low, high in pairwise(edges):
            yield _Write(low, self.data[low - begin : high - begin], self.is_forgotten)


class _Inode:
    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)
        self.waiting: list[_Write] = []

    def sync(self) -> None:
        """What waits becomes durable; of what was forgotten, only what lies on a page with it."""
        dirty = {page for write in self.waiting if not write.is_forgotten for page in write.pages()}
        kept: list[_Write] = []
        for write in self.waiting:
            if write.is_forgotten and not dirty.intersection(write.pages()):
                kept.append(write)
                continue
            _do(self.durable, write)
            if write.data is None:
                kept = [early for early in kept if early.offset < write.offset]
        self.waiting = kept

    def forget(self) -> None:
        """The sync failed, and no later one will try again: not for bytes. A new size stays."""
        self.waiting = [
            piece._replace(is_forgotten=piece.data is not None)
            for write in self.waiting
            for piece in write.pieces(PAGE)
        ]

    def left(self, loss: Loss, chance: Random) -> bytes:
        """The bytes after a power cut."""
        found = bytearray(self.durable)
        for write in self.waiting if loss is not Loss.ALL else ():
            for piece in write.pieces(SECTOR) if loss is Loss.TORN else (write,):
                if loss is Loss.NONE or chance.random() < 0.5:
                    _do(found, piece)
        return bytes(found)


class Platter:
    """A folder on a disk, as it changes."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._inodes = [_Inode(data) for data in files.values()]
        self._safe = {name: number for number, name in enumerate(files)}
        self._names = dict(self._safe)
        self._renamings: list[dict[str, int | None]] = []

    def do(self, op: Op) -> None:
        """Carry out what a process did."""
        if op.change is Change.NAMES_SYNCED:
            self._safe, self._renamings = dict(self._names), []
        elif op.change is Change.MADE:
            self._inodes.append(_Inode())
            self._rename({op.name: len(self._inodes) - 1})
        elif op.change is Change.RENAMED:
            self._rename({op.name: None, op.other: self._names[op.name]})
        elif op.change is Change.UNLINKED:
            self._rename({op.name: None})
        else:
            self._fill(self._inodes[self._names[op.name]], op)

    def _fill(self, inode: _Inode, op: Op) -> None:
        if op.change is Change.WRITTEN:
            inode.waiting.append(_Write(op.offset, op.data))
        elif op.change is Change.CUT:
            inode.waiting.append(_Write(op.offset, None))
        elif op.change is Change.SYNCED:
            inode.sync()
        elif op.drops:
            inode.forget()

    def _rename(self, change: dict[str, int | None]) -> None:
        _name(self._names, change)
        self._renamings.append(change)

    def after(self, loss: Loss, chance: Random) -> dict[str, bytes]:
        """The files after a power cut now, by name."""
        names: dict[str, int] = dict(self._safe)
        for change in self._renamings if loss is not Loss.ALL else ():
            if loss is Loss.NONE or chance.random() < 0.5:
                _name(names, change)
        left = {number: self._inodes[number].left(loss, chance) for number in {*names.values()}}
        return {name: left[number] for name, number in sorted(names.items())}


def _do(data: bytearray, write: _Write) -> None:
    if write.data is None:
        del data[write.offset :]
        data.extend(bytes(write.offset - len(data)))
        return
    data.extend(bytes(max(0, write.offset - len(data))))
    data[write.offset : write.offset + len(write.data)] = write.data


def _name(names: dict[str, int], change: dict[str, int | None]) -> None:
    for name, number in change.items():
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number
