"""One WebSocket connection of a client: frames out in order, pongs, and ways to misbehave.

Frames wait in a queue of their own, so that one slow client holds up nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from algo_trader.exchange import sockets

QUEUE_MOST = 1024
FRAME_MOST = 4 * 1024 * 1024
CLOSE_WAIT_S = 1.0


class SlowClient(Exception):
    """The queue of a line is full: its client does not read."""


class Line:
    """A connection. `name` tells it apart in the journal."""

    def __init__(self, name: str, request: web.Request, tell: Callable[..., None]) -> None:
        self.name = name
        self._request = request
        self._tell = tell
        self._ws = web.WebSocketResponse(
            autoping=False, max_msg_size=FRAME_MOST, timeout=CLOSE_WAIT_S
        )
        self._frames: asyncio.Queue[bytes | str] = asyncio.Queue(QUEUE_MOST)
        self._mute_until = 0.0
        self._no_pongs_until = 0.0
        self._writer: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def response(self) -> web.WebSocketResponse:
        """What the handler must return in the end."""
        return self._ws

    @property
    def is_open(self) -> bool:
        """Whether frames may still reach the client."""
        return not self._ws.closed

    @property
    def waiting(self) -> int:
        """Frames that wait for the client to read."""
        return self._frames.qsize()

    async def open(self) -> None:
        """Do the upgrade."""
        await self._ws.prepare(self._request)
        self._writer = asyncio.create_task(self._write(), name=f"{self.name} writer")
        self._tell("connected", line=self.name)

    def send(self, frame: bytes | str) -> None:
        """Queue a frame; bytes are a binary frame, text a text frame. Raises SlowClient.

        Nothing is queued while the line is mute: what is not sent then is never sent.
        """
        if not self.is_open or time.monotonic() < self._mute_until:
            return
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            raise SlowClient(self.name) from None

    async def received(self) -> AsyncIterator[bytes | str]:
        """The client's frames until it leaves; pings are answered on the way."""
        while True:
            message = await self._ws.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    yield message.data
                case WSMsgType.PING:
                    if time.monotonic() >= self._no_pongs_until:
                        with suppress(ConnectionError):
                            await self._ws.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    return

    def mute(self, seconds: float | None) -> None:
        """Send nothing but pongs from now on, or for a while."""
        self._mute_until = _until(seconds)

    def no_pongs(self, seconds: float | None) -> None:
        """Answer no ping from now on, or for a while."""
        self._no_pongs_until = _until(seconds)

    def reset(self) -> None:
        """Break the connection with RST."""
        sockets.reset(self._request)

    def close_soon(self, code: int, message: bytes = b"") -> None:
        """Take no further frame and close; what waits is sent before."""
        self._mute_until = _until(None)
        self._closing = asyncio.create_task(self.close(code, message))

    async def close(self, code: int = 1000, message: bytes = b"") -> None:
        """Send what waits, if the client reads it, then close with this code."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._frames.join(), CLOSE_WAIT_S)
        with suppress(ConnectionError, RuntimeError):
            await self._ws.close(code=code, message=message)

    async def finish(self) -> None:
        """Give back the writer; for when the client has left."""
        for task in (self._closing, self._writer):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._tell("disconnected", line=self.name, code=self._ws.close_code)

    async def _write(self) -> None:
        while True:
            frame = await self._frames.get()
            try:
                if isinstance(frame, str):
                    await self._ws.send_str(frame)
                else:
                    await self._ws.send_bytes(frame)
            except (ConnectionError, RuntimeError):
                pass  # The client has left; the reader notices and ends the line.
            finally:
                self._frames.task_done()


def _until(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds
