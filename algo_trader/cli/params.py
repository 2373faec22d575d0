"""Kinds of values on the command line, and path lists that a shell's glob may have widened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from algo_trader.config.values import exact
from algo_trader.core.types import is_symbol
from algo_trader.feeds.bars import SUFFIXES

SPEED_MOST = 1_000_000
Verb = TypeVar("Verb", bound=Callable[..., Any])


class DecimalType(click.ParamType[Decimal]):
    """A plain decimal number within bounds, exact to calculate with, never through a float."""

    name = "decimal"

    def __init__(self, *, least: Decimal, most: Decimal) -> None:
        self.least = least
        self.most = most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The number, or a usage error that names the bounds."""
        if isinstance(value, Decimal):
            return value
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number; give one such as {self.least}", param, ctx)
        if not number.is_finite() or not self.least <= number <= self.most:
            self.fail(f"{value} is not between {self.least} and {self.most}", param, ctx)
        try:
            return exact(number)
        except ValueError as error:
            self.fail(f"{value} is {error}; round it", param, ctx)


class DateType(click.ParamType[date]):
    """An exchange session date, YYYY-MM-DD."""

    name = "date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> date:
        """The date, or a usage error."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date; write it as 2024-01-31", param, ctx)


class SpeedType(click.ParamType[float | None]):
    """Minutes of market time a real minute, or max."""

    name = "speed"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """The speed, None for max, or a usage error."""
        if value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = float("nan")
        if not 0 < speed <= SPEED_MOST:
            self.fail(f"{value!r}: give a number above 0, such as 60, or max", param, ctx)
        return speed


class BarsCommand(click.Command):
    """A command whose --bars may be followed by several paths, as after a shell's glob.

    The words after `--bars` belong to it until an option or a word that reads as a symbol; A.CSV
    reads as one, but is a file.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every further path a --bars of its own, then parse as usual."""
        spread: list[str] = []
        in_bars = False
        for position, word in enumerate(args):
            if word == "--":
                spread.extend(args[position:])
                break
            follows_bars = position > 0 and args[position - 1] == "--bars"
            if word.startswith("-") and not follows_bars:
                in_bars = word == "--bars"
            elif in_bars and not follows_bars:
                if is_symbol(word) and not word.lower().endswith(SUFFIXES):
                    in_bars = False
                else:
                    spread.append("--bars")
            spread.append(word)
        return super().parse_args(ctx, spread)


def bars_options(words: str, *, are_required: bool = False) -> Callable[[Verb], Verb]:
    """The options that say which bars are read and which of their sessions trade, for a
    BarsCommand. `words` are the help of --bars.
    """

    def add(verb: Verb) -> Verb:
        for option in reversed(
            (
                click.option(
                    "--bars",
                    "paths",
                    multiple=True,
                    required=are_required,
                    type=click.Path(path_type=Path),
                    metavar="PATH...",
                    help=words,
                ),
                click.option(
                    "--from",
                    "first",
                    type=DateType(),
                    help="First session that trades (YYYY-MM-DD).",
                ),
                click.option(
                    "--to", "last", type=DateType(), help="Last session that trades, inclusive."
                ),
            )
        ):
            verb = option(verb)
        return verb

    return add
