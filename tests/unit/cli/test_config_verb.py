"""`config`: what is in force, where it comes from, and overrides kept in the ledger."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from recorded import record

from algo_trader.cli.main import run
from algo_trader.config import SETTINGS, load_settings
from algo_trader.core.events import SettingChanged
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.verify import verify_file
from algo_trader.runtime.control import ControlServer
from algo_trader.runtime.paths import control_socket

KEY = "risk.max_open_positions"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file or variable of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALGO_DATA_DIR", raising=False)


@pytest.fixture
def path() -> Path:
    """A ledger in ./data."""
    path = Path("data/embedded-ACCT/trading.db")
    path.parent.mkdir(parents=True)
    with Ledger.open(path) as ledger:
        for step in record().steps[:50]:
            ledger.append(step)
    return path


def document(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What `config --json` answers."""
    capsys.readouterr()
    assert run(["config", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_setting_with_its_origin(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: four layers, each told; numbers with a fraction are text."""
    Path(".env").write_text("ALGO_VELEZ__SMA_FAST=10\nALGO_RISK__MAX_OPEN_POSITIONS=6\n")
    monkeypatch.setenv("ALGO_COSTS__SLIPPAGE_PER_SHARE", "0.02")
    assert run(["config", "--set", "max_open_positions=3"]) == 0
    found = document(capsys)
    assert list(found) == ["settings", "env_file"]
    assert found["env_file"] == ".env"
    settings = found["settings"]
    assert list(settings) == list(SETTINGS)
    assert settings[KEY] == {"value": 3, "origin": "ledger"}
    assert settings["velez.sma_fast"] == {"value": 10, "origin": ".env"}
    assert settings["costs.slippage_per_share"] == {"value": "0.02", "origin": "environment"}
    assert settings["risk.max_daily_loss_pct"] == {"value": "0.03", "origin": "default"}
    assert settings["watchlist"]["value"] == ["AAPL", "TSLA", "AMD", "NVDA", "META"]
    assert run(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["setting", "value", "from"]
    assert [KEY, "3", "ledger"] in [line.split() for line in lines]
    assert len(lines) == 1 + len(SETTINGS)


def test_without_a_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: settings can be looked at before anything was traded; there is nothing to override."""
    assert document(capsys)["settings"][KEY] == {"value": 5, "origin": "default"}
    assert run(["config", "--set", "max_open_positions=3"]) == 1
    assert "nothing has been traded here yet" in capsys.readouterr().err
    assert run(["config", "--unset", "max_open_positions"]) == 1
    assert not Path("data").exists()


def test_set_and_unset_are_facts(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Goal: each change is recorded, at the market time of the last fact, and proves right."""
    assert document(capsys, "--set", f"{KEY}=3") == {"key": KEY, "value": "3"}
    assert document(capsys, "--set", "max_open_positions=4") == {"key": KEY, "value": "4"}
    assert document(capsys, "--unset", "max_open_positions") == {"key": KEY, "value": None}
    assert document(capsys, "--unset", KEY) == {"key": KEY, "value": None}
    with Ledger.open(path) as ledger:
        facts = [fact for fact in ledger.facts() if isinstance(fact, SettingChanged)]
        assert [(fact.key, fact.value) for fact in facts] == [(KEY, "3"), (KEY, "4"), (KEY, None)]
        assert {fact.at for fact in facts} == {record().steps[49][-1].at}
        assert ledger.overrides() == {}
    assert verify_file(path) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "max_open_positions=99"], "from 1 to 20"),
        (["--set", "sma_fast=10"], "what can be overridden: risk."),
        (["--set", "nonsense"], "key=value"),
        (["--unset", "nonsense"], "'nonsense' is not a setting"),
        (["--set", "max_open_positions=3", "--unset", "watchlist"], "exclude"),
    ],
)
def test_what_is_not_accepted_is_not_recorded(
    path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """Goal: exit 2, one message, the ledger as it was."""
    before = path.read_bytes()
    assert run(["config", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value"), [(KEY, "99"), ("broker.provider", "live"), ("gone.by", "1")]
)
def test_a_bad_override_can_be_taken_out(
    path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str
) -> None:
    """Goal: edited by hand, the message names the very command that repairs it."""
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("INSERT INTO settings_override VALUES (?, ?, '', NULL)", (key, value))
    driver.close()
    assert run(["config"]) == 2
    err = capsys.readouterr().err
    assert f"`algo-trader config --unset {key}`" in err
    assert run(["config", "--unset", key]) == 0
    assert run(["config"]) == 0
    assert verify_file(path) == []


def test_the_daemon_records_while_it_runs(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: with a daemon the change goes to it, checked and canonical, and its overrides show."""
    asked: list[dict[str, Any]] = []

    async def change(body: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(dict(body))
        return {}

    async def overrides(_: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"overrides": {KEY: "2"}}

    async def live() -> Any:
        handlers = {("POST", "/settings"): change, ("GET", "/settings"): overrides}
        async with ControlServer(control_socket(Path("data")), handlers, lambda *_, **__: None):
            with Ledger.open(path):
                await asyncio.to_thread(document, capsys, "--set", "max_open_positions=03")
                await asyncio.to_thread(document, capsys, "--unset", KEY)
                return await asyncio.to_thread(document, capsys)

    found = asyncio.run(live())
    assert asked == [{"key": KEY, "value": "3"}, {"key": KEY, "value": None}]
    assert found["settings"][KEY] == {"value": 2, "origin": "ledger"}


def test_a_backtest_does_not_know_overrides(path: Path) -> None:
    """Goal: what a run did depends on what it says, not on a ledger that lies about."""
    assert run(["config", "--set", "max_open_positions=3"]) == 0
    loaded = load_settings(env_file=None, environ={})
    assert loaded.settings.risk.max_open_positions == 5
