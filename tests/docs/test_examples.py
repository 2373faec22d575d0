"""The examples and the vocabulary of docs/ are the program's.

Method: the worked example's table is parsed, turned into bars and run through the command line; the
printed strategy is saved and run; the words are collected from the program.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from algo_trader.cli.main import run
from algo_trader.config import SETTINGS
from algo_trader.core.events import Sizing
from algo_trader.core.types import ExitReason, iso
from algo_trader.engine import decisions, engine, judge
from algo_trader.risk.limits import RiskLimits
from algo_trader.risk.rules import QTY_ZERO, RULES
from algo_trader.risk.sizing import size
from algo_trader.strategies import base, velez

ROOT = Path(__file__).parents[2]
VELEZ = (ROOT / "docs" / "velez.md").read_text()
STRATEGIES = (ROOT / "docs" / "strategies.md").read_text()
BACKTEST = (ROOT / "docs" / "backtest.md").read_text()
NEW_YORK = ZoneInfo("America/New_York")
OPENS_AT = datetime(2024, 1, 3, 9, 30, tzinfo=NEW_YORK)
WARM_UP = 100


def backtest(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The decision lines of a run, with neither settings nor files of this machine."""
    lines, settings = folder / "lines.jsonl", folder / "no.env"
    settings.write_text("")
    places = ["--data-dir", str(folder), "--env-file", str(settings)]
    assert run([*places, "backtest", *arguments, "--decisions", str(lines)]) == 0
    return [json.loads(line) for line in lines.read_text().splitlines()]


def example_rows() -> list[dict[str, str]]:
    """The rows of the worked example by column."""
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in VELEZ.partition("## An example")[2].splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(head, row, strict=True)) for row in rows]


def row(minute: int, prices: str) -> str:
    """A CSV row of the minute that many minutes after the open."""
    start = OPENS_AT + timedelta(minutes=minute)
    return f"{iso(int(start.timestamp()))},EX,{prices},1000"


def told(line: dict[str, Any]) -> str:
    """The line's event as the page writes it."""
    if not line["events"]:
        return "-"
    (event,) = line["events"]
    price = event.get("entry_stop") or event.get("price") or event.get("to")
    return event["type"] if price is None else f"{event['type']} {Decimal(price):.2f}"


def test_worked_example_is_what_the_program_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a reader who follows the page by hand gets the program's numbers."""
    monkeypatch.delenv("ALGO_DATA_DIR", raising=False)
    rows = example_rows()
    assert len(rows) > 10
    prices = ["40,40,40,40"] * WARM_UP
    prices += [",".join(each[name] for name in "OHLC") for each in rows]
    bars = tmp_path / "bars.csv"
    text = [row(2 * number + 1, each) for number, each in enumerate(prices)]
    bars.write_text("\n".join(["timestamp,symbol,open,high,low,close,volume", *text, ""]))
    lines = backtest(
        tmp_path, "EX", "--bars", str(bars), "--set", "sma_fast=5", "--set", "sma_slow=100"
    )
    assert {line["signal"] for line in lines[:WARM_UP]} == {base.NOT_WARM}
    for expected, line in zip(rows, lines[WARM_UP:], strict=True):
        start = datetime.fromisoformat(line["candle_start"]).astimezone(NEW_YORK)
        stop = "-" if line["stop"] is None else f"{Decimal(line['stop']):.2f}"
        found = {
            "candle": f"{start:%H:%M}",
            "F": line["sma_fast"],
            "S": line["sma_slow"],
            "class": line["class"],
            "signal": line["signal"],
            "event": told(line),
            "stop": stop,
        }
        assert found == {name: expected[name] for name in found}
    placed = lines[WARM_UP]["events"][0]
    assert f"by_cash 621: {placed['qty']} shares" in VELEZ


def test_sizing_example_is_the_programs() -> None:
    """Goal: the numbers of the sizing paragraph. Method: the sizing function itself."""
    sizing = size(
        RiskLimits(),
        equity=Decimal(25_000),
        buying_power=Decimal(25_000),
        price=Decimal(50),
        risk_per_share=Decimal("0.50"),
    )
    by_risk, by_position, by_cash, qty = (Decimal(shares) for shares in (500, 25, 500, 25))
    assert sizing == Sizing(by_risk, by_position, by_cash, qty, "by_position")
    assert "give by_risk 500" in VELEZ
    assert "leaves 25." in VELEZ


@pytest.mark.parametrize("choice", ["length=20", "entry_expiry_candles=2"])
def test_example_source_trades_as_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    """Goal: the strategy with indicators of its own works as printed, no price of it a float."""
    found = re.search(r"example source -->\n```python\n(.*?)```\n", STRATEGIES, re.DOTALL)
    assert found is not None
    file = tmp_path / "breakout.py"
    file.write_text(found[1])
    sample = str(ROOT / "data" / "sample")
    lines = backtest(
        tmp_path, "SYNA", "--bars", sample, "--strategy", f"{file}:Breakout", "--set", choice
    )
    assert [line["signal"] for line in lines[:20]] == [base.NOT_WARM] * 20
    events = {event["type"] for line in lines for event in line["events"]}
    assert {"ENTRY_FILLED", "EXIT_STRATEGY"} <= events
    for number, line in enumerate(lines):
        before = [Decimal(each["high"]) for each in lines[max(0, number - 20) : number]]
        if line["signal"] == judge.SIGNAL:
            assert Decimal(line["close"]) > max(before)
    assert "SYNA" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["--help", "--unknown"])
def test_sample_script_takes_no_option_for_a_folder(word: str, tmp_path: Path) -> None:
    """Goal: a mistyped option writes nothing."""
    script = [sys.executable, str(ROOT / "data" / "make_sample.py"), word]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "usage:" in done.stdout + done.stderr
    assert done.returncode == (0 if word == "--help" else 2)
    assert not list(tmp_path.iterdir())


def test_another_strategys_settings_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: the sentence on velez.* in docs/strategies.md."""
    file = tmp_path / "any.py"
    found = re.search(r"example source -->\n```python\n(.*?)```\n", STRATEGIES, re.DOTALL)
    assert found is not None
    file.write_text(found[1])
    words = ["backtest", "SYNA", "--bars", str(ROOT / "data" / "sample")]
    words += ["--strategy", f"{file}:Breakout", "--set", "velez.sma_fast=10"]
    assert run(["--data-dir", str(tmp_path), *words]) == 2
    assert "velez.sma_fast" in capsys.readouterr().err


def event_types() -> set[str]:
    """Every event a decision line may carry: the `type` words of the module, and its exits."""
    tree = ast.parse(Path(decisions.__file__).read_text())
    words = {
        value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "type" and isinstance(value, ast.Constant)
    }
    never = {ExitReason.STOP_LOSS, ExitReason.END_OF_DATA}  # Another word; after the last line.
    exits = {f"EXIT_{reason.upper()}" for reason in ExitReason if reason not in never}
    return {str(word) for word in words} | exits | {"STOP_KEPT"}


def test_every_event_is_in_the_docs() -> None:
    """Goal: no event that docs/backtest.md does not list."""
    found = event_types()
    assert {"ENTRY_PLACED", "STOP_MOVED", "REFUSED", "EXIT_MAX_RUN"} <= found
    assert {word for word in found if not re.search(rf"\b{word}\b", BACKTEST)} == set()


def test_every_reason_and_risk_rule_of_velez_is_in_its_page() -> None:
    """Goal: no word on a Velez line whose rule docs/velez.md does not state."""
    reasons = [
        judge.SIGNAL,
        engine.NOT_EVALUATED,
        base.NOT_WARM,
        velez.BAD_PRICE,
        velez.NOT_TIGHT,
        velez.NOT_DIVERGING,
        velez.WRONG_SIDE,
        velez.WRONG_COLOUR,
        velez.NOT_STRONG,
        judge.LATE_CANDLE,
        judge.SESSION_CUTOFF,
        judge.BAD_RISK,
        *velez.Trail,
        *(rule.name for rule in RULES),
        QTY_ZERO,
    ]
    for word in reasons:
        assert re.search(rf"\b{word}\b", VELEZ), word


def test_every_parameter_of_velez_is_in_its_page() -> None:
    """Goal: no parameter without its meaning there; `enabled` is the daemon's, not a rule."""
    for key in SETTINGS:
        section, _, name = key.rpartition(".")
        if section == "velez" and name != "enabled":
            assert f"`{name}`" in VELEZ, name
