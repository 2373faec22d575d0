"""What sections of the settings are made of: types that read an operator's text, and bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from algo_trader.config.values import exact_number, flag, symbols, url, whole

Number: TypeAlias = Annotated[Decimal, BeforeValidator(exact_number)]
Whole: TypeAlias = Annotated[int, BeforeValidator(whole)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(flag)]
Url: TypeAlias = Annotated[str, BeforeValidator(url)]
Interval: TypeAlias = Annotated[Literal[1, 2, 5, 10], BeforeValidator(whole)]
Symbols: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(symbols)]


def decimal(default: Decimal, low: str, high: str, meaning: str) -> Any:
    """A number between two bounds."""
    return Field(default=default, ge=Decimal(low), le=Decimal(high), description=meaning)


def integer(default: int, low: int, high: int, meaning: str) -> Any:
    """A whole number between two bounds."""
    return Field(default=default, ge=low, le=high, description=meaning)


def listed(default: Any, meaning: str) -> Any:
    """A setting whose type alone lists what is allowed."""
    return Field(default=default, description=meaning)


class Section(BaseModel):
    """Part of the settings. A plain model: a nested BaseSettings would read the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
