"""How the text of a setting becomes a value: the one reading for `.env`, environment and `--set`.

Narrower than Python's own: no float on the way, no exponents, no underscores, no NaN. A number an
operator could misread is refused, because it may be money.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

from algo_trader.core.types import is_symbol

ENV_PREFIX = "ALGO_"
"""What the name of a setting begins with in the environment and in `.env`."""
NUMBER_BELOW = 10**12
DECIMALS_MOST = 9
_FINEST = Decimal(1).scaleb(-DECIMALS_MOST)

PLAIN_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def number(value: object) -> Decimal:
    """An exact decimal from plain digits (0.02); ValueError for floats and everything else."""
    if isinstance(value, str) and PLAIN_NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    if isinstance(value, Decimal) and value.is_finite():
        return value
    raise ValueError("not a plain decimal number such as 0.5")


def exact_number(value: object) -> Decimal:
    """As `number`, and small and coarse enough for `exact`: what settings and money may be."""
    return exact(number(value))


def exact(value: Decimal) -> Decimal:
    """The value itself; ValueError if money could not be calculated with it in 28 digits."""
    if abs(value) >= NUMBER_BELOW:
        raise ValueError(f"not below {NUMBER_BELOW:,}")
    if value % _FINEST:
        raise ValueError(f"of more than {DECIMALS_MOST} decimal places")
    return value


def whole(value: object) -> int:
    """A whole number from plain digits; ValueError for everything else."""
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("not a plain whole number such as 5")


def flag(value: object) -> bool:
    """True or false from true/false, yes/no or 1/0 in any case; ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in FLAGS:
        return FLAGS[value.strip().lower()]
    raise ValueError("neither true nor false")


def word(value: object) -> object:
    """A word of a fixed list, whatever its case; anything else as it is, for the list to refuse."""
    return value.strip().lower() if isinstance(value, str) else value


def url(value: object) -> str:
    """A URL, or nothing; ValueError for what cannot be one. Which hosts may be named is the
    broker's business.
    """
    if isinstance(value, str) and (not value.strip() or "://" in value):
        return value.strip()
    raise ValueError("not a URL")


def symbols(value: object) -> tuple[str, ...]:
    """Symbols from `AAPL,MSFT`, a JSON list or a sequence; ValueError names the one at fault."""
    items: object = value
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.startswith("["):
            try:
                items = json.loads(stripped)
            except (ValueError, RecursionError):  # The latter for brackets by the thousand.
                raise ValueError("not a JSON list") from None
        else:
            items = [item.strip() for item in stripped.split(",")] if stripped else []
    if not isinstance(items, list | tuple):
        raise ValueError("not a list of symbols")
    if not items:
        raise ValueError("an empty list")
    seen: list[str] = []
    for item in items:
        if not isinstance(item, str) or not is_symbol(item):
            raise ValueError(f"{item!r} is not a symbol")
        if item in seen:
            raise ValueError(f"{item} is in it twice")
        seen.append(item)
    return tuple(seen)
