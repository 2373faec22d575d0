"""`algo-trader verify`: fold the ledger's facts again and hold every row against them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from algo_trader.cli.client import ask
from algo_trader.cli.main import EXIT_FAILED, Globals
from algo_trader.cli.output import tell
from algo_trader.cli.records import folder_in_force
from algo_trader.runtime.errors import NoDaemon

SNAPSHOT_TIMEOUT_S = 600.0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(ctx: click.Context, as_document: bool) -> None:
    """Check the ledger: SQLite's own integrity, then every row of orders, trades and settings
    against what the recorded facts make it. Exit 1 if anything differs.

    While a daemon runs, a snapshot that it makes is checked; trading goes on.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data verify --json
    """
    options: Globals = ctx.obj
    with _file(options) as path:
        from algo_trader.ledger.verify import examine

        tell(options, f"checking {path}")
        proof = examine(path)
    is_ok = not proof.differences
    if as_document:
        document = {"ok": is_ok, "facts": proof.facts, "differences": proof.differences}
        click.echo(json.dumps(document, indent=2))
    else:
        verdict = "every row is what they make it" if is_ok else "differences:"
        click.echo("\n".join([f"{proof.facts:,} facts, {verdict}", *proof.differences]))
    if not is_ok:
        ctx.exit(EXIT_FAILED)


@contextmanager
def _file(options: Globals) -> Iterator[Path]:
    """The file to check: a daemon's snapshot, gone afterwards, or the ledger nobody holds."""
    try:
        answer = ask(options.data_dir, "POST", "/verify/snapshot", {}, SNAPSHOT_TIMEOUT_S)
    except NoDaemon:
        yield folder_in_force(options).ledger
        return
    from algo_trader.ledger.backup import BESIDE

    snapshot = Path(answer["path"])
    try:
        yield snapshot
    finally:
        for ending in BESIDE:
            snapshot.with_name(snapshot.name + ending).unlink(missing_ok=True)
