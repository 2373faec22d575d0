"""The entry point: global options, verbs loaded on demand, and errors as one message.

Imports nothing heavy: `algo-trader --help` must answer at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from decimal import FloatOperation, getcontext
from functools import cached_property
from pathlib import Path
from types import FrameType

import click

from algo_trader.core.errors import (
    AlgoTraderError,
    ConfigError,
    CoreError,
    DataError,
    SafetyRefusal,
    StorageFailure,
    StrategyError,
)
from algo_trader.ledger.errors import LedgerCorrupt
from algo_trader.runtime.errors import NoDaemon

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_NO_DAEMON = 3
EXIT_REFUSED = 4
EXIT_STORAGE = 75
EXIT_SIGNAL = 128
"""Plus the signal's number: what a shell reports of a program that a signal ended."""
DEFAULT_DATA_DIR = Path("data")
SAME_REQUEST_S = 1.0
"""Signals within this time ask once: `timeout` and service managers send each to the group too."""

VERBS = {
    "backtest": "Run a strategy over history.",
    "backup": "Write a verified copy of the ledger.",
    "config": "Show every setting, or override one.",
    "exchange": "Serve an Alpaca-compatible exchange on this machine.",
    "flatten": "Close every position at market and take no new ones.",
    "halt": "Take no new positions until `resume`.",
    "orders": "List orders.",
    "positions": "List open positions.",
    "reconcile": "Tell what a start would find and do, and do nothing.",
    "resume": "End a halt.",
    "restore": "Put a backup in the place of the ledger.",
    "simulate": "Show what the daemon does when everything goes wrong.",
    "start": "Run the daemon: trade on the embedded exchange or on Alpaca.",
    "status": "Tell what the running daemon is doing.",
    "stop": "End the running daemon in good order.",
    "trades": "List completed trades.",
    "verify": "Fold the ledger again and compare.",
}


class Stopped(BaseException):
    """A signal asked the process to end. No Exception: a strategy's code must not stop it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Globals:
    """The options that stand before the verb."""

    def __init__(self, data_dir: Path | None, env_file: Path | None, verbosity: int) -> None:
        self.env_file = env_file
        self.verbosity = verbosity
        self._data_dir = data_dir

    @cached_property
    def data_dir(self) -> Path:
        """By option or environment, else by the settings file, else `data` where we stand."""
        if self._data_dir is not None:
            return self._data_dir
        from algo_trader.config.env_file import data_dir_of

        return data_dir_of(self.env_file) or DEFAULT_DATA_DIR


class LazyGroup(click.Group):
    """A group whose verbs live in modules of their own and are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, by name."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"algo_trader.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing one."""
        with formatter.section("Verbs"):
            formatter.write_dl(sorted(VERBS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="ALGO_DATA_DIR",
    show_default="ALGO_DATA_DIR of the environment or .env, else ./data",
    help="Where algo-trader keeps its files.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    help="Settings file instead of ./.env.",
)
@click.option("-v", "--verbose", count=True, help="Tell on stderr what is read and done.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings, no progress: only errors.")
@click.version_option(package_name="algo-trader", message="algo-trader %(version)s")
@click.pass_context
def cli(
    ctx: click.Context, data_dir: Path | None, env_file: Path | None, verbose: int, quiet: bool
) -> None:
    """Trade US equities with a strategy of your own, and test it first.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader backtest SYNA SYNB --bars data/sample
    """
    ctx.obj = Globals(data_dir, env_file, -1 if quiet else verbose)


def main() -> None:
    """The console script."""
    _end_orderly()
    sys.exit(run(sys.argv[1:]))


def _end_orderly() -> None:
    """Let Stopped take a signal's place, so that nothing half-written stays behind."""
    last = -SAME_REQUEST_S

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SAME_REQUEST_S:
            last = now
            raise Stopped(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # As under nohup.
            signal.signal(number, stop)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. What an operator can cause is a message, no traceback.

    From here on a float that meets a Decimal is an error, so that none can slip into money.
    """
    getcontext().traps[FloatOperation] = True
    try:
        # The code is what a verb handed to ctx.exit(); click gives it back instead of raising it.
        code = cli.main(list(arguments), prog_name="algo-trader", standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return EXIT_BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return _stopped(signal.SIGINT)
    except Stopped as request:
        return _stopped(request.number)
    except StrategyError as error:
        if error.strategy_traceback:
            say(error.strategy_traceback.rstrip())
        return _fail(str(error), EXIT_BAD_INPUT)
    except NoDaemon as error:
        return _fail(str(error), EXIT_NO_DAEMON)
    except SafetyRefusal as error:
        return _fail(str(error), EXIT_REFUSED)
    except (ConfigError, DataError) as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except (StorageFailure, LedgerCorrupt) as error:
        return _fail(str(error), EXIT_STORAGE)
    except CoreError as error:
        return _fail(f"broken invariant, nothing was written: {error}", EXIT_STORAGE)
    except AlgoTraderError as error:
        return _fail(str(error), EXIT_FAILED)
    except OSError as error:
        _let_go_of_stdout()
        if error.errno == errno.EPIPE:
            return EXIT_FAILED  # The reader of our output has gone.
        where = error.filename or "standard output"
        return _fail(f"{where}: {error.strerror or error}", EXIT_STORAGE)
    return code if isinstance(code, int) else 0


def _stopped(number: int) -> int:
    name = signal.Signals(number).name
    return _fail(f"stopped by {name}: no file was left half-written", EXIT_SIGNAL + number)


def _let_go_of_stdout() -> None:
    """What is left in its buffer would fail again, with a traceback, as Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """A line on stderr; that stderr takes none is nothing anybody could be told."""
    with suppress(OSError):
        click.echo(message, err=True)


def _fail(message: str, code: int) -> int:
    say(f"Error: {message}")
    return code
