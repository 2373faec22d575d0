"""What holds in every test: a float that meets a Decimal is an error, as in the program."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import FloatOperation, localcontext

import pytest


@pytest.fixture(autouse=True)
def floats_do_not_mix_with_decimals() -> Iterator[None]:
    """Trap FloatOperation, and leave the decimal context of the test run as it was."""
    with localcontext() as context:
        context.traps[FloatOperation] = True
        yield
