"""A mistake in a user's strategy file: one message that names strategy, method, candle and remedy.

Method of all: a file of one strategy, changed in one place, through the command line over bars that
rise by a cent a minute, so that every method is asked: it buys at candle 4, moves its stop, sells
and buys again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from algo_trader.cli.main import Stopped, run

GOOD = '''
import decimal
from decimal import Decimal, FloatOperation, getcontext, localcontext, setcontext

from algo_trader.core.types import ExitReason, Side
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategies.base import CandleLabel, Exit, Hold, MoveStop, Signal


class Odd(BaseException):
    pass


class Mute(Exception):
    def __str__(self):
        raise odd()

    __repr__ = __str__


def odd():
    raise Odd("mine")


class Mine(Strategy):
    hyperparameters = {"sma_fast": 2, "sma_slow": 3, "far": Decimal("0.50")}

    def should_long(self, bar, indicators):
        return True

    def entry_price(self, bar):
        return bar.high

    def stop_loss_price(self, bar):
        return bar.low - self.far

    def should_update_stop(self, bar, position, indicators):
        return bar.low - self.far

    def should_exit(self, bar, position, indicators):
        return bar.end > position.opened_at + 400


class Source:
    bar_count = 0
    sma_fast = sma_slow = None

    def update(self, candle):
        self.bar_count += 1
        return self


class Sourced(Mine):
    def indicators(self):
        return Source()

'''
PRECISION = "getcontext().prec = 5"
REMEDY = "with localcontext() as context"


class Case(NamedTuple):
    """What a class X holds that derives from `base`, and what the message says of it."""

    body: str
    words: str
    base: str = "Mine"
    settings: tuple[str, ...] = ()


def bars(count: int = 60) -> str:
    """A session's first minutes, a cent up each."""
    rows = ["timestamp,symbol,open,high,low,close,volume\n"]
    for minute in range(count):
        prices = [f"{(1000 + minute + add) / 100:.2f}" for add in (1, 3, 0, 2)]
        hour, rest = divmod(14 * 60 + 30 + minute, 60)
        rows.append(f"2024-01-02T{hour:02}:{rest:02}:00Z,ABC,{','.join(prices)},100\n")
    return "".join(rows)


class Program:
    """The command line in a folder with bars of ABC, and with the strategy in mine.py."""

    def __init__(self, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._data = data
        self._capsys = capsys
        self.lines = folder / "lines.jsonl"
        (folder / "bars.csv").write_text(bars())
        (folder / "no.env").touch()

    def write(self, case: Case) -> None:
        body = "\n".join(f"    {line}" for line in case.body.splitlines())
        (self.folder / "mine.py").write_text(f"{GOOD}\nclass X({case.base}):\n{body}\n")

    def run(
        self, *settings: str, decisions: bool = True, first: str = ""
    ) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a backtest of X."""
        words = ["--data-dir", str(self._data), "--env-file", str(self.folder / "no.env")]
        words += ["backtest", "ABC", "--bars", str(self.folder / "bars.csv"), "--no-save", "--json"]
        words += ["--strategy", f"{self.folder / 'mine.py'}:X"]
        words += ["--decisions", str(self.lines)] if decisions else []
        words += ["--from", first] if first else []
        code = run([*words, *(word for each in settings for word in ("--set", each))])
        told = self._capsys.readouterr()
        return code, told.out, told.err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory for all runs: making the table of sessions takes longer than a run."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def program(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(tmp_path, data, capsys)


def hyper(text: str) -> str:
    """The body of a class with a parameter `a`."""
    return f'hyperparameters = {{"sma_fast": 2, "sma_slow": 3, "a": {text}}}'


def method(name: str, *lines: str, last: str = "") -> str:
    """The body of a class that defines a method: these lines, then the inherited answer."""
    answer = last or f"return super().{name}(*given)"
    return "\n".join([f"def {name}(self, *given):", *(f"    {line}" for line in (*lines, answer))])


LOADED = [
    Case(hyper("{1, 2}"), "hyperparameter a is {1, 2}, of type set"),
    Case(hyper("[{1}]"), "hyperparameter a is {1}, of type set"),
    Case(hyper("object"), "hyperparameter a is <class 'object'>, of type type"),
    Case(hyper("{1: 2}"), "hyperparameter a has the key 1: the keys of a dict must be text"),
    Case(hyper("10**18"), "hyperparameter a is a whole number of more than 18 digits"),
    Case(hyper("10**5000"), "hyperparameter a is a whole number of more than 18 digits"),
    Case(hyper("[[0.5]]"), 'hyperparameter a is the float 0.5; write Decimal("0.5")'),
    Case("loop = []\nloop.append(loop)\n" + hyper("loop"), "hyperparameter a is nested too deeply"),
    Case('hyperparameters = {"label": 3}', "hyperparameter 'label' has a name that every strategy"),
    Case("hyperparameters = {5: 3}", "hyperparameter 5 has a name that every strategy"),
    Case("hyperparameters = [5]", "hyperparameters must be a dict of defaults"),
    Case("far = 0.5", "hyperparameter far is the float 0.5"),
    Case("sma_fast = {5}", "hyperparameter sma_fast is {5}, of type set"),
    Case("sma_fast = True", "sma_fast is True, it must be a whole number from 1 to 10000"),
    Case("sma_fast = 3", "sma_fast (3) must be smaller than sma_slow (3)"),
    Case("entry_expiry_candles = Decimal(2)", "entry_expiry_candles is Decimal('2'), it must be"),
    Case("candle_interval_minutes = Decimal(2)", "minutes is Decimal('2'), it must be one of"),
    Case("candle_interval_minutes = True", "candle_interval_minutes is True, it must be one of"),
    Case("candle_interval_minutes = [2]", "candle_interval_minutes is [2], it must be one of"),
    Case("parameters = {}", "parameters is {}; it is a method of every strategy"),
    Case("@classmethod\ndef parameters(cls):\n    return {}", "write hyperparameters"),
    Case("should_long = True", "should_long is True; it is a method of every strategy"),
    Case("async def should_long(self, *given):\n    return True", "must answer at once"),
    Case("def should_exit(self, *given):\n    yield True", "should_exit must answer at once"),
    Case("def __init__(self, *given, **more):\n    pass", "super().__init__(symbol, **parameters)"),
    Case(
        "def __init__(self, symbol, **more):\n    super().__init__(symbol)",
        "its __init__ leaves far at its default",
        settings=("far=0.25",),
    ),
    Case(
        "def __init__(self, symbol, **more):\n    super().__init__('Y', **more)",
        "its __init__ changes the symbol",
    ),
    Case("def __init__(self, *given):\n    odd()", "X cannot be made for ABC: mine"),
    Case("def __init__(self, *given):\n    raise GeneratorExit", "X cannot be made for ABC"),
    Case(
        f"def __init__(self, *given):\n    super().__init__(*given)\n    {PRECISION}",
        "strategy X: __init__ changed the decimal context, in which all money is reckoned",
    ),
    Case("odd()", "mine.py does not import: Odd: mine"),
]


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def assert_told(program: Program, case: Case, *, decisions: bool = True) -> str:
    """Exit 2, nothing written, the words of the case in one message, no line of this program."""
    program.write(case)
    before = listing(program.folder)
    code, out, err = program.run(*case.settings, decisions=decisions)
    assert (code, out) == (2, ""), err
    assert case.words in err
    assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1
    assert "/algo_trader/" not in err
    assert listing(program.folder) == before
    return err


@pytest.mark.parametrize("case", LOADED, ids=lambda case: case.words)
def test_what_cannot_run_is_refused_before_it(case: Case, program: Program) -> None:
    """Goal: what has no exact form, cannot steer the engine or cannot answer is named at once."""
    assert_told(program, case)


HISTORY = "required_history returned"
SIGNAL = "return Signal({}, args[0].high, args[0].low)"
ANSWERS = [
    Case("def should_long(self, bar):\n    return True", "should_long() takes 2 positional arg"),
    Case(
        "def should_long(self, *given):\n    return False\n"
        "def should_short(self, *given):\n    return True",
        "X goes short: define short_entry_price",
    ),
    Case(method("label", last="return 'GREEN'"), "label returned 'GREEN' at candle 1 of ABC"),
    Case(method("label", last="return None"), "label returned None at candle 1 of ABC"),
    Case(method("label", last="return CandleLabel(3, None)"), "CandleLabel(colour=3, strong=None)"),
    Case(method("label", last="return CandleLabel('RED', 'no')"), "colour='RED', strong='no')"),
    Case(method("required_history", last="return '20'"), f"{HISTORY} '20' before the first candle"),
    Case(method("required_history", last="return None"), f"{HISTORY} None before the first candle"),
    Case(method("required_history", last="return 2.5"), f"{HISTORY} 2.5 before the first candle"),
    Case(method("required_history", last="return True"), f"{HISTORY} True before the first candle"),
    Case(method("indicators", last="return None"), "indicators returned None before the first"),
    Case(method("indicators", last="return 1 / 0"), "ZeroDivisionError before the first candle of"),
    Case("sma_fast = 0.5", "its sma_fast must be Decimal or None", "Source"),
    Case("sma_slow = 'none'", "its sma_slow must be Decimal or None", "Source"),
    Case("sma_slow = property(lambda self: odd())", "raised Odd at candle 1 of ABC", "Source"),
    Case("bar_count = Decimal(0)", "it needs a bar_count, the number of candles", "Source"),
    Case(method("update", last="return None"), "update returned None at candle 1 of ABC", "Source"),
    Case(
        method("signal", last="return Signal('long', Decimal(11), Decimal(9))"),
        "its side must be Side.LONG or Side.SHORT of algo_trader.core.types",
    ),
    Case(
        method("signal", last="return Signal(Side.LONG, Decimal(11), Decimal(9), {1})"),
        "its otherwise must be a reason in capitals or None",
    ),
    Case(
        method("signal", last="return Signal(Side.LONG, 10**5000, Decimal(9))"),
        "gave the price a int at candle 1 of ABC",
    ),
    Case(
        method("signal", last="return Signal(Side.LONG, Decimal('1E+9999999999'), Decimal(9))"),
        "gave the price Decimal('1E+9999999999') at candle 1 of ABC",
    ),
    Case(method("signal", last="raise Mute()"), "raised Mute at candle 1 of ABC"),
    Case(method("signal", last="return Mute()"), "signal returned a Mute at candle 1 of ABC"),
    Case(method("manage", last="return Exit('enough')"), "manage returned Exit(reason='enough')"),
]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.words)
def test_an_answer_that_is_none_is_named(case: Case, program: Program) -> None:
    """Goal: method, answer, candle and what would be an answer."""
    if case.base == "Source":
        source = "\n".join(f"    {line}" for line in case.body.splitlines())
        body = f"class Own(Source):\n{source}\ndef indicators(self):\n    return self.Own()"
        case = Case(body, case.words)
    assert_told(program, case)


METHODS = {
    "should_long": "candle 4 of ABC",
    "entry_price": "candle 4 of ABC",
    "stop_loss_price": "candle 4 of ABC",
    "signal": "candle 1 of ABC",
    "should_update_stop": "candle 5 of ABC",
    "should_exit": "candle 5 of ABC",
    "manage": "candle 5 of ABC",
    "on_position_opened": "candle 4 of ABC",
    "on_position_closed": "candle 8 of ABC",
    "label": "candle 1 of ABC",
    "update": "candle 1 of ABC",
    "required_history": "before the first candle of ABC",
    "indicators": "before the first candle of ABC",
}


def in_method(name: str, line: str) -> Case:
    """A class whose method of that name does `line`, then what it always does."""
    if name == "update":
        source = method(name, line).replace("\n", "\n    ")
        body = f"class Own(Source):\n    {source}\ndef indicators(self):\n    return self.Own()"
        return Case(body, "")
    return Case(method(name, line), "")


@pytest.mark.parametrize("line", ["odd()", "raise GeneratorExit", "raise SystemExit(3)", "1 / 0"])
@pytest.mark.parametrize("name", METHODS)
def test_whatever_is_raised_is_the_users(name: str, line: str, program: Program) -> None:
    """Goal: also what is no Exception ends in one message with the user's own lines above it."""
    err = assert_told(program, in_method(name, line)._replace(words=METHODS[name]))
    message = err.splitlines()[-1]
    assert message.startswith("Error: strategy X raised ")
    assert f" in {name}: " in message
    assert f"    {line}\n" in err


@pytest.mark.parametrize(
    "line",
    [
        PRECISION,
        "getcontext().rounding = decimal.ROUND_UP",
        "getcontext().traps[FloatOperation] = False",
        "getcontext().Emax = 99",
        "setcontext(decimal.Context(prec=5))",
        "localcontext(decimal.Context(prec=5)).__enter__()",
    ],
)
@pytest.mark.parametrize("name", METHODS)
def test_a_changed_decimal_context_is_told(name: str, line: str, program: Program) -> None:
    """Goal: no money is reckoned in a context that a strategy has changed, be it for one answer.

    Method: change it in each method, each in turn, without decision lines but for `label`.
    """
    case = in_method(name, line)._replace(words="changed the decimal context")
    err = assert_told(program, case, decisions=name == "label")
    assert METHODS[name] in err
    assert REMEDY in err


def test_a_context_that_is_changed_back_is_told_too(program: Program) -> None:
    """Goal: the same where a later answer restores it, before anything that is rare happens."""
    swap = "getcontext().prec = 5 if getcontext().prec == 28 else 28"
    case = Case(method("should_long", swap, last="return False"), "should_long or what is asked")
    assert_told(program, case)


def test_a_context_changed_out_of_sight_is_told_at_the_next_rare_point(program: Program) -> None:
    """Goal: a library that changes it does not go unnoticed although the file names no context.

    Method: a module in another folder, which nobody reads.
    """
    library = program.folder / "library"
    library.mkdir()
    (library / "deep.py").write_text(f"from decimal import *\ndef sink():\n    {PRECISION}")
    plain = GOOD.replace(", getcontext, localcontext, setcontext", "")
    text = method("should_long", "deep.sink()").replace("\n", "\n    ")
    (program.folder / "mine.py").write_text(
        f"{plain}\nfrom library import deep\nclass X(Mine):\n    {text}\n"
    )
    code, out, err = program.run()
    assert (code, out) == (2, "")
    assert "the code behind this signal at candle 4 of ABC" in err
    assert "changed the decimal context" in err


def test_a_context_of_ones_own_is_fine(program: Program) -> None:
    """Goal: what the message advises works, and what the file does when it is read is undone."""
    lines = ["with localcontext() as context:", "    context.prec = 50", "    bar = Decimal(1) / 3"]
    program.write(Case(method("should_long", *lines), ""))
    text = (program.folder / "mine.py").read_text()
    (program.folder / "mine.py").write_text(f"{text}\n{PRECISION}\n")
    code, out, err = program.run()
    assert code == 0, err
    assert json.loads(out)["trades"]
    assert getcontext().prec == 28


@pytest.mark.parametrize("request_", [KeyboardInterrupt, lambda: Stopped(15)])
@pytest.mark.parametrize("name", ["should_long", "signal", "should_exit", "label", "update"])
def test_the_operators_request_to_stop_is_not_the_users_mistake(
    name: str,
    request_: Callable[[], BaseException],
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Goal: Ctrl-C or a signal ends the program as such, whatever code it meets."""
    monkeypatch.setattr("builtins.stop_here", request_, raising=False)
    program.write(in_method(name, "raise stop_here()"))
    code, out, err = program.run()
    assert (code, out) == (128 + (2 if request_ is KeyboardInterrupt else 15), "")
    assert "strategy" not in err
    assert not program.lines.exists()


SHOWN: list[tuple[str, Any]] = [
    ("[Decimal('0.10'), 2, None]", ["0.10", 2, None]),
    ("{'deep': {'x': (Decimal('1E+3'), True)}}", {"deep": {"x": ["1E+3", True]}}),
    ("10**18 - 1", 10**18 - 1),
    ("None", None),
]


@pytest.mark.parametrize(("text", "wanted"), SHOWN)
def test_lists_and_dicts_of_exact_values_are_shown(
    text: str, wanted: Any, program: Program
) -> None:
    """Goal: they are part of the run as it is written down, and reach the strategy as they are."""
    check = f"assert self.a == {text}"
    program.write(Case(f"{hyper(text)}\n{method('should_exit', check)}", ""))
    code, out, err = program.run()
    assert code == 0, err
    document = json.loads(out)
    assert document["run"]["params"]["strategy"]["a"] == wanted
    assert document["run"]["params"]["strategy"]["far"] == "0.50"
    assert document["trades"]


def test_a_warm_up_that_fails_is_told(program: Program) -> None:
    """Goal: a user's source is blamed for a session that only warms up, with the right candle."""
    first = bars()
    second = first.replace("2024-01-02", "2024-01-03").partition("\n")[2]
    (program.folder / "bars.csv").write_text(first + second)
    for count, place in ((7, "candle 7 of ABC (2024-01-02"), (37, "candle 37 of ABC (2024-01-03")):
        line = f"if self.bar_count == {count - 1}: odd()"
        program.write(in_method("update", line))
        code, _, err = program.run(decisions=False, first="2024-01-03")
        assert code == 2
        assert f"raised Odd at {place}" in err


def test_exact_defaults_are_what_the_good_strategy_trades_on(program: Program) -> None:
    """Goal: the strategy that every case above changes is itself without a mistake."""
    program.write(Case("pass", ""))
    code, out, err = program.run("far=0.25")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert Decimal(document["run"]["params"]["strategy"]["far"]) == Decimal("0.25")
    assert len(document["trades"]) > 1
