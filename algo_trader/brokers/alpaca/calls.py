"""One call with its retries: what may be sent again, how often, and after what pause.

The table, by what went wrong:

* nothing was sent (no connection): again after a second, twice; a cancel three times;
* it was sent and there is no answer, or a 5xx: questions and cancels again, for asking twice does
  no harm; a cancel before long, and what is asked to know what has come of one: shares may have no
  stop meanwhile; an order never, its outcome is looked up;
* 429: nothing was taken; every call pauses as long as the broker says, and this one is sent once
  more if that is short. A cancel keeps trying;
* keys not accepted: never again; until they are, one call of all leaves every few seconds.

A call with its retries keeps to a deadline: the caller's own patience must not end first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from algo_trader.brokers.alpaca.answers import keys_refused_in
from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.client import Answer, RestClient
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.errors import NotConnected, Throttled
from algo_trader.core.errors import KeysRefused, Unanswered, Unavailable

PAUSE_S = 1.0
LONGEST_PAUSE_S = 3.0
"""A pause that the broker wants is sat out if it is no longer than this."""

UNSAID_PAUSE_S = 1.0
"""How long all calls pause after a 429 that does not say for how long."""

BELIEVED_PAUSE_S = 120.0
LEAST_S = 0.5
"""A request is not begun with less time than this before the deadline."""


class Retry(NamedTuple):
    """How often a call is repeated, and whether also when it was sent and not answered, which it
    counts as after `patience_s`, or at the end of its time.
    """

    times: int
    after_silence: bool
    after_429: int
    patience_s: float = float("inf")


ORDER = Retry(2, after_silence=False, after_429=1)
CANCEL = Retry(3, after_silence=True, after_429=3, patience_s=2.5)
QUESTION = Retry(2, after_silence=True, after_429=1)
PROTECTIVE_QUESTION = QUESTION._replace(patience_s=CANCEL.patience_s)


class Deadline:
    """The end of a call's time, `seconds` from now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left, below zero when it is over."""
        return self._at - self._clock()


class Calls:
    """Calls within the budget, with their retries."""

    def __init__(
        self,
        client: RestClient,
        budget: RateBudget,
        clock: SteeredClock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._budget = budget
        self._clock = clock
        self._sleep = sleep

    async def call(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None = None,
        *,
        urgency: Urgency,
        retry: Retry,
        deadline: Deadline,
    ) -> Answer:
        """An answer that is neither a 429 nor about the keys.

        Unavailable (NotConnected, Throttled, KeysRefused): certainly nothing was taken.
        Unanswered: it was sent and no answer came.
        """
        sent = _Sent()
        try:
            return await self._try(sent, method, path, terms, urgency, retry, deadline)
        except Unavailable as error:
            if sent.is_unanswered:
                raise Unanswered(f"no answer, and then: {error}") from None
            raise

    async def _try(
        self,
        sent: _Sent,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None,
        urgency: Urgency,
        retry: Retry,
        deadline: Deadline,
    ) -> Answer:
        tries = throttles = 0
        while True:
            if deadline.left_s < LEAST_S:
                raise Unavailable(f"{method} {path}: its time was over before it was sent")
            await self._budget.take(urgency, deadline.left_s - LEAST_S)
            may_repeat = tries < retry.times and deadline.left_s > PAUSE_S + LEAST_S
            limit_s = min(deadline.left_s, retry.patience_s if may_repeat else deadline.left_s)
            try:
                answer = await self._client.call(method, path, terms, limit_s=limit_s)
            except NotConnected:
                if not may_repeat:
                    raise
            except Unanswered:
                if not (retry.after_silence and may_repeat):
                    raise
                sent.is_unanswered = True
            else:
                self._heed(answer)
                if answer.status == 429:
                    throttles += 1
                    pause_s = self._pause_s(answer) or UNSAID_PAUSE_S
                    if throttles > retry.after_429 or pause_s > LONGEST_PAUSE_S:
                        raise Throttled(
                            f"{method} {path}: the broker's limit of requests is used up, "
                            f"not taken; free again in {pause_s:.1f} s"
                        )
                    continue  # The budget makes it wait.
                is_transient = answer.status >= 500 or answer.status == 408
                if not (is_transient and retry.after_silence and may_repeat):
                    return answer
                sent.is_unanswered = True
            tries += 1
            await self._sleep(PAUSE_S)

    def _heed(self, answer: Answer) -> None:
        """Pause every call if the broker has no requests left for us. KeysRefused if it does not
        know us, and then calls wait for one of them to be accepted.
        """
        refused = keys_refused_in(answer)
        if refused is not None:
            self._budget.refuse(refused)
            raise KeysRefused(refused)
        if answer.status < 500 and answer.status != 429:
            self._budget.accept()
        pause_s = self._pause_s(answer)
        if answer.status == 429:
            self._budget.pause(pause_s or UNSAID_PAUSE_S)
        elif pause_s is not None and answer.headers.get("x-ratelimit-remaining") == "0":
            self._budget.pause(pause_s)

    def _pause_s(self, answer: Answer) -> float | None:
        """How long the broker wants nothing more, by Retry-After or else X-RateLimit-Reset."""
        told_s = _number(answer.headers.get("retry-after"))
        reset = _number(answer.headers.get("x-ratelimit-reset"))
        if told_s is None and reset is not None:
            try:
                told_s = (reset - self._clock.precise()) / self._clock.speed
            except Unavailable:
                return None
        return told_s if told_s is not None and 0 < told_s <= BELIEVED_PAUSE_S else None


class _Sent:
    """Whether a try before this one may have arrived."""

    is_unanswered = False


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
