"""`algo-trader simulate`: what the daemon does when everything goes wrong, seed by seed."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from algo_trader.cli.interruption import Interruption
from algo_trader.cli.main import Globals, say
from algo_trader.config import load_settings, strategy_overrides
from algo_trader.core.errors import ConfigError
from algo_trader.strategies import Velez

if TYPE_CHECKING:
    from collections.abc import Callable

    from algo_trader.simulation.campaign import Report, Setup
    from algo_trader.simulation.sweep import Sweep

FAILED = 75
ROOM = (
    "risk.max_position_pct=0.2",
    "risk.max_daily_loss_pct=0.1",
    "risk.max_risk_per_trade_pct=0.02",
    "risk.consecutive_loss_pause=10",
)
"""Limits under which the built-in strategy trades all day."""
SEED_MOST = 2**31
OF_SEEDS = {
    "reference": "--strategy",
    "overrides": "--set",
    "level": "--faults",
    "minutes": "--minutes",
    "days": "--days",
    "first_seed": "--first-seed",
}
"""Options that a scripted scenario leaves no room for."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", type=click.IntRange(0, SEED_MOST), help="Run this seed alone.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000_000),
    help="Run so many seeds, from --first-seed on. 20 unless --seed is given.",
)
@click.option(
    "--first-seed", type=click.IntRange(0, SEED_MOST), default=1, show_default=True,
    help="The first of --seeds.",
)  # fmt: skip
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help="Instead of seeds: this scripted scenario, dying at every point; all for every one.",
)
@click.option("--list", "is_list", is_flag=True, help="List the scenarios.")
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True,
    help="With --scenario: only every n-th crash point.",
)  # fmt: skip
@click.option(
    "--faults",
    "level",
    type=click.Choice(["none", "light", "heavy"]),
    default="heavy",
    show_default=True,
    help="How bad the world is.",
)
@click.option(
    "--crash-at",
    metavar="N[,N...]",
    help="With --seed or one --scenario: the n-th life dies at its boundary N, and no other time.",
)
@click.option(
    "--strategy",
    "reference",
    default="restless",
    show_default=True,
    help="restless (built in, trades all the time), velez, or file.py:ClassName of your own.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting for this run."
)
@click.option(
    "--minutes", type=click.IntRange(20, 390), default=40, show_default=True,
    help="Length of a trading day.",
)  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1, 20), default=2, show_default=True,
    help="Trading days of a run.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Processes; as many as there are cores by default."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --seed, or --scenario and --crash-at: write the run's ledger into this folder.",
)
@click.option("--trace", is_flag=True, help="Of one run: print the last lines of what happened.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(
    ctx: click.Context,
    seed: int | None,
    seeds: int | None,
    first_seed: int,
    scenarios: tuple[str, ...],
    is_list: bool,
    every: int,
    level: str,
    crash_at: str | None,
    reference: str,
    overrides: tuple[str, ...],
    minutes: int,
    days: int,
    jobs: int | None,
    keep: Path | None,
    trace: bool,
    as_document: bool,
) -> None:
    """Simulate whole trading days in which connections, disk, broker and people misbehave.

    The daemon is the real one; time, lines, disk, deaths and the exchange are simulated from a
    seed. After every step it is checked that nothing was sent twice or unrecorded and no share is
    without its stop; at the end the ledger must equal the exchange. Exit 75 if anything does not
    hold, with the command that shows it again.

    \b
    Examples:
      algo-trader simulate --seed 7 --trace
      algo-trader simulate --seeds 200
      algo-trader simulate --scenario all --every 40
      algo-trader simulate --strategy my_strategy.py:Mine --minutes 390 --days 1
    """
    options = ctx.ensure_object(Globals)
    given = {
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    if is_list or scenarios:
        if seed is not None or seeds is not None:
            raise ConfigError("--scenario and --seed, --seeds: give one of them")
        for name, option in OF_SEEDS.items():
            if name in given:
                raise ConfigError(f"{option} is for seeds: a --scenario says all of that itself")
        from algo_trader.cli import simulate_scenarios as scripted

        if is_list:
            scripted.tell_list()
        elif not scripted.run_points(
            scripted.Wanted(scenarios, _boundaries(crash_at), every, keep, trace),
            jobs or os.cpu_count() or 1,
            _progress(options),
            as_document,
        ):
            raise click.exceptions.Exit(FAILED)
        return
    if seed is not None and seeds is not None:
        raise ConfigError("--seed and --seeds: give one of them")
    if "every" in given:
        raise ConfigError("--every is for the crash points of a --scenario: name one, or all")
    for name, value in (("--crash-at", crash_at), ("--keep", keep), ("--trace", trace)):
        if value and seed is None:
            raise ConfigError(f"{name} looks at one run: name it with --seed")
    from algo_trader.cli.one_run import looked_at
    from algo_trader.simulation import campaign as runs
    from algo_trader.simulation import report as words
    from algo_trader.simulation.workers import WorkerLost

    setup = _setup(options, reference, overrides, level, minutes, days, crash_at)
    report = runs.Report(setup=setup)
    with Interruption() as interruption:
        if seed is not None:
            boundaries = _boundaries(crash_at)
            one = looked_at(
                lambda: setup.play(seed, boundaries),
                f"seed-{seed}",
                crash_at=boundaries,
                keep=keep,
                has_trace=trace,
            )
            report.add(one)
        else:
            wanted = range(first_seed, first_seed + (seeds or 20))
            cores = jobs or os.cpu_count() or 1
            try:
                runs.campaign(
                    report, wanted, cores, _progress(options), lambda: not interruption.is_asked
                )
            except WorkerLost:
                _print(report, as_document)
                raise
        _print(report, as_document)
        interruption.heed()
    if report.failures or (seeds is not None and seed is None and words.never_met(report)):
        raise click.exceptions.Exit(FAILED)


def _print(report: Report, as_document: bool) -> None:
    from algo_trader.simulation import report as words

    click.echo(json.dumps(words.document(report), indent=2) if as_document else words.table(report))


def _setup(
    options: Globals,
    reference: str,
    overrides: tuple[str, ...],
    level: str,
    minutes: int,
    days: int,
    crash_at: str | None,
) -> Setup:
    from algo_trader.simulation.campaign import BUILT_IN, Setup, strategy_named
    from algo_trader.simulation.plan import SYMBOLS, Level

    with redirect_stdout(sys.stderr):  # A strategy may print; the answer stays one document.
        cls = strategy_named(reference)
    own: dict[str, Any] = {}
    rest = list(overrides)
    if cls is not Velez:
        own, rest = strategy_overrides(rest, cls.own_parameters())
    if any(override.partition("=")[0].strip() == "watchlist" for override in overrides):
        raise ConfigError(
            f"--set watchlist: the simulated market has {', '.join(SYMBOLS)} alone; leave it away"
        )
    base = [*(ROOM if reference == BUILT_IN else ()), f"watchlist={','.join(SYMBOLS)}"]
    loaded = load_settings(
        env_file=options.env_file, environ=os.environ, overrides=[*base, *rest]
    )
    given = [] if reference == BUILT_IN else ["--strategy", reference]
    for override in overrides:
        given += ["--set", override]
    words = [*given, "--faults", level, "--minutes", str(minutes), "--days", str(days)]
    if crash_at is not None:
        words += ["--crash-at", crash_at]
    env_file = options.env_file
    return Setup(
        settings=loaded.settings,
        reference=reference,
        own=own,
        level=Level(level),
        minutes=minutes,
        days=days,
        before="" if env_file is None else f"--env-file {shlex.quote(str(env_file))} ",
        words=shlex.join(words),
    )


def _boundaries(words: str | None) -> tuple[int, ...]:
    if not words:
        return ()
    try:
        found = tuple(int(word) for word in words.split(","))
    except ValueError:
        found = (-1,)
    if any(each < 0 for each in found):
        raise ConfigError(f"--crash-at {words}: give whole numbers from 0 on, such as 120,14")
    return found


def _progress(options: Globals) -> Callable[[Report | Sweep], None]:
    """Tells each failure as soon as it is found, and on a terminal how far it is."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    told: set[str] = set()

    def tell(report: Report | Sweep) -> None:
        for what, complaint in report.broken:
            if what not in told:
                told.add(what)
                say(f"FAILED: {what}: {complaint}")
        if is_terminal and options.verbosity >= 0:
            progress = f"\r{report.runs} of {report.wanted} runs, {report.seconds:.0f} s "
            click.echo(progress, err=True, nl=False)

    return tell
