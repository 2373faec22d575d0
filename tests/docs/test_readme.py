"""The documents tell the truth: commands run, sections agree with the program, links exist."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from algo_trader.backtest.metrics import Metrics
from algo_trader.cli.main import EXIT_NO_DAEMON, VERBS, run
from algo_trader.engine import decisions as words
from algo_trader.engine import engine, judge
from algo_trader.risk.rules import QTY_ZERO, RULES
from algo_trader.strategies import base, velez

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}


def load_paste() -> ModuleType:
    """The tool that fills the generated sections."""
    spec = importlib.util.spec_from_file_location("paste", ROOT / "docs" / "paste.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PASTE = load_paste()


def test_settings_table_is_the_programs_own() -> None:
    """Goal: no setting changes without the README. Method: paste again and compare."""
    assert PASTE.section(README, "settings") == PASTE.settings_table() + "\n"


def example() -> str:
    """The strategy of the README."""
    code = PASTE.section(README, "example strategy")
    found = re.fullmatch(r"```python\n(.*)```\n", code, re.DOTALL)
    assert found is not None
    text: str = found.group(1)
    return text


def test_example_strategy_is_short_and_trades(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: the 25-line example works as printed. Method: save it and run the README's line."""
    code = example()
    assert len(code.splitlines()) <= 25
    (tmp_path / "cross.py").write_text(code)
    line = next(line for line in README.splitlines() if "cross.py:SmaCross" in line)
    line = line.replace("cross.py", str(tmp_path / "cross.py"))
    words = line.replace("data/sample", str(ROOT / "data" / "sample")).split()
    arguments = words[words.index("algo-trader") + 1 :]
    assert run(["--data-dir", str(tmp_path), *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["total_trades"] > 0
    assert {trade["exit_reason"] for trade in document["trades"]} <= {
        "stop_loss",
        "strategy",
        "end_of_day",
        "end_of_data",
    }
    assert document["run"]["params"]["strategy"]["stop_pct"] == "0.5"


def test_the_first_commands_of_the_readme_run(tmp_path: Path) -> None:
    """Goal: the very first line works as printed, from the repository's folder, and so do those
    that look at what it left.
    """
    lines = README.splitlines()
    first = next(line for line in lines if line.startswith("pip install uv"))
    after = [line for line in lines if line.startswith("uv run algo-trader ")][:3]
    for line in (first.partition("&& ")[2], *after):
        words = shlex.split(line.partition("uv run algo-trader ")[2], comments=True)
        done = algo_trader(["--data-dir", str(tmp_path), *words], ROOT)
        assert done.returncode == 0, done.stderr
        assert words[0] == "start" or done.stdout


def example_of(verb: str) -> list[str]:
    """The words of the first example in a verb's help."""
    done = algo_trader([verb, "--help"], ROOT)
    found = re.search(r"^ +algo-trader (.*)$", done.stdout, re.MULTILINE)
    assert found is not None, verb
    return shlex.split(found[1])


def algo_trader(words: list[str], where: Path) -> subprocess.CompletedProcess[str]:
    """One command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "algo_trader", *words],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_verb_has_an_example_that_works_offline(tmp_path: Path) -> None:
    """Goal: the examples in --help are true. Method: read each from the help and run it as a user
    would, in a folder that has the sample in data/sample; those for a running daemon say when there
    is none.
    """
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sample").symlink_to(ROOT / "data" / "sample")
    started = algo_trader(example_of("start"), tmp_path)
    assert started.returncode == 0, started.stderr
    for verb in sorted(VERBS.keys() - {"start"}):
        done = algo_trader(example_of(verb), tmp_path)
        if verb in ("flatten", "halt", "resume", "status", "stop"):
            assert (done.returncode, done.stdout) == (EXIT_NO_DAEMON, ""), verb
            assert "algo-trader start" in done.stderr
        else:
            assert done.returncode == 0, done.stderr
            assert done.stdout


def test_every_metric_is_defined() -> None:
    """Goal: no figure without its definition."""
    for name in Metrics._fields:
        assert f"`{name}`" in DOCS["metrics.md"], name


def test_every_word_of_a_decision_line_is_explained() -> None:
    """Goal: no reason, rule or state that the docs do not name."""
    reasons = [
        judge.SIGNAL,
        engine.NOT_EVALUATED,
        judge.LATE_CANDLE,
        judge.SESSION_CUTOFF,
        judge.BAD_RISK,
        base.NOT_WARM,
        velez.BAD_PRICE,
        velez.NOT_TIGHT,
        velez.NOT_DIVERGING,
        velez.WRONG_SIDE,
        velez.WRONG_COLOUR,
        velez.NOT_STRONG,
        words.FLAT,
        words.PENDING,
        words.IN,
        QTY_ZERO,
        *(rule.name for rule in RULES),
    ]
    for word in reasons:
        assert word in DOCS["backtest.md"], word


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{name}" for name in sorted(DOCS))])
def test_links_and_named_files_exist(name: str) -> None:
    """Goal: nothing points nowhere. Method: every relative link, and every path in backquotes."""
    text = (ROOT / name).read_text()
    folder = (ROOT / name).parent
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (folder / link).exists(), link
    for path in re.findall(r"`((?:tests|algo_trader|data|docs|bench)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
