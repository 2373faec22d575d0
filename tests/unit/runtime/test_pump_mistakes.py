"""A strategy's own mistake, and an operator in a hurry: neither may cost a fill or wait for one.

Method: the kit of test_pump, with a strategy that raises where a test wants it to.
"""

from __future__ import annotations

import asyncio

import pytest
from pump_kit import ENTRY, STOP, Bench, Eager, accepted, filled, reach, running, turns

from algo_trader.core.errors import StrategyError
from algo_trader.core.inputs import Clock, Halt, Reports
from algo_trader.core.types import Candle
from algo_trader.indicators import IndicatorSet
from algo_trader.strategies.base import Management, Position, Signal


class Clumsy(Eager):
    """Raises in the method named."""

    fails_in = ""

    def on_position_opened(self, position: Position) -> None:
        """The first share."""
        self._fail("on_position_opened")

    def on_position_closed(self) -> None:
        """The last share."""
        self._fail("on_position_closed")

    def signal(self, candle: Candle, indicators: IndicatorSet) -> Signal | str:
        """As eager as ever."""
        self._fail("signal")
        return super().signal(candle, indicators)

    def manage(self, candle: Candle, position: Position, indicators: IndicatorSet) -> Management:
        """As wished."""
        self._fail("manage")
        return super().manage(candle, position, indicators)

    def _fail(self, method: str) -> None:
        if method == self.fails_in:
            raise ZeroDivisionError(method)


def clumsy(fails_in: str) -> Bench:
    """The bench with a strategy that fails there."""
    bench = Bench(make=Clumsy)
    (own,) = bench.strategies
    assert isinstance(own, Clumsy)
    own.fails_in = fails_in
    return bench


def test_a_mistake_at_a_fill_loses_neither_the_fill_nor_its_stop() -> None:
    """Goal: recorded and covered as ever; then nothing more is asked of the strategy."""

    async def story() -> None:
        bench = clumsy("on_position_opened")
        async with running(bench):
            await reach(bench, "Submit entry-1")
            await bench.answer("Submit entry-1", (accepted(ENTRY), filled(ENTRY, 113)))
            wanted = "record Accepted Filled StopSet Intended Submitting"
            assert bench.log == [wanted, "Submit stop-1"]
            assert isinstance(bench.pump.mistake, StrategyError)
            assert not bench.engine.is_ready
            await bench.answer("Submit stop-1", (accepted(STOP),))
            seen = bench.strategies[0].seen
            await bench.pass_minute()
            assert (bench.strategies[0].seen, bench.engine.due) == (seen, [])

    asyncio.run(story())


@pytest.mark.parametrize("method", ["signal", "manage", "on_position_closed"])
def test_after_a_mistake_fills_are_followed(method: str) -> None:
    """Goal: the stop's own fill closes the trade on record, whatever the strategy does."""

    async def story() -> None:
        bench = clumsy("" if method == "on_position_closed" else method)
        own = bench.strategies[0]
        assert isinstance(own, Clumsy)
        async with running(bench) as task:
            if method == "signal":
                await bench.pass_minute()
                assert bench.log == []
            else:
                await bench.hold()
                own.fails_in = method
                await bench.pass_minute()
                await bench.hear(Reports([filled(STOP, 113)]))
                assert bench.log == ["record Filled"]
                assert len(bench.book.day.trades) == 1
            assert bench.pump.mistake is not None
            assert not task.done()

    asyncio.run(story())


def test_an_operator_is_answered_while_the_market_never_rests() -> None:
    """Goal: a halt is on record when it is answered, though inputs come without end."""

    async def story() -> None:
        bench = Bench()

        async def hurry() -> None:
            now = bench.engine.now
            while True:
                now += 1
                bench.pump.put(Clock(now))
                await bench.pump.settled()

        async with running(bench):
            market = asyncio.create_task(hurry())
            await turns()
            await asyncio.wait_for(bench.pump.ask(Halt("enough")), timeout=5)
            assert bench.book.halted == "enough"
            assert bench.log == ["record Halted"]
            market.cancel()

    asyncio.run(story())
