"""The secret key, and the key id where it has no business, are written nowhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lines import TRADE, breaks, broken
from living import Ended
from matrix import is_covered
from plots import plot
from rehearsal import ACCOUNT, Life, again, rehearsing
from serving import KEY_ID, SECRET

KEY_NAMES = ("ALGO_BROKER_API_KEY", "ALGO_BROKER_SECRET_KEY")


class Said:
    """Everything that was said or left behind, with where it was found."""

    def __init__(self) -> None:
        self._found: list[tuple[str, bytes]] = []

    def add(self, where: str, what: bytes | str) -> None:
        """Something a process has said."""
        self._found.append((where, what.encode() if isinstance(what, str) else what))

    def add_ended(self, where: str, ended: Ended) -> None:
        """All of what a process has said."""
        self.add(f"{where}: stdout", ended.out)
        self.add(f"{where}: stderr", "\n".join([*map(str, ended.log), *ended.said]))

    def add_files(self, folder: Path) -> None:
        """Every byte below a folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.add(str(path), path.read_bytes())
                self.add("a name", str(path))

    def add_process(self, pid: int) -> None:
        """What everybody may read of a process."""
        self.add("cmdline", Path(f"/proc/{pid}/cmdline").read_bytes())

    def places_of(self, word: str) -> list[str]:
        """Where a word was found."""
        assert self._found
        return [where for where, what in self._found if word.encode() in what]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """A life whose keys are in a file, as an operator has them, and in no environment."""
    file = tmp_path / "keys.env"
    file.write_text(f"{KEY_NAMES[0]}={KEY_ID}\n{KEY_NAMES[1]}={SECRET}\n")
    file.chmod(0o600)
    with rehearsing(tmp_path, {"AA": plot(sell=3), "BB": plot()}, keys_in=file) as running:
        yield running


SORTS = ("unauthorized", "forbidden", "non_json_200", "status", "cut_body", "reset", "drop")


def errors_of_each_sort(life: Life) -> None:
    """Answers that refuse the keys or cannot be read, connections that end, a stream refused."""
    sorts = [{"on": "rest:* /v2/*", "do": do} for do in SORTS]
    refused = {"on": "trade_stream:auth", "do": "unauthorized"}
    breaks(life, TRADE, *sorts, refused, broken(TRADE))
    life.until("every sort of error", lambda: all(life.fired(do) for do in SORTS))


def test_secret_is_nowhere(life: Life, tmp_path: Path) -> None:
    """Goal: no output, file, argument or exception holds the secret.

    Method: a daemon trades, meets every sort of error and is asked everything; then all that was
    said and left is searched for it. The exchange is given wrong keys, too.
    """
    said = Said()
    is_covered(life, "BB")
    life.sold("AA")
    said.add_process(life.daemon.pid)
    errors_of_each_sort(life)
    for verb in (
        ["status", "--json"], ["status"], ["config", "--json"], ["config"], ["verify", "--json"],
        ["orders", "--json"], ["trades"], ["positions"], ["backup"],
    ):  # fmt: skip
        ended = life.home.ask(*life.options, *verb)
        assert ended.code == 0, ended
        said.add_ended(" ".join(verb), ended)
    said.add_files(life.home.data)  # With a write-ahead log, while it runs.
    assert life.ended() == 0
    said.add_ended("start", life.daemon.ended())
    wrong = {KEY_NAMES[0]: KEY_ID, KEY_NAMES[1]: SECRET + "-wrong"}
    life.home.environ |= wrong
    with again(life) as daemon:
        refused = daemon.ended()
        assert refused.code == 2
        said.add_ended("start with wrong keys", refused)
    life.home.environ |= {KEY_NAMES[1]: SECRET, "ALGO_BROKER__TRADING_URL": "http://127.0.0.1:9"}
    with again(life) as daemon:
        daemon.wait_for("broker_unreachable")
        daemon.signal(signal.SIGTERM)
        said.add_ended("start without a broker", daemon.ended())
    said.add_files(life.home.data)
    said.add("the exchange's journal", "\n".join(map(str, life.exchange.journal())))
    assert len(said.places_of(ACCOUNT)) > 10  # What is there to be found is found.
    assert said.places_of(SECRET) == []
    assert said.places_of(KEY_ID) == ["the exchange's journal"]
