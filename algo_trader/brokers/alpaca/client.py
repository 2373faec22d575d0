"""Alpaca's SDK in a few threads of its own, with limits of time that it does not have.

Commands have threads that no question ever takes: a stop must not wait behind slow answers. Each
thread has a client of its own, for a requests session is not promised to be safe between them.
The SDK's retries are off, proxies and .netrc are not consulted, redirects not followed, and bodies
are read from the wire's text: the SDK would turn money into floats. What went wrong is told by
evidence: only if nothing was written to a socket was nothing sent. No exception of a library leaves
the thread, for those hold the request with the secret in its headers.
"""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from algo_trader.brokers.alpaca.errors import NotConnected
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.brokers.alpaca.wire import decoded, plain
from algo_trader.core.errors import Unanswered

if TYPE_CHECKING:
    from alpaca.trading.client import TradingClient

    from algo_trader.brokers.alpaca.outlet import Outlet

WORKERS = 4
"""Threads for questions, and as many more for commands."""

COMMANDS = ("POST", "PATCH", "DELETE")
CONNECT_S = 3.0
READ_S = 7.0
TOTAL_S = 9.0
ABORT_S = 0.5
KEPT_HEADERS = ("retry-after", "x-ratelimit-remaining", "x-ratelimit-reset")


class Answer(NamedTuple):
    """An HTTP answer: its status, its JSON or UNREADABLE, None for an empty one.

    `headers` are those of KEPT_HEADERS that were there; `sent_at` and `got_at` monotonic seconds.
    """

    status: int
    body: object
    headers: Mapping[str, str]
    sent_at: float
    got_at: float


class RestClient(Protocol):
    """Who carries a request to the broker and its answer back."""

    async def call(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None = None,
        *,
        limit_s: float = TOTAL_S,
    ) -> Answer:
        """One request, once: `terms` are a query, or with POST and PATCH a JSON object.

        Any HTTP status is an answer. NotConnected: nothing was written to a socket. Unanswered:
        something was, and within `limit_s` no whole answer came, however slowly it dripped.
        """
        ...

    def close(self) -> None:
        """End whatever carries them."""
        ...


class _Failure(NamedTuple):
    """No answer: why, and whether anything was written to a socket."""

    reason: str
    has_sent: bool


class AlpacaClient:
    """Calls of one REST API of Alpaca's, at most WORKERS questions and as many commands at once.
    Imports the SDK when it is made.
    """

    def __init__(
        self, url: str, keys: Keys, *, read_s: float = READ_S, connect_s: float = CONNECT_S
    ) -> None:
        self._make = _maker(url, keys, (connect_s, read_s))
        self._url = url
        self._keys = keys
        self._questions = ThreadPoolExecutor(WORKERS, thread_name_prefix="alpaca")
        self._commands = ThreadPoolExecutor(WORKERS, thread_name_prefix="alpaca-command")
        self._own = threading.local()
        self._workers: list[_Worker] = []

    async def call(
        self,
        method: str,
        path: str,
        terms: Mapping[str, Any] | None = None,
        *,
        limit_s: float = TOTAL_S,
    ) -> Answer:
        """As RestClient has it."""
        job = _Job(method, path, terms)
        pool = self._commands if method in COMMANDS else self._questions
        try:
            work = pool.submit(self._run, job)
        except RuntimeError:
            raise NotConnected(f"{job}: the connection to the broker has been ended") from None
        future = asyncio.wrap_future(work)
        try:
            await asyncio.wait({future}, timeout=limit_s)
            if future.done():
                return _answer_of(job, future.result())
            if work.cancel():
                raise NotConnected(f"{job}: too many requests are under way, this one not sent")
            reason = f"no whole answer within {limit_s:.1f} s"
            failure = _Failure(reason, has_sent=job.abort())
            await asyncio.wait({future}, timeout=ABORT_S)  # So that its thread is free again.
            return _answer_of(job, failure)
        finally:
            if not work.done() and not work.cancel():
                job.abort()
            future.cancel()

    def close(self) -> None:
        """End the threads; what they wait for is cut off. Waits for one that is connecting."""
        pools = (self._questions, self._commands)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.outlet.abort(worker.outlet.user)
        for pool in pools:
            pool.shutdown(wait=True)
        for worker in self._workers:
            worker.client._session.close()

    # -- in a thread --

    def _run(self, job: _Job) -> Answer | _Failure:
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = self._make()
            self._workers.append(worker)
        outlet = worker.outlet
        job.begin(outlet)
        sent_at = time.monotonic()
        try:
            response = worker.client._session.request(
                job.method,
                f"{self._url}/v2{job.path}",
                params=job.query,
                json=job.content,
                headers=worker.client._get_default_headers(),
                allow_redirects=False,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not leave the thread.
            return _Failure(_reason(error), outlet.has_sent)
        return Answer(
            response.status_code,
            decoded(self._keys.scrubbed(response.content)) if response.content else None,
            {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            sent_at,
            time.monotonic(),
        )


class _Worker(NamedTuple):
    """What a thread has to itself."""

    client: TradingClient
    outlet: Outlet


class _Job:
    """One request on its way through the pool, which the event loop may cut off."""

    def __init__(self, method: str, path: str, terms: Mapping[str, Any] | None) -> None:
        self.method = method
        self.path = path
        has_content = method in ("POST", "PATCH")
        self.query = None if has_content else terms
        self.content = dict(terms or {}) if has_content else None
        self._outlet: Outlet | None = None
        self._is_aborted = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def begin(self, outlet: Outlet) -> None:
        """A thread has taken it and will send it through this outlet."""
        self._outlet = outlet
        outlet.begin(self)
        if self._is_aborted:
            outlet.abort(self)

    def abort(self) -> bool:
        """Shut the outlet it uses: nothing is sent from now on; whether something was."""
        self._is_aborted = True
        return self._outlet is not None and self._outlet.abort(self)


def _answer_of(job: _Job, outcome: Answer | _Failure) -> Answer:
    if isinstance(outcome, Answer):
        return outcome
    raise (Unanswered if outcome.has_sent else NotConnected)(f"{job}: {outcome.reason}")


def _maker(url: str, keys: Keys, timeout: tuple[float, float]) -> Callable[[], _Worker]:
    """What makes a client for each thread; here is where the SDK is imported."""
    with warnings.catch_warnings():
        # The SDK's streams, which nobody uses here, import a deprecated module.
        warnings.simplefilter("ignore", DeprecationWarning)
        from alpaca.trading.client import TradingClient

    from algo_trader.brokers.alpaca.outlet import LimitedAdapter, Outlet

    def make() -> _Worker:
        client = TradingClient(keys.key_id, keys.secret, raw_data=True, url_override=url)
        client._retry = 0
        session: Any = client._session
        session.trust_env = False
        outlet = Outlet()
        adapter = LimitedAdapter(outlet, timeout)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return _Worker(client, outlet)

    return make


def _reason(error: BaseException) -> str:
    """What happened in a few words: the innermost cause, none of the request."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = error.__cause__ or error.__context__
        if inner is None:
            inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        error = inner
    name = type(error).__name__
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        return plain(f"{name}: {error.strerror}")
    return name
