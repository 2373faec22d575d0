"""The data stream: one websocket of minute bars, corrected bars and trading halts, kept for ever.

Owns the connection: its handshake, its pings, when it is tried again and how often. It does not
know sessions, and cannot tell a quiet market from a mute server; who can calls `reconnect`.

The server takes one connection of an account, and one that died holds its place until the server
has noticed. So a refusal for that reason (406) is tried again every few seconds, and one for the
keys every half minute: neither ends by waiting alone, and both must end by themselves once mended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from algo_trader.core.ports import LineState, TellLine
from algo_trader.core.types import Symbol
from algo_trader.feeds.alpaca import Log
from algo_trader.feeds.alpaca.messages import Batch, Reader, Word
from algo_trader.feeds.alpaca.ports import Hear

ANSWER_S = 10.0
"""How long the server may take for the connection, its welcome, and each answer."""
PING_S = 10.0
CLOSE_S = 2.0
STEADY_S = 10.0
"""A connection that held so long was a good one: the next is tried at once."""
DELAY_FIRST_S, DELAY_MOST_S = 0.5, 30.0
FRAME_MOST = 1 << 24
FRAMES_WAITING_MOST = 64
"""Frames read ahead of us; beyond them the server's sending stops."""
BARS_AT_A_TIME = 2_000
"""Bars after which others get their turn, however fast frames come."""
BAD_TOLD_MOST = 20
"""Messages not believed that are logged of one connection; all are counted."""
_SHOWN = 200
_SILENT = logging.getLogger(f"{__name__}.frames")
_SILENT.setLevel(logging.CRITICAL)  # The library would write frames, and one holds the keys.


class KeyPair(Protocol):
    """An account's keys."""

    @property
    def key_id(self) -> str:
        """The public half."""
        ...

    @property
    def secret(self) -> str:
        """The half nobody may see."""
        ...


class Cure(NamedTuple):
    """What an error code means: whether we are refused, when to try again, cause and remedy."""

    is_refusal: bool
    least_s: float
    most_s: float
    text: str


_KEYS = "check the API key and its secret, and that they belong to this kind of account"
_PLAN = "check what the data plan covers: without a paid plan the feed must be iex"
CURES = {
    400: Cure(True, 20.0, 30.0, f"the subscription was not understood: {_PLAN}"),
    401: Cure(True, 20.0, 30.0, f"not authenticated: {_KEYS}"),
    402: Cure(True, 20.0, 30.0, f"the keys were refused: {_KEYS}"),
    403: Cure(False, 0.5, 2.0, "already authenticated"),
    404: Cure(True, 5.0, 10.0, f"authentication came too late or not at all: {_KEYS}"),
    405: Cure(True, 20.0, 30.0, "too many symbols: shorten the watchlist or change the data plan"),
    406: Cure(
        True, 1.0, 5.0,
        "another connection of this account holds the only place: end the other program; a"
        " connection that died is let go by the server after a while",
    ),
    407: Cure(False, 0.0, 1.0, "the server found us too slow"),
    408: Cure(True, 20.0, 30.0, f"this stream is not enabled for the account: {_PLAN}"),
    409: Cure(True, 20.0, 30.0, f"the data plan does not cover this: {_PLAN}"),
    410: Cure(True, 20.0, 30.0, f"this feed does not have that: {_PLAN}"),
    411: Cure(True, 20.0, 30.0, f"the keys may not do this: {_KEYS}"),
}  # fmt: skip
REFUSED_UPGRADES = {401: CURES[402], 403: CURES[402]}
"""What an HTTP status means that comes in place of the websocket."""
OPTIONAL = frozenset({400, 405, 409, 410, 411})
"""Answers to the subscription of halts that leave the bars as they are."""


class StreamError(Exception):
    """The connection cannot go on; `cure` is set where the server has said why."""

    def __init__(self, reason: str, cure: Cure | None = None) -> None:
        super().__init__(reason)
        self.cure = cure


class BarStream:
    """Bars, corrected bars and halts of `symbols`, from the websocket at `url`.

    `hear` gets what each frame held, at once and in order, and may not wait; what it raises ends
    `run`. `tell` gets each change of the connection's state. CONNECTED means subscribed: from then
    on nothing is missed.
    """

    def __init__(
        self,
        url: str,
        keys: KeyPair,
        symbols: Sequence[Symbol],
        *,
        hear: Hear,
        tell: TellLine,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        answer_s: float = ANSWER_S,
        ping_s: float = PING_S,
    ) -> None:
        self._url = url
        self._keys = keys
        self._symbols = list(symbols)
        self._hear = hear
        self._tell = tell
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._answer_s = answer_s
        self._ping_s = ping_s
        self._socket: ClientConnection | None = None
        self._dropped_for: str | None = None
        self._told: tuple[LineState, str] | None = None
        self._bad_told = 0
        self._ready_at: float | None = None
        self._reader = Reader(self._symbols, self._tell_bad)
        self.reconnects = 0
        """Connections after the first."""

    @property
    def bad(self) -> dict[str, int]:
        """Frames and messages that were not believed, by kind, since the start."""
        return dict(self._reader.bad)

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one at once; without one it has no effect."""
        if self._socket is not None and self._dropped_for is None:
            self._dropped_for = reason
            self._socket.transport.abort()  # Who is mute would not answer a close either.

    async def run(self) -> None:
        """Connect, hear, connect again; cancelling it closes the socket."""
        failures = 0
        self._say(LineState.CONNECTING, "")
        while True:
            self._ready_at = None
            try:
                await self._connection()
                problem = StreamError("the server closed the connection")
            except StreamError as error:
                problem = error
            except InvalidStatus as error:
                status = error.response.status_code
                problem = StreamError(
                    f"the server answered HTTP {status}", REFUSED_UPGRADES.get(status)
                )
            except TimeoutError:
                problem = StreamError("the server did not answer in time")
            except (OSError, WebSocketException, EOFError) as error:
                problem = StreamError(_line(error))
            if self._dropped_for is not None:
                problem, self._dropped_for, failures = StreamError(self._dropped_for), None, 0
            if self._ready_at is not None and self._clock() - self._ready_at >= STEADY_S:
                failures = 0
            delay_s = self._delay_s(problem, failures)
            failures += 1
            is_refusal = problem.cure is not None and problem.cure.is_refusal
            self._say(LineState.REFUSED if is_refusal else LineState.LOST, str(problem))
            self._log("data_stream_retries", reason=str(problem), in_s=round(delay_s, 3))
            self.reconnects += 1
            await self._sleep(delay_s)

    async def _connection(self) -> None:
        """One connection from its beginning to its end."""
        self._bad_told = 0
        async with connect(
            self._url,
            additional_headers={"Content-Type": "application/msgpack"},
            compression=None,
            open_timeout=self._answer_s,
            ping_interval=self._ping_s,
            ping_timeout=self._ping_s,
            close_timeout=CLOSE_S,
            max_size=FRAME_MOST,
            max_queue=FRAMES_WAITING_MOST,
            proxy=None,
            logger=_SILENT,
        ) as socket:
            self._socket = socket
            try:
                await self._shake_hands(socket)
                self._ready_at = self._clock()
                self._say(LineState.CONNECTED, "")
                await self._listen(socket)
            finally:
                self._socket = None

    async def _shake_hands(self, socket: ClientConnection) -> None:
        await self._answer(socket, "success", "a welcome")
        keys = self._keys
        await _send(socket, {"action": "auth", "key": keys.key_id, "secret": keys.secret})
        await self._answer(socket, "success", "an answer to the keys")
        wanted = self._symbols
        await _send(socket, {"action": "subscribe", "bars": wanted, "updatedBars": wanted})
        answer = await self._answer(socket, "subscription", "an answer to the subscription")
        missing = set(wanted).difference(answer.bars)
        if missing and "*" not in answer.bars:
            self._log("not_subscribed", level="warning", symbols=sorted(missing))
        # On their own: a plan that does not have them must not cost the bars.
        await _send(socket, {"action": "subscribe", "statuses": wanted})

    async def _answer(self, socket: ClientConnection, kind: str, what: str) -> Word:
        """The next word of that kind; an error instead of it raises."""
        try:
            async with asyncio.timeout(self._answer_s):
                while True:
                    batch = self._reader.read(await socket.recv())
                    self._hear_batch(batch)
                    for word in batch.words:
                        self._heed(word)
                        if word.kind == kind:
                            return word
        except TimeoutError:
            raise StreamError(f"no {what.removeprefix('a ').removeprefix('an ')} in"
                              f" {self._answer_s:g} s") from None  # fmt: skip

    async def _listen(self, socket: ClientConnection) -> None:
        read, recv = self._reader.read, socket.recv
        bars_since = 0
        while True:
            batch = read(await recv())
            if batch.words:
                for word in batch.words:
                    self._heed(word, is_optional=True)
            self._hear_batch(batch)
            bars_since += len(batch.bars)
            if bars_since >= BARS_AT_A_TIME:
                bars_since = 0
                await asyncio.sleep(0)

    def _hear_batch(self, batch: Batch) -> None:
        if batch.bars or batch.corrected or batch.halts:
            self._hear(batch)

    def _heed(self, word: Word, *, is_optional: bool = False) -> None:
        """Raise if the word ends the connection."""
        if word.kind != "error":
            return
        reason = f"{word.text} ({word.code})"
        if is_optional and word.code in OPTIONAL:
            self._log("halts_not_subscribed", level="warning", reason=reason)
            return
        cure = CURES.get(word.code)
        raise StreamError(reason if cure is None else f"{reason}: {cure.text}", cure)

    def _delay_s(self, problem: StreamError, failures: int) -> float:
        """Seconds until the next attempt, the first of a row at once."""
        if problem.cure is not None:
            return self._uniform(problem.cure.least_s, problem.cure.most_s)
        if failures == 0:
            return 0.0
        most = min(DELAY_FIRST_S * 2.0 ** min(failures, 16), DELAY_MOST_S)
        return self._uniform(most / 2, most)

    def _say(self, state: LineState, reason: str) -> None:
        """Tell a change; the same state for another reason is one only if it was a refusal."""
        told = self._told
        if told is not None and told[0] is state:
            is_other_refusal = state is LineState.REFUSED and told[1] != reason
            if not is_other_refusal:
                return
        self._told = (state, reason)
        self._tell(state, reason)

    def _tell_bad(self, problem: str, message: object) -> None:
        self._bad_told += 1
        if isinstance(message, bytes | str):
            message = message[:_SHOWN]
        if self._bad_told <= BAD_TOLD_MOST:
            self._log(
                "market_data_refused", level="warning", reason=problem,
                message=repr(message)[:_SHOWN],
            )  # fmt: skip


async def _send(socket: ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(msgpack.packb(message))


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
