"""A user's own strategy file into a Strategy class.

Owns the `file.py:ClassName` form of `--strategy`. Whatever goes wrong in the user's code is told
with the user's traceback: frames of this program are left out.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from decimal import localcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from algo_trader.core.candles import INTERVALS_MINUTES
from algo_trader.core.errors import ConfigError, StrategyError
from algo_trader.core.types import Symbol
from algo_trader.engine.lane import PACKAGE
from algo_trader.strategies import REGISTRY, Strategy

BOUNDS = {
    "entry_expiry_candles": 100,
    "flatten_minutes_before_close": 30,
    "sma_fast": 10_000,
    "sma_slow": 10_000,
}
"""The most a user's strategy may ask of the engine; the least is 1."""

MODULE_NAME = "algo_trader_user_strategy"


def find_strategy(reference: str) -> tuple[str, type[Strategy]]:
    """Name and class of a registered strategy or of `file.py:ClassName`."""
    if reference in REGISTRY:
        return reference, REGISTRY[reference]
    path_text, colon, class_name = reference.rpartition(":")
    if not colon or not class_name.isidentifier():
        known = ", ".join(sorted(REGISTRY))
        raise ConfigError(
            f"--strategy {reference}: give a registered name ({known}) or file.py:ClassName"
        )
    path = Path(path_text)
    if not path.is_file():
        raise ConfigError(f"--strategy {reference}: there is no file {path}")
    found = getattr(_import(path), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise ConfigError(
            f"--strategy {reference}: {path} has no class {class_name} derived from "
            "algo_trader.strategies.Strategy"
        )
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ConfigError(f"--strategy {reference}: {class_name} must define {', '.join(missing)}")
    _check_parameters(reference, found)
    return class_name, found


def _check_parameters(reference: str, cls: type[Strategy]) -> None:
    """`hyperparameters` is a mapping of names to exact values."""
    parameters: Any = cls.hyperparameters
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"--strategy {reference}: hyperparameters must be a dict of defaults")
    for name, value in parameters.items():
        if not isinstance(name, str) or name == "symbol" or callable(getattr(Strategy, name, None)):
            raise ConfigError(
                f"--strategy {reference}: hyperparameter {name!r} has a name that every strategy "
                "uses already, or that is none: rename it"
            )
        if isinstance(value, float):
            raise ConfigError(
                f"--strategy {reference}: hyperparameter {name} is the float {value!r}; "
                f'write Decimal("{value!r}") so that prices stay exact'
            )


def make_strategy(cls: type[Strategy], symbol: Symbol, parameters: dict[str, Any]) -> Strategy:
    """One instance for one symbol, with the parameters it was given."""
    try:
        strategy = cls(symbol, **parameters)
    except (Exception, SystemExit) as error:
        raise StrategyError(
            f"strategy {cls.__name__} cannot be made for {symbol}: {error}", _traceback(error)
        ) from error
    if strategy.candle_interval_minutes not in INTERVALS_MINUTES:
        raise ConfigError(
            f"strategy {cls.__name__}: candle_interval_minutes is "
            f"{strategy.candle_interval_minutes}, it must be one of 1, 2, 5, 10"
        )
    for name, most in BOUNDS.items():
        value = getattr(strategy, name)
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ConfigError(
                f"strategy {cls.__name__}: {name} is {value!r}, it must be a whole number from 1 "
                f"to {most}"
            )
    if strategy.sma_fast >= strategy.sma_slow:
        raise ConfigError(
            f"strategy {cls.__name__}: sma_fast ({strategy.sma_fast}) must be smaller than "
            f"sma_slow ({strategy.sma_slow})"
        )
    return strategy


def _import(path: Path) -> ModuleType:
    if path.suffix != ".py":
        raise ConfigError(f"--strategy {path}: not a Python file (its name must end in .py)")
    module = ModuleType(MODULE_NAME)
    module.__file__ = str(path)
    sys.modules[MODULE_NAME] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        # From the source each time: cached bytecode may be that of the file before its last edit.
        code = compile(path.read_bytes(), str(path), "exec")
        with localcontext():  # The file may not change the arithmetic of the program.
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise StrategyError(
            f"strategy file {path} does not import: {type(error).__name__}: {error}",
            _traceback(error),
        ) from error
    finally:
        sys.path.remove(folder)
    return module


def _traceback(error: BaseException) -> str:
    """The traceback without this program's and the import system's frames."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((PACKAGE, "<frozen importlib"))
    ]
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
