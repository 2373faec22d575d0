"""`simulate`: its options, what it refuses and how, the document, the ledger that it leaves.

What a simulated run proves: tests/simulation/test_whole_system.py.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_trader.cli.main import run
from algo_trader.core.errors import StrategyError
from algo_trader.simulation import campaign, sweep

OWN = '''\
import os
import signal
from decimal import Decimal

from algo_trader.strategies import Strategy


class Mine(Strategy):
    hyperparameters = {"sma_fast": 1, "sma_slow": 2, "stop_pct": Decimal("0.3")}

    def should_long(self, bar, indicators):
        print("thinking")
        return bar.close > bar.open

    def entry_price(self, bar):
        return bar.high

    def stop_loss_price(self, bar):
        return bar.low * (1 - self.stop_pct / 100)


class Wrong(Mine):
    def should_long(self, bar, indicators):
        return bar.nothing > 1


class Float(Mine):
    def stop_loss_price(self, bar):
        return 0.99 * float(bar.low)


class Idle(Mine):
    def should_long(self, bar, indicators):
        return False


class Deadly(Mine):
    def should_long(self, bar, indicators):
        os.kill(os.getpid(), signal.SIGKILL)


class Half(Strategy):
    pass
'''
SHORT = ("--days", "1", "--minutes", "20")

Simulate = Callable[..., "Told"]


class Told:
    """A command line's end."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        """The JSON document, which is all that is on stdout."""
        return json.loads(self.out)


@pytest.fixture
def simulate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Simulate:
    """Run `simulate` in a folder of its own that holds mine.py."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(OWN)

    def told(*words: str) -> Told:
        capsys.readouterr()
        code = run(["simulate", *words])
        return Told(code, *capsys.readouterr())

    return told


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--seed", "1", "--seeds", "2"), "--seed and --seeds: give one of them"),
        (("--crash-at", "3"), "--crash-at looks at one run: name it with --seed"),
        (("--every", "9"), "--every is for the crash points of a --scenario"),
        (("--scenario", "all", "--days", "1"), "--days is for seeds: a --scenario says all of"),
        (("--scenario", "all", "--strategy", "mine.py:Mine"), "--strategy is for seeds"),
        (("--trace",), "--trace looks at one run: name it with --seed"),
        (("--keep", "kept"), "--keep looks at one run: name it with --seed"),
        (("--seed", "1", "--crash-at", "3,x"), "--crash-at 3,x: give whole numbers from 0 on"),
        (("--seed", "1", "--crash-at", "3,-2"), "--crash-at 3,-2: give whole numbers from 0 on"),
        (("--seed", "1", "--crash-at", ","), "--crash-at ,: give whole numbers from 0 on"),
        (("--seed", "-1"), "'--seed': -1 is not in the range"),
        (("--seeds", "0"), "'--seeds': 0 is not in the range"),
        (("--first-seed", "x"), "'--first-seed': 'x' is not a valid integer"),
        (("--minutes", "19"), "'--minutes': 19 is not in the range"),
        (("--days", "21"), "'--days': 21 is not in the range"),
        (("--jobs", "0"), "'--jobs': 0 is not in the range"),
        (("--faults", "awful"), "'awful' is not one of 'none', 'light', 'heavy'"),
        (("--set", "nothing=1"), "'nothing' (--set) is not a parameter of the strategy"),
        (("--set", "watchlist=XX"), "--set watchlist: the simulated market has AA, BB, CC alone"),
        (("--set", "risk.max_position_pct=9"), "is '9' (--set); allowed: a number from"),
        (("--strategy", "nothing"), "--strategy nothing: give a registered name (velez) or file"),
        (("--strategy", "none.py:X"), "--strategy none.py:X: there is no file none.py"),
        (("--strategy", "mine.py:X"), "mine.py has no class X derived from"),
        (("--strategy", "mine.py:Half"), "Half must define entry_price"),
        (("--strategy", "mine.py:Mine", "--set", "stop_pct=x"), "strategy.stop_pct is 'x' (--set)"),
        (("--strategy", "mine.py:Mine", "--set", "stop_pot=1"), "did you mean stop_pct?"),
    ],
)
def test_what_is_wrong_is_named(
    simulate: Simulate, words: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    """Goal: a message that names the field and what it takes, before anything runs.

    Method: one wrong option each; exit 2, nothing on stdout and nothing in the folder.
    """
    before = set(tmp_path.iterdir())
    told = simulate(*words)
    assert (told.code, told.out) == (2, "")
    assert expected in told.err
    assert "Traceback" not in told.err
    assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before


def test_the_document_of_a_run(simulate: Simulate) -> None:
    """Goal: every figure of the document is of this run. Method: a run of a seed as JSON."""
    told = simulate("--seed", "7", *SHORT, "--json")
    assert (told.code, told.err) == (0, "")
    found = told.document
    assert {name: found[name] for name in ("strategy", "faults", "minutes", "days", "runs")} == {
        "strategy": "restless",
        "faults": "heavy",
        "minutes": 20,
        "days": 1,
        "runs": 1,
    }
    assert found["trading_days"] == 1
    assert found["lives"] > found["deaths"] >= 0
    assert found["boundaries"] > found["lives"]
    assert found["faults_injected"] == sum(found["faults_by_kind"].values())
    assert all(found["checks"].values())
    transitions = found["transitions"]
    assert transitions["legal"] == transitions["seen"] + len(transitions["missing"])
    assert 0 <= found["bare"]["p99_s"] <= found["bare"]["longest_s"]
    assert set(found["met"].values()) != {0}
    assert (found["never_met"], found["failures"]) == ([], [])


def test_some_seeds_in_words(simulate: Simulate) -> None:
    """Goal: without --json there is a table for people; the seeds begin where they are told to.

    Method: two seeds without faults.
    """
    told = simulate("--seeds", "2", "--first-seed", "40", "--faults", "none", *SHORT)
    assert (told.code, told.err) == (0, "")
    rows = {line[:20].strip(): line[20:] for line in told.out.splitlines()}
    assert rows["runs"] == "2 of 1 trading days of 20 minutes"
    assert rows["faults"] == "none, 0 injected"
    assert rows["lives"].endswith("of which died 0")
    assert told.out.endswith("no invariant was broken\n")


def test_trace_and_death(simulate: Simulate) -> None:
    """Goal: --crash-at ends the first life there, --trace shows it on stderr, beside the answer.

    Method: die at the start, with no other fault.
    """
    terms = ("--seed", "3", "--faults", "none", *SHORT)
    lived = simulate(*terms, "--json").document
    assert (lived["deaths"], lived["lives"]) == (0, 2)
    told = simulate(*terms, "--crash-at", "3", "--trace", "--json")
    assert told.code == 0
    assert (told.document["deaths"], told.document["lives"]) == (1, 3)
    lines = told.err.splitlines()
    assert len(lines) > 50
    assert all(line[:10].strip().replace(".", "").isdigit() for line in lines)


def test_the_kept_ledger_is_sound(
    simulate: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: what --keep writes can be looked at with every other verb. Method: `verify` it."""
    told = simulate("--seed", "5", *SHORT, "--keep", "deep/kept")
    kept = tmp_path / "deep" / "kept" / "seed-5.db"
    assert told.code == 0
    assert told.err == "wrote deep/kept/seed-5.db\n"
    folder = tmp_path / "data" / "alpaca-SIM000001"
    folder.mkdir(parents=True)
    kept.rename(folder / "trading.db")
    assert run(["--data-dir", str(tmp_path / "data"), "verify", "--json"]) == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["ok"] is True
    assert proof["facts"] > 10


def test_a_strategy_of_ones_own(simulate: Simulate) -> None:
    """Goal: a user's file is traded, what it prints is beside the answer, its parameters hold.

    Method: run it, and one that never trades.
    """
    terms = ("--seed", "2", "--faults", "none", *SHORT, "--json")
    busy = simulate("--strategy", "mine.py:Mine", "--set", "stop_pct=0.5", *terms)
    assert busy.code == 0
    assert busy.document["strategy"] == "mine.py:Mine"
    assert busy.document["transitions"]["seen"] > 0
    assert set(busy.err.splitlines()) == {"thinking"}
    idle = simulate("--strategy", "mine.py:Idle", *terms)
    assert idle.code == 0
    assert idle.document["transitions"]["seen"] == 0


@pytest.mark.parametrize("many", [("--seed", "1"), ("--seeds", "9", "--jobs", "2")])
def test_a_strategys_mistake_is_told_as_its_own(simulate: Simulate, many: tuple[str, ...]) -> None:
    """Goal: no broken invariant is made of a user's mistake, and no frame of ours is shown.

    Method: strategies that raise and that answer a float, in this process and in others.
    """
    told = simulate("--strategy", "mine.py:Wrong", *many, "--faults", "none", *SHORT)
    assert (told.code, told.out) == (2, "")
    assert 'File "mine.py", line ' in told.err
    assert "algo_trader" not in told.err
    assert told.err.splitlines()[-1].startswith("Error: seed 1: strategy wrong raised Attribute")
    told = simulate("--strategy", "mine.py:Float", *many, "--faults", "none", *SHORT)
    assert (told.code, told.out) == (2, "")
    assert "prices are Decimal" in told.err
    assert "Traceback" not in told.err


def test_a_broken_invariant_is_exit_75_and_says_how_to_see_it_again(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a failure has all that is needed to see it again, and the exit code of a failure.

    Method: a summary with a complaint takes the place of the run's.
    """

    def broken(outcome: object) -> campaign.Summary:
        return campaign.Summary(
            seed=4,
            complaints=["1.000 s, life 1: a share is lost"],
            tail=["what came before"],
            crash_at=(17, 230),
            tally=Counter(),
            cells=Counter(),
            bare_s=[],
            lives=2,
            boundaries=247,
            fingerprint="f00",
        )

    monkeypatch.setattr(campaign, "summary", broken)
    words = ("--seed", "4", "--faults", "none", *SHORT, "--set", "risk.max_open_positions=3")
    told = simulate(*words, "--json")
    assert told.code == 75
    (failure,) = told.document["failures"]
    command = failure.pop("command")
    assert failure == {
        "seed": 4,
        "complaints": ["1.000 s, life 1: a share is lost"],
        "lives_ended_at": [17, 230],
        "fingerprint": "f00",
        "trace": ["what came before"],
    }
    told = simulate(*words)
    assert told.code == 75
    for part in ("FAILED: seed 4", "a share is lost", "what came before", f"again: {command}"):
        assert part in told.out
    told = simulate("--seeds", "2", *words[2:])
    assert told.err == "FAILED: seed 4: 1.000 s, life 1: a share is lost\n"
    assert command.startswith("algo-trader simulate --seed 4 --set risk.max_open_positions=3 ")
    assert simulate(*command.split()[2:], "--json").code == 75


@pytest.mark.parametrize(
    "words",
    [
        ("--seeds", "9", "--faults", "none", *SHORT),
        ("--scenario", "entry fills at once", "--every", "100"),
    ],
)
def test_an_interrupted_campaign_tells_what_it_has_come_to(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Goal: hours of work are not lost to a Ctrl-C, and the end is told as what it is.

    Method: a run is interrupted, the first of a sweep's being the one that finds its points.
    """
    play, played = campaign.Setup.play_plan, []

    def interrupted(setup: campaign.Setup, plan: Any) -> Any:
        played.append(plan)
        if len(played) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return play(setup, plan)

    monkeypatch.setattr(campaign, "PIECES", 1)
    monkeypatch.setattr(sweep, "PIECE", 1)
    monkeypatch.setattr(campaign.Setup, "play_plan", interrupted)
    told = simulate(*words, "--jobs", "1", "--json")
    assert told.code == 128 + signal.SIGINT
    found = told.document
    assert found["runs"] == len(played) - ("--scenario" in words) < found["wanted"]
    assert told.err.splitlines() == [
        "stopping after the runs under way; once more ends it at once",
        "Error: stopped by SIGINT: no file was left half-written",
    ]
    played.clear()
    told = simulate(*words, "--jobs", "1")
    assert f"INTERRUPTED after {found['runs']} of {found['wanted']} runs" in told.out


def test_a_strategys_mistake_proves_nothing_of_the_runs_before(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: no verdict beside bad input. Method: the third run meets a mistake."""
    play, played = campaign.Setup.play_plan, []

    def mistaken(setup: campaign.Setup, plan: Any) -> Any:
        played.append(plan)
        if len(played) == 3:
            raise StrategyError("seed 3: it divides by nothing")
        return play(setup, plan)

    monkeypatch.setattr(campaign, "PIECES", 1)
    monkeypatch.setattr(campaign.Setup, "play_plan", mistaken)
    told = simulate("--seeds", "9", "--faults", "none", *SHORT, "--jobs", "1")
    assert (told.code, told.out) == (2, "")


def test_a_single_run_is_brought_to_its_end(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a signal is nothing that has happened to the daemon. Method: one in the middle."""
    play = campaign.Setup.play_plan

    def interrupted(setup: campaign.Setup, plan: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return play(setup, plan)

    monkeypatch.setattr(campaign.Setup, "play_plan", interrupted)
    told = simulate("--seed", "2", "--faults", "none", *SHORT)
    assert told.code == 128 + signal.SIGTERM
    assert "no invariant was broken" in told.out


def test_a_process_that_dies_is_told_of(simulate: Simulate) -> None:
    """Goal: one message, and what was run before. Method: a strategy that ends its process."""
    words = ("--faults", "none", *SHORT, "--jobs", "2")
    told = simulate("--strategy", "mine.py:Deadly", "--seeds", "9", *words)
    assert told.code == 1
    assert told.err.splitlines()[-1].startswith("Error: a process of the campaign was killed")
    assert "Traceback" not in told.err


@pytest.mark.parametrize("words", [("--seed", "1"), ("--scenario", "entry fills at once")])
def test_a_boundary_beyond_the_end_is_no_death(simulate: Simulate, words: tuple[str, ...]) -> None:
    """Goal: a slip of the finger does not read as a crash survived."""
    told = simulate(*words, "--crash-at", "1000000")
    assert (told.code, told.out) == (2, "")
    assert "--crash-at: life 1 was to die at boundary 1000000, and it has" in told.err


@pytest.mark.parametrize("name", ["a file", "there already"])
def test_a_place_that_nothing_can_be_kept_at(simulate: Simulate, name: str) -> None:
    """Goal: told before anything is played, and nothing of somebody's is lost."""
    Path("afile").write_text("dear")
    Path("seed-1.db").write_text("dear")
    told = simulate("--seed", "1", *SHORT, "--keep", "afile/x" if name == "a file" else ".")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("Error: --keep ")
    assert Path("seed-1.db").read_text() == "dear"
