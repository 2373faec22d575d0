"""A layer between SQLite and the files: every call of the library passes through Python.

Owns the C side. It is a VFS around the one that SQLite has for this system, registered (through
ctypes) in the very library that Python's `sqlite3` uses: the ledger's code, its driver and its
SQLite run as they are, nothing is put in their place. Files below a mounted disk's folder are asked
of that disk first; whatever it lets pass is done by SQLite's own VFS on the real file.

Its methods are of version 1: no shared memory and no memory mapping, so WAL works only in exclusive
locking mode, as the ledger wants it.
"""

from __future__ import annotations

import ctypes
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, Structure, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

OK, IOERR, FULL, CANTOPEN = 0, 10, 13, 14
IOERR_READ, SHORT_READ, IOERR_WRITE = IOERR | 1 << 8, IOERR | 2 << 8, IOERR | 3 << 8
IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = IOERR | 4 << 8, IOERR | 6 << 8, IOERR | 10 << 8
CREATE, SYNCS_NAMES = 0x4, 0x800 | 0x4000 | 0x80000
TEMPORARY = 0x8 | 0x200 | 0x400 | 0x1000 | 0x2000
"""Flags of opening. The second are journals: with their first sync the folder is synced."""
_HEAD = 16


class Passed(Protocol):
    """What a disk says to one call: the error that the caller gets, or OK and it is carried out."""

    def opening(self, name: str, flags: int) -> int:
        """A file is opened, made if it has CREATE."""

    def reading(self, name: str) -> int:
        """Bytes are read; SHORT_READ cuts them in half."""

    def writing(self, name: str, data: bytes, offset: int) -> tuple[int, int]:
        """Bytes are written: the answer, and how many of them are written before it is given."""

    def truncating(self, name: str, size: int) -> int:
        """A file is cut."""

    def syncing(self, name: str, *, with_names: bool) -> int:
        """A file is synced, with the folder's names."""

    def deleting(self, name: str, *, with_names: bool) -> int:
        """A file is unlinked."""


class _Methods(Structure):
    """sqlite3_io_methods, version 1; `c_void_p` is the file everywhere."""

    _fields_ = (
        ("version", c_int),
        ("close", CFUNCTYPE(c_int, c_void_p)),
        ("read", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)),
        ("write", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)),
        ("truncate", CFUNCTYPE(c_int, c_void_p, c_int64)),
        ("sync", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("size", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("lock", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("unlock", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("is_reserved", CFUNCTYPE(c_int, c_void_p, c_void_p)),
        ("control", CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)),
        ("sector_size", CFUNCTYPE(c_int, c_void_p)),
        ("traits", CFUNCTYPE(c_int, c_void_p)),
    )


_PLAIN = ("size", "lock", "unlock", "is_reserved", "control", "sector_size", "traits")


class _Vfs(Structure):
    """sqlite3_vfs, version 1; only what is changed has a type of its own."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("path_most", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)),
        ("delete", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)),
        ("access", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_void_p)),
        ("full_path", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_void_p)),
        *((name, c_void_p) for name in ("dl_open", "dl_error", "dl_sym", "dl_close")),
        *((name, c_void_p) for name in ("randomness", "sleep", "now", "last_error")),
    )


class _File:
    """An open file: its disk and name there, and SQLite's own methods for it."""

    def __init__(self, address: int, disk: Passed | None, name: str, flags: int) -> None:
        self.disk, self.name = disk, name
        self.is_unsynced_name = bool(flags & SYNCS_NAMES and flags & CREATE)
        self.real = address + _HEAD
        self.do: Any = _Methods.from_address(c_void_p.from_address(self.real).value or 0)


class _Layer:
    """The VFS, its open files and the disks that are mounted."""

    def __init__(self) -> None:
        module = sys.modules["_sqlite3"]
        self.library = ctypes.CDLL(getattr(module, "__file__", None))
        self.library.sqlite3_libversion.restype = c_char_p
        if self.library.sqlite3_libversion().decode() != sqlite3.sqlite_version:
            raise OSError("another SQLite than that of Python's sqlite3 answers")
        self.library.sqlite3_vfs_find.restype = c_void_p
        self.library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
        self.real_at = int(self.library.sqlite3_vfs_find(None))
        self.real: Any = _Vfs.from_address(self.real_at)
        self.disks: dict[str, Passed] = {}
        self.files: dict[int, _File] = {}
        self.wrong: list[BaseException] = []
        self._methods: Any = _Methods(version=1)
        kinds: Any = _Methods._fields_[1:]
        for name, kind in kinds:
            plain = name in _PLAIN
            call = self._pass_on(name) if plain else self._kept(getattr(self, f"_{name}"))
            setattr(self._methods, name, kind(call))
        self.made: Any = _Vfs(version=1, name=b"storage")
        for field in _Vfs._fields_[8:]:
            setattr(self.made, field[0], getattr(self.real, field[0]))
        self.made.path_most = self.real.path_most
        self.made.file_size = _HEAD + self.real.file_size
        self.made.data = self.real.data
        self.made.open = _Vfs._fields_[6][1](self._kept(self._open))
        self.made.delete = _Vfs._fields_[7][1](self._kept(self._delete))
        self.made.access = _Vfs._fields_[8][1](
            lambda _, *rest: self.real.access(self.real_at, *rest)
        )
        self.made.full_path = _Vfs._fields_[9][1](
            lambda _, *rest: self.real.full_path(self.real_at, *rest)
        )

    def _kept(self, call: Callable[..., int]) -> Callable[..., int]:
        """`call`, whose exceptions SQLite hears as an error and the tests at the end."""

        def guarded(*given: Any) -> int:
            try:
                return call(*given)
            except BaseException as error:  # noqa: BLE001 - C cannot take it.
                self.wrong.append(error)
                return IOERR

        return guarded

    def _pass_on(self, name: str) -> Callable[..., int]:
        def passed(at: int, *rest: Any) -> int:
            file = self.files[at]
            return int(getattr(file.do, name)(file.real, *rest))

        return passed

    def _place(self, name_at: int | None) -> tuple[Passed | None, str]:
        if not name_at:
            return None, ""
        folder, _, name = ctypes.string_at(name_at).decode().rpartition("/")
        return self.disks.get(folder), name

    def _open(self, _: int, name_at: int, at: int, flags: int, told: int) -> int:
        disk, name = self._place(name_at)
        c_void_p.from_address(at).value = None
        if flags & TEMPORARY:
            disk = None
        if disk is not None and (answer := disk.opening(name, flags)) != OK:
            return answer
        answer = int(self.real.open(self.real_at, name_at, at + _HEAD, flags, told))
        if answer == OK:
            self.files[at] = _File(at, disk, name, flags)
            c_void_p.from_address(at).value = ctypes.addressof(self._methods)
        return answer

    def _delete(self, _: int, name_at: int, with_names: int) -> int:
        disk, name = self._place(name_at)
        if disk is not None:
            answer = disk.deleting(name, with_names=bool(with_names & 1))
            if answer != OK:
                return answer
        return int(self.real.delete(self.real_at, name_at, with_names))

    def _close(self, at: int) -> int:
        file = self.files.pop(at)
        return int(file.do.close(file.real))

    def _read(self, at: int, into: int, count: int, offset: int) -> int:
        file = self.files[at]
        answer = OK if file.disk is None else file.disk.reading(file.name)
        if answer not in (OK, SHORT_READ):
            return answer
        done = int(file.do.read(file.real, into, count, offset))
        if answer == OK or done != OK:
            return done
        ctypes.memset(into + count // 2, 0, count - count // 2)
        return answer

    def _write(self, at: int, source: int, count: int, offset: int) -> int:
        file = self.files[at]
        answer = OK
        if file.disk is not None:
            answer, count = file.disk.writing(
                file.name, ctypes.string_at(source, count), offset
            )
        done = int(file.do.write(file.real, source, count, offset)) if count else OK
        return answer or done

    def _truncate(self, at: int, size: int) -> int:
        file = self.files[at]
        answer = OK if file.disk is None else file.disk.truncating(file.name, size)
        return answer or int(file.do.truncate(file.real, size))

    def _sync(self, at: int, flags: int) -> int:
        file = self.files[at]
        if file.disk is not None:
            answer = file.disk.syncing(file.name, with_names=file.is_unsynced_name)
            if answer != OK:
                return answer
        file.is_unsynced_name = False
        return int(file.do.sync(file.real, flags))


@cache
def _layer() -> _Layer:
    return _Layer()


class Missing(NamedTuple):
    """Why the layer cannot be put in here; empty if it can."""

    reason: str


@cache
def missing() -> Missing:
    """Whether Python's SQLite can be reached: not if it is linked into the interpreter."""
    try:
        _layer()
    except (OSError, AttributeError) as error:
        return Missing(f"the SQLite of this Python cannot be reached: {error}")
    return Missing("")


@contextmanager
def mounted(folder: Path, disk: Passed) -> Iterator[None]:
    """Ask `disk` about all that SQLite does to files in `folder`."""
    layer = _layer()
    key = str(folder.resolve())
    layer.disks[key] = disk
    layer.library.sqlite3_vfs_register(ctypes.addressof(layer.made), 1)
    try:
        yield
    finally:
        del layer.disks[key]
        if not layer.disks:
            layer.library.sqlite3_vfs_register(layer.real_at, 1)
        wrong, layer.wrong = layer.wrong, []
        if wrong:
            raise wrong[0]
