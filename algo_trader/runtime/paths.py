"""Where things lie in a data directory, and whether a directory is fit to be one.

    <data>/daemon.lock               held while a daemon runs
    <data>/control.sock              where it answers
    <data>/<broker>-<account>/       trading.db, exchange.db, backups/

The length of a socket's path is limited by the system. A data directory too deep for it has its
socket in the user's runtime directory, under a name made from the data directory's.

Files of a ledger are only looked at here, never opened: closing one would drop SQLite's locks.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from algo_trader.core.errors import ConfigError
from algo_trader.ledger import LEDGER_NAME

LOCK_NAME = "daemon.lock"
SOCKET_NAME = "control.sock"
EXCHANGE_NAME = "exchange.db"
BACKUPS_NAME = "backups"
SOCKET_PATH_MAX = 103 if sys.platform == "darwin" else 107
"""Bytes of a path that sockaddr_un takes, its closing zero left out."""
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph"}
)
MOUNTS = Path("/proc/mounts")
_FOLDER_NAME = re.compile(r"[A-Za-z0-9_.]+-[A-Za-z0-9_.-]+")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class AccountFolder(NamedTuple):
    """The folder of one account at one broker."""

    path: Path

    @property
    def name(self) -> str:
        """Broker and account, such as embedded-local1."""
        return self.path.name

    @property
    def ledger(self) -> Path:
        """The ledger: every fact and what follows from them."""
        return self.path / LEDGER_NAME

    @property
    def exchange(self) -> Path:
        """The books of the embedded exchange, where that is the broker."""
        return self.path / EXCHANGE_NAME

    @property
    def backups(self) -> Path:
        """The folder of the ledger's backups."""
        return self.path / BACKUPS_NAME


def lock_file(data_dir: Path) -> Path:
    """The file a running daemon holds locked."""
    return data_dir / LOCK_NAME


def account_folder(data_dir: Path, broker: str, account: str) -> AccountFolder:
    """Where an account's files lie; ConfigError if its names cannot make the name of a folder."""
    name = f"{broker}-{account}"
    if not _FOLDER_NAME.fullmatch(name) or name.startswith("."):
        raise ConfigError(
            f"account {account!r} of broker {broker!r} cannot name a folder: only letters, digits,"
            " dots, dashes and underscores can"
        )
    return AccountFolder(data_dir / name)


def accounts(data_dir: Path) -> list[AccountFolder]:
    """The account folders that hold a ledger, the most recently written first.

    Empty where there is no such directory; ConfigError if it cannot be read.
    """
    found = []
    try:
        for path in data_dir.iterdir():
            written_at = _written_at(AccountFolder(path).ledger)
            if written_at is not None and _FOLDER_NAME.fullmatch(path.name):
                found.append((-written_at, path.name, AccountFolder(path)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"cannot read the data directory {data_dir}: {error.strerror}") from error
    return [folder for _, _, folder in sorted(found)]


def make_data_dir(data_dir: Path, mounts: Path = MOUNTS) -> None:
    """Make the data directory if there is none, for its owner only, and see that it is fit.

    ConfigError if it is no directory, cannot be written, or lies on a network file system. `mounts`
    is the system's table of mounts; without one its kind of file system is not known.
    """
    kind = file_system_of(data_dir, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            f"the data directory {data_dir} is on a network file system ({kind}), where SQLite's"
            " locks and flushes cannot be trusted: name one on a local disk with --data-dir"
        )
    probe = data_dir / f".{os.urandom(8).hex()}.probe"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written to, since permissions alone do not tell of a read-only or full disk.
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"the data directory {data_dir} is not a directory: name another with --data-dir"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"the data directory {data_dir} cannot be written ({error.strerror}): make it writable,"
            " or name another with --data-dir"
        ) from error


def file_system_of(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of file system `path` lies on or would, such as ext4; None if nothing tells."""
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    place = Path(os.path.realpath(path))
    depth, kind = -1, None
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[1]))
        # Of two mounts on one point the later hides the earlier.
        if len(point.parts) >= depth and place.is_relative_to(point):
            depth, kind = len(point.parts), fields[2]
    return kind


def control_socket(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon of this user is to answer; makes the user's private folder if it takes one.

    ConfigError if the path would be too long and there is no runtime directory to be trusted.
    """
    for place in _places(data_dir, environ):
        if place.parent == _private_folder():
            with suppress(OSError):  # Something in its way is no private folder.
                place.parent.mkdir(mode=0o700)
        if place.name == SOCKET_NAME or _is_private(place.parent):
            return place
    raise ConfigError(
        f"the path of the data directory {data_dir} is too long for a control socket, and there is"
        " no runtime directory of your own: set XDG_RUNTIME_DIR, or name a shorter --data-dir"
    )


def control_sockets(data_dir: Path, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Every place where a daemon of this user may answer; it may have had another environment."""
    return [
        place
        for place in _places(data_dir, environ)
        if place.name == SOCKET_NAME or _is_private(place.parent)
    ]


def _places(data_dir: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Paths short enough: in the data directory, else in every runtime directory there may be."""
    folder = os.path.realpath(data_dir)
    place = Path(folder, SOCKET_NAME)
    if _fits(place):
        yield place
        return
    from hashlib import sha256  # Needed for a long path only.

    name = f"algo-trader-{sha256(os.fsencode(folder)).hexdigest()[:16]}.sock"
    own = environ.get("XDG_RUNTIME_DIR", "")
    folders = [Path(own)] if os.path.isabs(own) else []
    folders += [Path(f"/run/user/{os.geteuid()}"), _private_folder()]
    yield from (Path(folder, name) for folder in folders if _fits(Path(folder, name)))


def _private_folder() -> Path:
    from tempfile import gettempdir  # 4 ms, needed for a long path only.

    return Path(gettempdir(), f"algo-trader-{os.geteuid()}")


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_MAX


def _is_private(folder: Path) -> bool:
    """Whether it is a directory that is ours and nobody else's to write in or look into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_ours = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and is_ours


def _written_at(ledger: Path) -> int | None:
    """When the ledger was last written, ns since the epoch; None if it is not a file.

    A running ledger writes to its WAL.
    """
    try:
        found = ledger.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    try:
        return max(found.st_mtime_ns, ledger.with_name(f"{LEDGER_NAME}-wal").stat().st_mtime_ns)
    except OSError:
        return found.st_mtime_ns
