"""The genuine alpaca-py clients, pointed at an exchange of these tests; nothing of ours between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream
from serving import DEADLINE_S, Serving, eventually

CANCEL_AGAIN_S = 0.2


def trading(exchange: Serving, *, secret: str | None = None, raw: bool = False) -> Any:
    """A trading client that does not retry by itself and knows no proxy."""
    client = TradingClient(
        exchange.key_id,
        secret or exchange.secret,
        raw_data=raw,
        url_override=exchange.urls.trading,
    )
    client._retry = 0
    client._session.trust_env = False
    return client


def history(exchange: Serving, *, raw: bool = False) -> Any:
    """A client for past bars."""
    client = StockHistoricalDataClient(
        exchange.key_id, exchange.secret, raw_data=raw, url_override=exchange.urls.data
    )
    client._retry = 0
    client._session.trust_env = False
    return client


class Heard:
    """What a stream told, in order; the handler is `hear`."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    async def hear(self, message: Any) -> None:
        """A handler as the SDK wants it."""
        self.told.append(message)

    def __len__(self) -> int:
        return len(self.told)

    def wait(self, count: int) -> list[Any]:
        """What was told once there are so many."""
        eventually(lambda: len(self.told) >= count)
        return self.told

    def until(self, is_there: Callable[[Any], bool]) -> Any:
        """The first message of this kind."""
        return eventually(lambda: [each for each in self.told if is_there(each)])[0]


def trade_updates(exchange: Serving, heard: Heard, *, secret: str | None = None) -> Any:
    """A trading stream that is not running yet."""
    stream = TradingStream(
        exchange.key_id, secret or exchange.secret, url_override=exchange.urls.trade_stream
    )
    stream.subscribe_trade_updates(heard.hear)
    return stream


def data_stream(exchange: Serving, *, secret: str | None = None, raw: bool = False) -> Any:
    """A data stream that is not running yet and has no subscription."""
    return StockDataStream(
        exchange.key_id,
        secret or exchange.secret,
        raw_data=raw,
        url_override=exchange.urls.data_stream,
    )


@contextmanager
def running(stream: Any) -> Iterator[asyncio.AbstractEventLoop]:
    """Run a stream in a thread of its own, as the SDK's own loop would, and end it for good."""
    loops: list[asyncio.AbstractEventLoop] = []
    tasks: list[asyncio.Task[None]] = []
    is_ready = threading.Event()

    async def live() -> None:
        task = asyncio.create_task(stream._run_forever())
        loops.append(asyncio.get_running_loop())
        tasks.append(task)
        is_ready.set()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(Exception):
            await stream.close()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="sdk stream", daemon=True)
    thread.start()
    assert is_ready.wait(DEADLINE_S)

    def has_ended() -> bool:
        """Cancel it once more: the SDK may have taken the last time for a lost connection."""
        with suppress(RuntimeError):  # The loop is closed: it has ended.
            loops[0].call_soon_threadsafe(tasks[0].cancel)
        thread.join(CANCEL_AGAIN_S)
        return not thread.is_alive()

    try:
        yield loops[0]
    finally:
        eventually(has_ended)
