"""Places in a data directory, and which directories are refused.

Goal: client and daemon agree on every place, and no ledger is put where it cannot be kept. Method:
real folders; tables of mounts written for the test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_trader.core.errors import ConfigError
from algo_trader.runtime.paths import (
    SOCKET_PATH_MAX,
    AccountFolder,
    account_folder,
    accounts,
    control_socket,
    control_sockets,
    file_system_of,
    lock_file,
    make_data_dir,
)


def deep(tmp_path: Path) -> Path:
    """A data directory whose socket would have too long a path."""
    return tmp_path / ("d" * 100) / "data"


def test_places_of_an_account() -> None:
    """Goal: the layout is the documented one."""
    data = Path("data")
    folder = account_folder(data, "alpaca", "PA3-X9")
    assert lock_file(data) == data / "daemon.lock"
    assert folder.path == data / "alpaca-PA3-X9"
    assert folder.ledger == folder.path / "trading.db"
    assert folder.exchange == folder.path / "exchange.db"
    assert folder.backups == folder.path / "backups"


@pytest.mark.parametrize("account", ["", "../x", "a/b", "a\0b", "a b", "é"])
def test_an_account_id_is_no_way_out(account: str) -> None:
    """Goal: what a broker calls an account cannot lead out of the data directory."""
    with pytest.raises(ConfigError, match="cannot name a folder"):
        account_folder(Path("data"), "alpaca", account)


def test_accounts_the_latest_written_first(tmp_path: Path) -> None:
    """Goal: a WAL written to counts as the ledger; what holds no ledger is no account."""
    for name, ledger_at, wal_at in (("e-1", 10, None), ("e-2", 5, 30), ("e-3", 20, 15)):
        folder = AccountFolder(tmp_path / name)
        folder.path.mkdir()
        folder.ledger.touch()
        os.utime(folder.ledger, (ledger_at, ledger_at))
        if wal_at is not None:
            wal = folder.path / "trading.db-wal"
            wal.touch()
            os.utime(wal, (wal_at, wal_at))
    (tmp_path / "e-4").mkdir()
    (tmp_path / "e-5").write_text("a file")
    (tmp_path / "cache").mkdir()
    assert [folder.path.name for folder in accounts(tmp_path)] == ["e-2", "e-3", "e-1"]


def test_no_accounts_where_there_is_no_directory(tmp_path: Path) -> None:
    """Goal: before the first start there is nothing, and no error."""
    (tmp_path / "file").touch()
    assert accounts(tmp_path / "none") == []
    assert accounts(tmp_path / "file") == []


def test_a_new_data_directory_is_its_owners(tmp_path: Path) -> None:
    """Goal: orders and positions are nobody else's business; nothing is left of the probe."""
    data = tmp_path / "a" / "data"
    make_data_dir(data)
    assert data.stat().st_mode & 0o777 == 0o700
    assert list(data.iterdir()) == []
    make_data_dir(data)


@pytest.mark.parametrize("name", ["file", "file/data"])
def test_a_data_directory_that_is_a_file(tmp_path: Path, name: str) -> None:
    """Goal: one message that names the path and the remedy."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"is not a directory: .*--data-dir"):
        make_data_dir(tmp_path / name)


def test_a_data_directory_that_cannot_be_written() -> None:
    """Goal: found at once, whoever we are. Method: a folder of the kernel's, where none may."""
    with pytest.raises(ConfigError, match=r"/proc/sys cannot be written \(.*--data-dir"):
        make_data_dir(Path("/proc/sys"))


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph"]
)
def test_network_file_systems_are_refused(tmp_path: Path, kind: str) -> None:
    """Goal: refused with its reason, and nothing made there."""
    mounts = tmp_path / "mounts"
    share = tmp_path / "my share"
    share.mkdir()
    point = str(share.resolve()).replace(" ", r"\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {point} {kind} rw 0 0\n")
    with pytest.raises(ConfigError, match=rf"\({kind}\).*SQLite's locks and flushes"):
        make_data_dir(share / "data", mounts)
    assert list(share.iterdir()) == []
    make_data_dir(tmp_path / "my share 2", mounts)


@pytest.mark.parametrize("kind", ["9p", "overlay", "ext4", "tmpfs"])
def test_file_systems_of_containers_are_not(tmp_path: Path, kind: str) -> None:
    """Goal: a container's own root is no reason to refuse."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none / {kind} rw 0 0\n")
    make_data_dir(tmp_path / "data", mounts)


def test_the_mount_that_counts(tmp_path: Path) -> None:
    """Goal: the deepest mount, of two on one point the later; links followed; unknown is None."""
    mounts = tmp_path / "mounts"
    real = (tmp_path / "real").resolve()
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    mounts.write_text(f"a / ext4 rw\nb {real} autofs rw\nc {real} nfs rw\nshort\nd /r tmpfs rw\n")
    assert file_system_of(tmp_path / "link" / "data", mounts) == "nfs"
    assert file_system_of(tmp_path, mounts) == "ext4"
    assert file_system_of(tmp_path, tmp_path / "none") is None


def test_the_socket_is_in_the_data_directory(tmp_path: Path) -> None:
    """Goal: where the README says, by whatever way one comes there."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    assert control_socket(data) == data.resolve() / "control.sock"
    assert control_sockets(tmp_path / "link") == [control_socket(data)]


def test_a_deep_data_directory_answers_elsewhere(tmp_path: Path) -> None:
    """Goal: a path the system would refuse is replaced by a short one, each directory its own."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(run)}
    place = control_socket(deep(tmp_path), environ)
    assert place.parent == run
    assert len(os.fsencode(place)) <= SOCKET_PATH_MAX
    assert place in control_sockets(deep(tmp_path), environ)
    assert control_socket(deep(tmp_path) / "2", environ) != place


def test_the_last_path_that_fits(tmp_path: Path) -> None:
    """Goal: the limit is the system's, to the byte."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    base = tmp_path.resolve()
    room = SOCKET_PATH_MAX - len(os.fsencode(base / "x" / "control.sock"))
    assert control_socket(base / ("x" * (1 + room)), environ).name == "control.sock"
    assert control_socket(base / ("x" * (2 + room)), environ).name != "control.sock"


@pytest.fixture
def shallow() -> Iterator[Path]:
    """A folder with a short path, so that a socket in folders of it still fits."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_a_runtime_directory_is_to_be_private(
    shallow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: where others may write, no daemon answers and none is asked; ours is made as needed."""
    monkeypatch.setattr(tempfile, "tempdir", str(shallow))
    open_to_all = shallow / "run"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    environ = {"XDG_RUNTIME_DIR": str(open_to_all)}
    own = shallow / f"algo-trader-{os.geteuid()}"
    place = control_socket(deep(tmp_path), environ)
    assert place.parent in (own, Path(f"/run/user/{os.geteuid()}"))
    if place.parent == own:
        assert own.stat().st_mode & 0o777 == 0o700
    assert open_to_all not in [path.parent for path in control_sockets(deep(tmp_path), environ)]


def test_no_private_place_at_all(
    shallow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a folder set up by somebody else is refused, with the remedy."""
    if Path(f"/run/user/{os.geteuid()}").exists():
        pytest.skip("this user has a runtime directory of the system's")
    monkeypatch.setattr(tempfile, "tempdir", str(shallow))
    own = shallow / f"algo-trader-{os.geteuid()}"
    own.symlink_to(shallow)
    assert control_sockets(deep(tmp_path), {}) == []
    with pytest.raises(ConfigError, match="set XDG_RUNTIME_DIR"):
        control_socket(deep(tmp_path), {})
