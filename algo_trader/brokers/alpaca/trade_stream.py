"""The trade stream: tells what happens to orders, for as long as the process lives.

Nothing is replayed after a gap, so whoever is told CONNECTED asks REST for what was missed. A frame
that cannot be read, an unknown event or a mistake of the hearer's is counted and passed over; only
the connection itself can end a connection, and then it is made anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.trade_update import TradeUpdate, read_update
from algo_trader.brokers.alpaca.wire import Body, body_of, decoded, plain, rows_of, text_of
from algo_trader.core.ports import LineState, TellLine

CHANNEL = "trade_updates"
HANDSHAKE_S = 10.0
LOOK_EVERY_S = 5.0
PING_EVERY_S = 9.0
CLOSE_S = 1.0
"""A peer that has vanished is noticed after two intervals and this: within 20 seconds."""

LARGEST_FRAME = 16 * 2**20
LONGEST_DELAY_S = 30.0
REFUSED_DELAY_S = 5.0
FIRST_DELAY_S = 0.5
STEADY_S = 10.0
"""A connection that lived so long was a good one: the next is tried for at once."""


class TradeStream:
    """Events of one account's orders.

    `is_mute`, asked from time to time while nothing comes, says whether a stream that is connected
    since a monotonic instant should have told of something; such a connection is given up.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        hear: Callable[[TradeUpdate], None],
        tell: TellLine,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        is_mute: Callable[[float], bool] = lambda connected_at: False,
        handshake_s: float = HANDSHAKE_S,
        ping_s: float = PING_EVERY_S,
        look_s: float = LOOK_EVERY_S,
    ) -> None:
        self._oddities = 0
        self._url = url
        self._keys = keys
        self._hear = hear
        self._tell = tell
        self._sleep = sleep
        self._chance = chance
        self._clock = clock
        self._is_mute = is_mute
        self._look_s = look_s
        self._handshake_s = handshake_s
        self._ping_s = ping_s
        self._told: tuple[LineState, str] | None = None
        self._last_word = ""

    @property
    def oddities(self) -> int:
        """Frames and events that were passed over, since the start."""
        return self._oddities

    async def run(self) -> None:
        """Until cancelled: connect, listen, and connect again. Closes its socket at the end."""
        failures = 0
        self._say(LineState.CONNECTING, "")
        while True:
            began = self._clock()
            try:
                await self._live()
            except _Refused as refusal:
                self._say(LineState.REFUSED, str(refusal))
                least_s = REFUSED_DELAY_S
            except Exception as error:  # noqa: BLE001 - whatever ended it, the next one may do.
                self._say(LineState.LOST, self._why(error))
                least_s = 0.0
            if self._clock() - began >= STEADY_S:
                failures = 0
            await self._sleep(self._delay_s(failures, least_s))
            failures += 1

    def _delay_s(self, failures: int, least_s: float) -> float:
        """Seconds to the next try: soon at first, then doubling, half of it by chance."""
        if not failures and not least_s:
            return FIRST_DELAY_S * self._chance()
        most_s = min(2.0 ** min(failures, 10), LONGEST_DELAY_S)
        return max(most_s * (1 + self._chance()) / 2, least_s)

    # -- one connection --

    async def _live(self) -> None:
        """Returns never: raises what ended the connection."""
        self._last_word = ""
        try:
            async with _connection(self._url, self._ping_s) as line:
                async with asyncio.timeout(self._handshake_s):
                    await self._enter(line)
                connected_at = self._clock()
                self._say(LineState.CONNECTED, "")
                while True:
                    try:
                        async with asyncio.timeout(self._look_s):
                            frame = await line.recv()
                    except TimeoutError:
                        if self._is_mute(connected_at):
                            raise _Lost(MUTE) from None
                    else:
                        self._take(frame)
        except InvalidStatus as error:
            raise _from_upgrade(error.response.status_code) from None

    async def _enter(self, line: ClientConnection) -> None:
        data = {"key_id": self._keys.key_id, "secret_key": self._keys.secret}
        await line.send(json.dumps({"action": "authenticate", "data": data}))
        await self._await(line, "authorization")
        await line.send(json.dumps({"action": "listen", "data": {"streams": [CHANNEL]}}))
        listening = await self._await(line, "listening")
        streams = listening.get("streams")
        if not isinstance(streams, list) or CHANNEL not in streams:
            raise _Refused(f"the broker does not send {CHANNEL} to this account")

    async def _await(self, line: ClientConnection, stream: str) -> Body:
        """The data of the answer on `stream`; what comes before it is taken as usual."""
        while True:
            for message in self._messages(await line.recv()):
                self._require_authorized(message)
                data = body_of(message.get("data")) or {}
                is_yes = stream != "authorization" or data.get("status") == "authorized"
                if message.get("stream") == stream and is_yes:
                    return data
                self._take_message(message)

    def _require_authorized(self, message: Body) -> None:
        data = body_of(message.get("data")) or {}
        if message.get("stream") == "authorization" and data.get("status") == "unauthorized":
            raise _Refused(KEYS)

    # -- frames --

    def _take(self, frame: str | bytes) -> None:
        for message in self._messages(frame):
            self._require_authorized(message)
            self._take_message(message)

    def _messages(self, frame: str | bytes) -> list[Body]:
        value = decoded(frame)
        messages = [value] if isinstance(value, dict) else rows_of(value)
        if messages is None:
            self._oddities += 1
            return []
        return messages

    def _take_message(self, message: Body) -> None:
        """Hand on an event; whatever is wrong with it or with its hearer, the stream goes on."""
        if message.get("stream") != CHANNEL:
            self._note(message)
            return
        try:
            update = read_update(message.get("data"))
            if update is None:
                self._oddities += 1
            else:
                self._hear(update)
        except Exception:  # noqa: BLE001 - one event must not cost those behind it.
            self._oddities += 1

    def _note(self, message: Body) -> None:
        """Keep the broker's own word on why it is about to close."""
        data = body_of(message.get("data")) or {}
        word = text_of(data, "error_message")
        if word is not None:
            self._last_word = plain(word)
        elif message.get("stream") not in ("authorization", "listening"):
            self._oddities += 1

    # -- words --

    def _say(self, state: LineState, why: str) -> None:
        """Tell a change, and no repetition."""
        if self._told != (state, why):
            self._told = state, why
            self._tell(state, why)

    def _why(self, error: BaseException) -> str:
        """What ended a connection, in words of ours: a library's may quote what was sent."""
        if self._last_word:
            return f"the broker says: {self._last_word}"
        if isinstance(error, _Lost):
            return str(error)
        if isinstance(error, ConnectionClosed):
            close = error.rcvd or error.sent
            if close is None:
                return "the connection broke off"
            return plain(f"closed with code {close.code} {close.reason}")
        if isinstance(error, TimeoutError):
            return f"no answer within {self._handshake_s:g} s"
        words = type(error).__name__
        if isinstance(error, OSError):
            is_numbered = error.errno is not None and error.errno > 0
            words = os.strerror(error.errno or 0) if is_numbered else error.strerror or words
        return plain(f"no connection: {words}")


KEYS = (
    "the broker does not accept the keys: check ALGO_BROKER_API_KEY, ALGO_BROKER_SECRET_KEY and "
    "broker.paper"
)
MUTE = "the stream tells nothing of fills that the broker's books have"
TAKEN = (
    "the broker allows no further connection: another program uses the same account, or an old "
    "connection has not been given up yet: stop the other one, or wait"
)


class _Refused(Exception):
    """The broker does not want us, for the reason given."""


class _Lost(Exception):
    """The connection is of no use, for the reason given."""


def _from_upgrade(status: int) -> Exception:
    if status in (401, 403):
        return _Refused(KEYS)
    if status in (406, 429):
        return _Refused(TAKEN)
    return _Lost(f"HTTP {status} instead of a stream")


class _Direct(connect):
    """A connection that follows no redirects: the keys are for the host that was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The redirect is the error that it is."""
        return exc


def _connection(url: str, ping_s: float) -> Any:
    # At level DEBUG the library writes frames to its log, and one of them has the secret in it.
    silent = logging.Logger("alpaca trade stream", logging.CRITICAL + 1)
    return _Direct(
        url,
        compression=None,
        proxy=None,
        logger=silent,
        open_timeout=HANDSHAKE_S,
        close_timeout=CLOSE_S,
        ping_interval=ping_s,
        ping_timeout=ping_s,
        max_size=LARGEST_FRAME,
        user_agent_header=None,
    )
