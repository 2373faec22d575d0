"""What holds in every test: a float that meets a Decimal is an error, as in the program; and
signals do what they do on a terminal, whatever the tests were started by.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from decimal import FloatOperation, localcontext

import pytest

for name in ("SIGINT", "SIGHUP"):  # Which children inherit: ignored, Ctrl-C would end none of them.
    if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        is_interrupt = name == "SIGINT"
        by_default = signal.default_int_handler if is_interrupt else signal.SIG_DFL
        signal.signal(getattr(signal, name), by_default)


@pytest.fixture(autouse=True)
def floats_do_not_mix_with_decimals() -> Iterator[None]:
    """Trap FloatOperation, and leave the decimal context of the test run as it was."""
    with localcontext() as context:
        context.traps[FloatOperation] = True
        yield
