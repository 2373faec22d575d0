"""The daemon on the embedded exchange and the backtest make the same trades.

Goal: one core. Sessions traded by `start --speed max --exit-at-end` leave the same trades, to the
cent and the minute, as `backtest` of the same bars with the same account. Method: run both over the
bundled sample, the daemon as the process that a user starts; and over real bars, where they are at
hand, with daemon, ledger and exchange inside the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from algo_trader.config import Settings
from algo_trader.core.pnl import Trade
from algo_trader.core.types import Candle, DecisionId, ExitReason
from algo_trader.feeds.bars import load_bars
from algo_trader.feeds.calendar import load_sessions
from algo_trader.feeds.tape import Tape, build_tape
from algo_trader.indicators import IndicatorSet
from algo_trader.ledger import migrate
from algo_trader.ledger.ledger import Ledger
from algo_trader.runtime.daemon import Daemon
from algo_trader.runtime.supervisor import Kind, Supervisor
from algo_trader.strategies import Strategy, Velez
from algo_trader.strategies.base import Position
from algo_trader.wiring.backtest import wire_backtest
from algo_trader.wiring.daemon import Replay, wire_embedded
from algo_trader.wiring.trading import Trading

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
REAL = os.environ.get("ALGO_REAL_DATA")
CAPITAL = Decimal(25_000)
SHORT = {"allow_short": True}
COSTLY = {
    "costs": {"commission_per_share": "0.005", "commission_per_order": "0.35"},
    "velez": {"tightness_threshold_pct": "0.5"},
}


def quiet(event: str, /, **fields: object) -> None:
    """A log that nobody reads."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: parity asks nothing of the disk."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(dir=place, prefix="parity-"))
    yield made
    shutil.rmtree(made)


def by_backtest(
    tape: Tape, settings: Settings, parameters: dict[str, Any], cls: type[Strategy]
) -> list[Trade]:
    """The trades of a backtest."""
    name = cls.__name__.lower()
    trading = Trading(name=name, cls=cls, parameters=parameters, symbols=tape.symbols)
    runner = wire_backtest(settings, trading, capital=CAPITAL)
    return runner.run("backtest", [], tape.days).trades


def by_daemon(
    tape: Tape,
    settings: Settings,
    parameters: dict[str, Any],
    folder: Path,
    cls: type[Strategy],
) -> list[Trade]:
    """The trades in the ledger of a daemon that has replayed the bars; its ledger is verified."""
    ledger_file = folder / "trading.db"
    migrate.upgrade(ledger_file)
    daemon, close_exchange = wire_embedded(
        settings,
        Trading(name=cls.__name__.lower(), cls=cls, parameters=parameters, symbols=tape.symbols),
        Replay(
            account="parity",
            history=[],
            period=tape.days,
            fingerprint="these bars",
            speed=None,
            exit_at_end=True,
        ),
        exchange_file=folder / "exchange.db",
        ledger_file=ledger_file,
        log=quiet,
        narrate=lambda book, facts: None,
    )
    try:
        asyncio.run(_live(daemon))
    finally:
        close_exchange()
    with Ledger.open(ledger_file) as ledger:
        assert ledger.verify() == []
        return [record.trade for record in ledger.trades()]


async def _live(daemon: Daemon) -> None:
    await daemon.prepare()
    supervisor = Supervisor(quiet)
    supervisor.add("pump", daemon.pump.run, Kind.FATAL)

    async def trade() -> None:
        await daemon.trade()
        supervisor.end()

    supervisor.add("trade", trade, Kind.DONE_OK)
    failure = await supervisor.run()
    await daemon.parts.writer.close()
    assert failure is None


def comparable(trades: Sequence[Trade]) -> list[Any]:
    """All that a trade is but the account's name in its decision."""
    own = [DecisionId(trade.decision.partition("-")[2]) for trade in trades]
    return [trade._replace(decision=name) for trade, name in zip(trades, own, strict=True)]


def check(
    paths: list[Path],
    folder: Path,
    given: dict[str, Any],
    most: int | None = None,
    cls: type[Strategy] = Velez,
) -> list[Trade]:
    """Compare both; the trades there were."""
    parameters = given.get("parameters", {})
    settings = Settings(**{key: value for key, value in given.items() if key != "parameters"})
    if "velez" in given:
        parameters = {
            name: getattr(settings.velez_params(), name) for name in given["velez"]
        } | parameters
    tape = build_tape(
        load_bars(paths, None).bars, load_sessions(None, today=datetime.now(UTC).date())
    )
    if most is not None:
        del tape.days[most:]
    expected = by_backtest(tape, settings, parameters, cls)
    assert comparable(by_daemon(tape, settings, parameters, folder, cls)) == comparable(expected)
    return expected


@pytest.mark.parametrize(
    "given", [{}, {"parameters": SHORT}, COSTLY], ids=["defaults", "short", "costly"]
)
def test_sample_in_the_process(given: dict[str, Any], folder: Path) -> None:
    assert check([SAMPLE], folder, given)


class Reach(Strategy):
    """Follows each candle that closes beyond the fast average, by an entry of any type, to a target
    twice as far away as its stop.
    """

    hyperparameters: ClassVar[dict[str, Any]] = {"entry_order": "stop", "limit": Decimal("0.05")}
    limit: Decimal

    def should_long(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Above a candle that closes over the average."""
        return bar.close > (indicators.sma_fast or bar.close)

    def should_short(self, bar: Candle, indicators: IndicatorSet) -> bool:
        """Below a candle that closes under it."""
        return bar.close < (indicators.sma_fast or bar.close)

    def entry_price(self, bar: Candle) -> Decimal:
        """Beyond the candle by a stop, inside of it by a limit, at its close by a market order."""
        if self.entry_order == "market":
            return bar.close
        return (bar.high + bar.low) / 2 if self.entry_order == "limit" else bar.high

    def stop_loss_price(self, bar: Candle) -> Decimal:
        """A little below the candle."""
        return bar.low - Decimal("0.05")

    def short_entry_price(self, bar: Candle) -> Decimal:
        """As above, on the other side."""
        if self.entry_order in ("market", "limit"):
            return self.entry_price(bar)
        return bar.low

    def short_stop_loss_price(self, bar: Candle) -> Decimal:
        """A little above the candle."""
        return bar.high + Decimal("0.05")

    def limit_price(self, bar: Candle) -> Decimal | None:
        """So far beyond the entry that a jump over it buys nothing."""
        return bar.high + self.limit if self.entry_order == "stop_limit" else None

    def short_limit_price(self, bar: Candle) -> Decimal | None:
        """As above."""
        return bar.low - self.limit if self.entry_order == "stop_limit" else None

    def target_price(self, bar: Candle) -> Decimal | None:
        """As far beyond the candle as its own range."""
        return bar.high + (bar.high - bar.low) + self.limit

    def short_target_price(self, bar: Candle) -> Decimal | None:
        """As above."""
        return bar.low - (bar.high - bar.low) - self.limit

    def should_update_stop(
        self, bar: Candle, position: Position, indicators: IndicatorSet
    ) -> Decimal | None:
        """Behind the candle: the stop of a pair is moved, too."""
        away = Decimal("0.20")
        return bar.low - away if position.side == "long" else bar.high + away


@pytest.mark.parametrize("order", ["stop", "stop_limit", "limit", "market"])
def test_entries_of_every_type_to_a_target(order: str, folder: Path) -> None:
    """Goal: the same for entries of the other types and for exits by pairs."""
    given = {"parameters": {"entry_order": order, "limit": Decimal("0.01")}}
    trades = check([SAMPLE], folder, given, most=3, cls=Reach)
    seen = Counter(trade.exit_reason for trade in trades)
    assert seen[ExitReason.TARGET] > 2
    assert seen[ExitReason.STOP_LOSS] > 5


def test_sample_by_the_commands_a_user_types(folder: Path, tmp_path: Path) -> None:
    def algo_trader(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "algo_trader", "--data-dir", str(folder / "data"), *words],
            cwd=tmp_path,
            env={key: value for key, value in os.environ.items() if not key.startswith("ALGO_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    symbols = sorted(path.stem for path in SAMPLE.glob("*.csv"))
    tested = algo_trader("backtest", *symbols, "--bars", str(SAMPLE), "--no-save", "--json")
    algo_trader("start", "--speed", "max", "--exit-at-end")
    traded = algo_trader("trades", "--json")
    assert tested["trades"]
    assert [trade | {"strategy": "velez"} for trade in tested["trades"]] == traded["trades"]
    assert algo_trader("verify", "--json")["differences"] == []


def real(name: str, most: int | None, *, slow: bool = False) -> Any:
    """A file of real bars, cut to its first sessions."""
    marks = [pytest.mark.skipif(REAL is None, reason="ALGO_REAL_DATA names no folder")]
    return pytest.param(name, most, marks=[*marks, pytest.mark.slow] if slow else marks, id=name)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        real("US23_2019-02-11_15.csv.gz", None),
        real("AAPL_2024-01_02_alpaca.csv.gz", 8),
        real("MSFT_2022-05_06.csv.gz", None, slow=True),
        real("SPY_2011-01.csv.gz", None, slow=True),
        real("CPAY_2024_sparse.csv.gz", None, slow=True),
        real("TPL_2024_sparse.csv.gz", None, slow=True),
    ],
)
@pytest.mark.parametrize("given", [{}, {"parameters": SHORT}], ids=["defaults", "short"])
def test_real_bars(name: str, most: int | None, given: dict[str, Any], folder: Path) -> None:
    assert check([Path(str(REAL)) / "bars_1min" / name], folder, given, most)
