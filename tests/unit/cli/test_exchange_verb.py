"""`exchange serve` before it serves: what it refuses, and the file of settings it writes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from algo_trader.cli.exchange_env import MARK, require_writable, write_env_file
from algo_trader.cli.main import EXIT_BAD_INPUT, run
from algo_trader.core.errors import ConfigError
from algo_trader.exchange.keys import Keys
from algo_trader.exchange.server import Endpoints

ROOT = Path(__file__).parents[3]
SAMPLE = str(ROOT / "data" / "sample")
ENDPOINTS = Endpoints(
    trading="http://127.0.0.1:1",
    data="http://127.0.0.1:1",
    trade_stream="ws://127.0.0.1:1/stream",
    data_stream="ws://127.0.0.1:1/v2/iex",
)

REFUSED = [
    (["--host", "0.0.0.0"], "--host 0.0.0.0"),
    (["--host", "example.com"], "--host example.com"),
    (["--secret", " "], "--secret"),
    (["--from", "2024-12-02", "--to", "2024-12-01"], "swap them"),
    (["--from", "2031-01-01"], "no bars between 2031-01-01"),
    (["--set", "risk.max_open_positions=1"], "the exchange takes costs."),
    (["--set", "costs.slippage_per_share=oops"], "costs.slippage_per_share"),
    (["--set", "costs.slipage=0"], "costs.slippage_per_share"),
    (["--faults", "nowhere.toml"], "nowhere.toml"),
    (["--speed", "0.5", "--env-file", "new.env"], "whole number from 1 to 1000"),
    (["--speed", "max", "--env-file", "new.env"], "whole number from 1 to 1000"),
    (["--journal", "/nowhere/at/all.jsonl"], "--journal"),
    (["--env-file", "/nowhere/at/all.env"], "--env-file"),
    (["--bars", "nowhere.csv"], "nowhere.csv"),
    (["--speed", "0"], "--speed"),
    (["--cash", "0"], "--cash"),
    (["--port", "70000"], "--port"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_bad_input_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    """Goal: what cannot be served is refused with exit 2 and one message, before it listens.
    Method: each mistake on a line that is right otherwise.
    """
    settings = tmp_path / "no.env"
    settings.write_text("")
    given = words if "--bars" in words else ["--bars", SAMPLE, *words]
    line = ["--data-dir", str(tmp_path / "data"), "--env-file", str(settings)]
    assert run([*line, "exchange", "serve", "--exit-at-end", *given]) == EXIT_BAD_INPUT
    told = capsys.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_the_env_file_is_its_owners_and_of_ours_only(tmp_path: Path) -> None:
    """Goal: the file points at the exchange, nobody else can read it, it is written anew only over
    itself, and never over somebody's own. Method: write twice, then over a hand-written one.
    """
    file = tmp_path / "rehearsal.env"
    for speed in (60.0, 300.0):
        require_writable(file)
        write_env_file(file, ENDPOINTS, Keys("id", "secret"), speed, ("AA", "BB"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert lines[0] == MARK
    values = dict(line.split("=", 1) for line in lines[1:])
    assert values == {
        "ALGO_BROKER__PROVIDER": "alpaca",
        "ALGO_BROKER__TRADING_URL": ENDPOINTS.trading,
        "ALGO_BROKER__DATA_URL": ENDPOINTS.data,
        "ALGO_BROKER__TRADE_STREAM_URL": ENDPOINTS.trade_stream,
        "ALGO_BROKER__DATA_STREAM_URL": ENDPOINTS.data_stream,
        "ALGO_BROKER_API_KEY": "id",
        "ALGO_BROKER_SECRET_KEY": "secret",
        "ALGO_CLOCK__SOURCE": "broker",
        "ALGO_CLOCK__SPEED": "300",
        "ALGO_WATCHLIST": "AA,BB",
    }
    own = tmp_path / ".env"
    own.write_text("ALGO_WATCHLIST=AAPL\n")
    with pytest.raises(ConfigError, match="not written by the exchange"):
        require_writable(own)
    with pytest.raises(ConfigError, match="not written by the exchange"):
        write_env_file(own, ENDPOINTS, Keys("id", "secret"), 60, ("AA",))
    assert own.read_text() == "ALGO_WATCHLIST=AAPL\n"
