"""`algo-trader reconcile --dry-run`: what a start would record and send, and nothing of it done."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from algo_trader.cli.ledger_copy import copied, require_no_daemon
from algo_trader.cli.main import Globals, say
from algo_trader.cli.output import tell, warn
from algo_trader.cli.records import NoLedger
from algo_trader.config import Settings, load_settings
from algo_trader.core.errors import ConfigError
from algo_trader.core.types import Instant

if TYPE_CHECKING:
    from algo_trader.core.book import Book
    from algo_trader.core.ports import Broker
    from algo_trader.runtime.foresight import Foreseen
    from algo_trader.runtime.paths import AccountFolder

EMBEDDED, ALPACA = "embedded", "alpaca"
GRACE_S = 5.0
"""Seconds between two looks at positions that differ, at a broker across a network."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dry-run", "is_dry", is_flag=True, help="Needed: `start` is what does it.")
@click.option("--json", "as_document", is_flag=True, help="Print one JSON document.")
@click.option(
    "--broker",
    type=click.Choice([EMBEDDED, ALPACA]),
    help="Whose books to compare with; the setting broker.provider if not given.",
)
@click.pass_obj
def command(options: Globals, is_dry: bool, as_document: bool, broker: str | None) -> None:
    """Compare the ledger with the broker's books, and tell what a start would record and send.

    Nothing is recorded and nothing is sent: the ledger is read from a copy, the broker is only
    asked. What would follow from the answers to the orders told here is not foreseen. While a
    daemon runs, `status` tells.

    \b
    Example, offline, on what a daemon left in ./data:
      algo-trader --data-dir data reconcile --dry-run
    """
    if not is_dry:
        raise ConfigError(
            "`algo-trader start` reconciles before anything else: add --dry-run to see what it "
            "would record and send"
        )
    require_no_daemon(options.data_dir)
    given = () if broker is None else (f"broker.provider={broker}",)

    def load(stored: dict[str, str]) -> Settings:
        return load_settings(
            env_file=options.env_file, environ=os.environ, stored=stored, overrides=given
        ).settings

    is_alpaca = load({}).broker.provider == ALPACA
    compare = _at_alpaca if is_alpaca else _at_embedded
    book, foreseen = compare(options, load)
    from algo_trader.cli.foreseen_text import foreseen_document, foreseen_text

    if as_document:
        document: dict[str, Any] = {
            "broker": ALPACA if is_alpaca else EMBEDDED,
            "account": book.account,
            **foreseen_document(foreseen),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"account {book.account}")
        click.echo(foreseen_text(book, foreseen))


def _at_embedded(
    options: Globals, load: Callable[[dict[str, str]], Settings]
) -> tuple[Book, Foreseen]:
    from algo_trader.brokers.embedded.books import Books
    from algo_trader.brokers.embedded.kept import KeptAccount
    from algo_trader.cli import embedded_account

    if not options.data_dir.is_dir():
        raise NoLedger(f"no account in {options.data_dir}: nothing has been traded here yet")
    folder = embedded_account.account_of(options.data_dir, is_reset=False, force=False)
    embedded_account.require_books(folder)
    if not folder.exchange.exists():
        raise NoLedger(f"no exchange in {folder.path}: nothing has been traded here yet")
    embedded_account.require_ledger(folder)
    with copied(options.data_dir, folder) as copy, closing(Books.open(copy.exchange)) as books:
        account = KeptAccount(books)
        return asyncio.run(_compared(options, load, copy, account, lambda: account.now, 0))


def _at_alpaca(
    options: Globals, load: Callable[[dict[str, str]], Settings]
) -> tuple[Book, Foreseen]:
    from algo_trader.brokers.alpaca.endpoints import check_keys
    from algo_trader.cli import alpaca_account
    from algo_trader.cli.daemon_parts import sessions_of
    from algo_trader.cli.start_alpaca import where_to
    from algo_trader.config.keys import load_keys
    from algo_trader.wiring.contact import first_word
    from algo_trader.wiring.network import connect

    settings = load({})
    where = where_to(settings, is_live=not settings.broker.paper)  # Nothing is sent either way.
    keys = load_keys(options.env_file, os.environ)
    warning = check_keys(keys, where, paper=settings.broker.paper)
    if warning is not None:
        warn(options, warning)
    connection = connect(settings, where, keys)

    def note(event: str, /, **fields: object) -> None:
        if event == "broker_unreachable":
            warn(options, f"{fields['error']}; asked again in {fields['again_in_s']} s")
        else:
            tell(options, f"{event} {fields}")

    async def compared() -> tuple[Book, Foreseen]:
        try:
            account = await first_word(connection.broker, connection.where.trading, note)
            folder = alpaca_account.account_of(options.data_dir, account.account, is_new=False)
            now = connection.clock.now
            is_open = sessions_of(options).at(now()) is not None

            def require(until: Instant | None) -> None:
                alpaca_account.require_past(folder, until, now())

            with copied(options.data_dir, folder) as copy:
                return await _compared(
                    options, load, copy, connection.broker, now, GRACE_S, require, is_open=is_open
                )
        finally:
            await connection.broker.close()

    return asyncio.run(compared())


async def _compared(
    options: Globals,
    load: Callable[[dict[str, str]], Settings],
    copy: AccountFolder,
    broker: Broker,
    now: Callable[[], Instant],
    grace_s: float,
    require: Callable[[Instant | None], None] = lambda until: None,
    *,
    is_open: bool = True,
) -> tuple[Book, Foreseen]:
    """The copy's ledger against the broker, and its book as it would be afterwards. `require` is
    told when the ledger ends, and may refuse it as a start would.
    """
    from algo_trader.ledger import migrate
    from algo_trader.ledger.ledger import Ledger
    from algo_trader.runtime.foresight import foresee

    if not copy.ledger.exists() and options.verbosity >= 0:
        say("Note: there is no ledger of this account yet: this is what a first start would do")
    migrate.upgrade(copy.ledger)
    with Ledger.open(copy.ledger) as ledger:
        require(ledger.last_at())
        book, stored = ledger.fold(), ledger.overrides()
    stop_pct = load(stored).reconcile.stop_pct
    return book, await foresee(book, broker, now, stop_pct, grace_s, is_open=is_open)
