"""The entry point: global options, verbs loaded on demand, and errors as one message.

Imports nothing heavy: `algo-trader --help` must answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from decimal import FloatOperation, getcontext
from pathlib import Path
from typing import NamedTuple

import click

from algo_trader.core.errors import ConfigError, CoreError, DataError, StrategyError
from algo_trader.ledger.errors import StorageError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_STORAGE = 75

VERBS = {"backtest": "Run a strategy over history."}


class Globals(NamedTuple):
    """The options that stand before the verb."""

    data_dir: Path
    env_file: Path | None
    verbosity: int


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
    default=Path("data"),
    show_default="ALGO_DATA_DIR, else ./data",
    help="Where algo-trader keeps its files.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    help="Settings file instead of ./.env.",
)
@click.option("-v", "--verbose", count=True, help="Say more on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="Say only errors on stderr.")
@click.version_option(package_name="algo-trader", message="algo-trader %(version)s")
@click.pass_context
def cli(
    ctx: click.Context, data_dir: Path, env_file: Path | None, verbose: int, quiet: bool
) -> None:
    """Trade US equities with a strategy of your own, and test it first.

    \b
    Example, offline, on the bundled synthetic sample:
      algo-trader backtest SYNA SYNB --bars data/sample
    """
    ctx.obj = Globals(data_dir, env_file, -1 if quiet else verbose)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. What an operator can cause is a message, no traceback.

    From here on a float that meets a Decimal is an error, so that none can slip into money.
    """
    getcontext().traps[FloatOperation] = True
    try:
        cli.main(list(arguments), prog_name="algo-trader", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted, nothing was written", EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output has gone; keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except StrategyError as error:
        if error.strategy_traceback:
            click.echo(error.strategy_traceback.rstrip(), err=True)
        return _fail(str(error), EXIT_BAD_INPUT)
    except (ConfigError, DataError) as error:
        return _fail(str(error), EXIT_BAD_INPUT)
    except StorageError as error:
        return _fail(f"{error}; what was written before is safe", EXIT_STORAGE)
    except CoreError as error:
        return _fail(f"broken invariant, nothing was written: {error}", EXIT_STORAGE)
    return 0


def _fail(message: str, code: int) -> int:
    click.echo(f"Error: {message}", err=True)
    return code
