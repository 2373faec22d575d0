"""A user's own strategy file into a Strategy class.

Owns the `file.py:ClassName` form of `--strategy`. Whatever goes wrong in the user's code is told
with the user's traceback: frames of this program are left out.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Mapping
from decimal import Decimal, localcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from algo_trader.core.candles import INTERVALS_MINUTES
from algo_trader.core.errors import ConfigError, StrategyError
from algo_trader.core.types import Symbol
from algo_trader.strategies import REGISTRY, Strategy
from algo_trader.strategies.base import ENGINE_PARAMETERS
from algo_trader.strategies.mistakes import (
    CHANGED_CONTEXT,
    OURS,
    ContextWatch,
    is_stop,
    is_whole,
    own_traceback,
    said,
    shown,
)

BOUNDS = {
    "entry_expiry_candles": 100,
    "flatten_minutes_before_close": 30,
    "sma_fast": 10_000,
    "sma_slow": 10_000,
}
"""The most a user's strategy may ask of the engine; the least is 1."""

MODULE_NAME = "algo_trader_user_strategy"
CONTEXT_NAMES = re.compile(rb"(get|set|local)context")
DEEPEST = 20
WIDEST = 10**18
"""A whole number stays below it, as one given by --set does."""


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
    _check_methods(reference, found)
    _check_parameters(reference, found)
    found.may_change_context = _names_the_context(path)
    return class_name, found


def _check_methods(reference: str, cls: type[Strategy]) -> None:
    """What the engine asks are plain methods, and `parameters` is what the base makes of it."""
    for name, value in vars(Strategy).items():
        if name.startswith("_") or not callable(getattr(Strategy, name)):
            continue
        method = getattr(cls, name, None)
        if inspect.isclass(method) or not callable(method):
            raise ConfigError(
                f"--strategy {reference}: {name} is {shown(method)}; it is a method of every "
                "strategy, so define it as one or rename yours"
            )
        if isinstance(value, classmethod) and _is_users(_owner(cls, name)):
            raise ConfigError(
                f"--strategy {reference}: {name} is not for a strategy to define: rename yours, "
                "or write hyperparameters for the parameters"
            )
        if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
            raise ConfigError(
                f"--strategy {reference}: {name} must answer at once: write it without async "
                "and yield"
            )


def _owner(cls: type[Strategy], name: str) -> type:
    return next(each for each in cls.__mro__ if name in vars(each))


def _is_users(cls: type) -> bool:
    return not cls.__module__.startswith(OURS)


def _check_parameters(reference: str, cls: type[Strategy]) -> None:
    """`hyperparameters` is a mapping of names to exact values that a run can write down."""
    for each in cls.__mro__:
        if not isinstance(vars(each).get("hyperparameters", {}), Mapping):
            raise ConfigError(f"--strategy {reference}: hyperparameters must be a dict of defaults")
    for name in cls.defaults():
        is_taken = isinstance(name, str) and (hasattr(Strategy, name) or name == "symbol")
        if not isinstance(name, str) or (is_taken and name not in ENGINE_PARAMETERS):
            raise ConfigError(
                f"--strategy {reference}: hyperparameter {name!r} has a name that every strategy "
                "uses already, or that is none: rename it"
            )
    engine = {name: getattr(cls, name) for name in ENGINE_PARAMETERS}
    for name, value in {**engine, **cls.defaults()}.items():
        fault = _fault(value)
        if fault is not None:
            raise ConfigError(f"--strategy {reference}: hyperparameter {name} {fault}")


def _fault(value: object, depth: int = 0) -> str | None:
    """Why this value has no exact form in JSON, or None. A Decimal has one: its text."""
    if value is None or isinstance(value, bool | str | Decimal):
        return None
    if isinstance(value, float):
        return f'is the float {value!r}; write Decimal("{value!r}") so that prices stay exact'
    if isinstance(value, int):
        return None if abs(value) < WIDEST else "is a whole number of more than 18 digits"
    if depth > DEEPEST:
        return "is nested too deeply to be written down"
    items: list[object] = []
    if isinstance(value, dict):
        odd = [key for key in value if not isinstance(key, str)]
        if odd:
            return f"has the key {shown(odd[0])}: the keys of a dict must be text"
        items.extend(value.values())
    elif isinstance(value, list | tuple):
        items.extend(value)
    else:
        return (
            f"is {shown(value)}, of type {type(value).__name__}; it must be an int, Decimal, bool, "
            "str or None, or a list or dict of them, so that the run can write it down"
        )
    return next((found for found in (_fault(each, depth + 1) for each in items) if found), None)


def make_strategy(cls: type[Strategy], symbol: Symbol, parameters: dict[str, Any]) -> Strategy:
    """One instance for one symbol, with the parameters it was given."""
    watch = ContextWatch()
    try:
        strategy = cls(symbol, **parameters)
        steering = {name: getattr(strategy, name) for name in ENGINE_PARAMETERS}
    except BaseException as error:
        if is_stop(error):
            raise
        raise StrategyError(
            f"strategy {cls.__name__} cannot be made for {symbol}: {said(error)}",
            own_traceback(error),
        ) from error
    if watch.has_changed():
        raise StrategyError(f"strategy {cls.__name__}: __init__ {CHANGED_CONTEXT}")
    _check_attributes(cls, strategy, symbol, parameters)
    _check_steering(cls.__name__, steering)
    return strategy


def _check_attributes(
    cls: type[Strategy], strategy: Strategy, symbol: Symbol, parameters: dict[str, Any]
) -> None:
    """`Strategy.__init__` was called, with the parameters of this run."""
    defaults = cls.defaults()
    lacks = [name for name in ("symbol", *defaults, *parameters) if not hasattr(strategy, name)]
    ignored = [
        name
        for name, value in parameters.items()
        if name not in lacks
        and name in defaults
        and value != defaults[name]
        and type(getattr(strategy, name)) is type(defaults[name])
        and getattr(strategy, name) == defaults[name]
    ]
    if lacks or ignored or strategy.symbol != symbol:
        what = (
            f"does not set {lacks[0]}"
            if lacks
            else f"leaves {ignored[0]} at its default"
            if ignored
            else "changes the symbol"
        )
        raise ConfigError(
            f"strategy {cls.__name__}: its __init__ {what}; it must take (self, symbol, "
            "**parameters) and begin with super().__init__(symbol, **parameters)"
        )


def _check_steering(name_of_strategy: str, steering: dict[str, Any]) -> None:
    """What steers the engine lies within its bounds."""
    interval = steering["candle_interval_minutes"]
    if not is_whole(interval) or interval not in INTERVALS_MINUTES:
        raise ConfigError(
            f"strategy {name_of_strategy}: candle_interval_minutes is {shown(interval)}, it must "
            "be one of the whole numbers 1, 2, 5, 10"
        )
    for name, most in BOUNDS.items():
        value = steering[name]
        if not is_whole(value) or not 1 <= value <= most:
            raise ConfigError(
                f"strategy {name_of_strategy}: {name} is {shown(value)}, it must be a whole number "
                f"from 1 to {most}"
            )
    fast, slow = steering["sma_fast"], steering["sma_slow"]
    if fast >= slow:
        raise ConfigError(
            f"strategy {name_of_strategy}: sma_fast ({fast}) must be smaller than sma_slow ({slow})"
        )


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
    except BaseException as error:
        if is_stop(error):
            raise
        raise StrategyError(
            f"strategy file {path} does not import: {type(error).__name__}: {said(error)}",
            own_traceback(error),
        ) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    return module


def _names_the_context(path: Path) -> bool:
    """Whether this file, or a module beside it that is loaded, names the decimal context.

    Code that does not cannot change it unseen; the rare looks at it see what a library does.
    """
    folder = str(path.resolve().parent)
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    beside = {
        Path(file)
        for file in files
        if isinstance(file, str) and file.endswith(".py") and os.path.dirname(file) == folder
    }
    return any(
        CONTEXT_NAMES.search(file.read_bytes()) for file in {path, *beside} if file.is_file()
    )
