"""The daemon, wired: a broker, its market, the ledger and an engine, joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from algo_trader.brokers.embedded.exchange import EmbeddedExchange, ExchangeSetup
from algo_trader.config import Settings
from algo_trader.core.book import Book
from algo_trader.core.inputs import PastDay
from algo_trader.engine.engine import Engine
from algo_trader.engine.intake import Intake
from algo_trader.engine.lane import Lane
from algo_trader.feeds.tape import TapeDay
from algo_trader.ledger.ledger import Ledger
from algo_trader.ledger.writer import Writer
from algo_trader.runtime import Log
from algo_trader.runtime.daemon import Daemon, Narrate, Parts
from algo_trader.runtime.gate import Gate
from algo_trader.runtime.lines import Lines
from algo_trader.runtime.pace import Pace
from algo_trader.runtime.pump import COMMAND_TIMEOUT_S, PumpTerms
from algo_trader.wiring.trading import Trading, wire_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the embedded exchange replays, and how fast; `speed` None waits for nothing."""

    account: str
    history: Sequence[TapeDay]
    period: Sequence[TapeDay]
    fingerprint: str
    speed: float | None
    exit_at_end: bool


def wire_embedded(
    settings: Settings,
    trading: Trading,
    replay: Replay,
    *,
    exchange_file: Path,
    ledger_file: Path,
    log: Log,
    narrate: Narrate,
) -> tuple[Daemon, Callable[[], None]]:
    """The daemon on the embedded exchange, and what closes the exchange's books.

    Raises what opening them does: ExchangeRefused, ExchangeLocked, StorageFailure.
    """
    lanes: list[Lane] = []
    latency_s = settings.embedded.latency_ms / 1000
    pace = Pace(replay.speed, lambda: all(lane.is_warm for lane in lanes))
    exchange = EmbeddedExchange.open(
        exchange_file,
        ExchangeSetup(
            account_id=replay.account,
            cash=settings.embedded.initial_cash,
            fingerprint=replay.fingerprint,
            history=[PastDay(day.session, day.minutes) for day in replay.history],
            period=[PastDay(day.session, day.minutes) for day in replay.period],
            costs=settings.cost_model(),
            rules=settings.venue_rules(),
            latency_s=latency_s,
            pace=pace.minute,
            exit_at_end=replay.exit_at_end,
        ),
    )

    def make_engine(book: Book) -> Engine:
        engine = wire_engine(book, settings, trading, None)
        lanes.extend(engine.lanes)
        return engine

    parts = Parts(
        broker_name="embedded",
        broker=exchange,
        market=exchange,
        writer=Writer(lambda: Ledger.open(ledger_file, check=False, tell=log)),
        make_engine=make_engine,
        make_intake=lambda engine: Intake(engine, settings.reconcile.stop_pct),
        # What the exchange knows it knows at once; its own slowness is no silence.
        terms=PumpTerms(
            is_lockstep=True, settle_s=0, grace_s=0, command_timeout_s=COMMAND_TIMEOUT_S + latency_s
        ),
        ends_with_market=replay.exit_at_end,
        log=log,
        narrate=narrate,
        gate=(gate := Gate(log)),
        lines=Lines(gate, log),
    )
    return Daemon(parts), exchange.close
