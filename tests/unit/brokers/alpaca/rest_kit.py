"""A scripted REST server on a real socket, and an Alpaca broker that talks to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from algo_trader.brokers.alpaca.broker import AlpacaBroker
from algo_trader.brokers.alpaca.budget import RateBudget
from algo_trader.brokers.alpaca.client import AlpacaClient
from algo_trader.brokers.alpaca.clock import SteeredClock
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.core.events import OrderRequest
from algo_trader.core.types import Action, ClientOrderId, OrderType, TimeInForce

KEY, SECRET = "PKCANARYKEY01234567", "canary-secret-0123456789"
NOW = 1_704_205_800
BY_CLIENT_ID = "GET /v2/orders:by_client_order_id"
LIST = "GET /v2/orders"
POST = "POST /v2/orders"
FILLS = "GET /v2/account/activities/FILL"
HTML = b"<html><body>bad gateway</body></html>"

Result = TypeVar("Result")


class Asked(NamedTuple):
    """A request as the server saw it."""

    what: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class Reply(NamedTuple):
    """An answer; `drip_s` are the seconds between two of its bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed.
    drip_s: float = 0


HANG = Reply(-1)
"""Read the request and never answer."""

CLOSE = Reply(-2)
"""Read the request and close the connection."""


class ScriptedServer:
    """Answers each kind of request with the replies scripted for it; the last one repeats."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._script: dict[str, list[Reply | Callable[[Asked], Reply]]] = {}
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names.

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is no error of ours."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def script(self, what: str, *replies: Reply | Callable[[Asked], Reply]) -> None:
        """What to answer to requests such as "POST /v2/orders"."""
        self._script[what] = list(replies)

    def count(self, what: str) -> int:
        """How often it was asked that."""
        return sum(each.what == what for each in self.asked)

    def close(self) -> None:
        """Stop; whoever hangs is let go."""
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        content = handler.rfile.read(length)
        asked = Asked(
            f"{handler.command} {parts.path}",
            dict(parse_qsl(parts.query)),
            json.loads(content) if content else None,
            dict(handler.headers),
        )
        self.asked.append(asked)
        replies = self._script.get(asked.what) or [Reply(404)]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self._answer(handler, reply(asked) if callable(reply) else reply)

    def _answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply == HANG:
            self._over.wait(30)
        if reply in (HANG, CLOSE):
            handler.close_connection = True
            return
        body = reply.body
        if body is None:
            content = b""
        else:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(reply.status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if not reply.drip_s:
            handler.wfile.write(content)
            return
        for byte in content:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if self._over.wait(reply.drip_s):
                return


class Naps:
    """A sleep that takes no time and keeps what it was asked for."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Let others run."""
        self.taken.append(seconds)
        await asyncio.sleep(0)


class Rig:
    """A server, a broker at it, and a clock that moves by hand."""

    def __init__(
        self,
        server: ScriptedServer,
        *,
        url: str | None = None,
        read_s: float = 2.0,
        execute_s: float = 8.5,
    ) -> None:
        self.server = server
        self.naps = Naps()
        self.extra_s = 0.0
        self.clock = SteeredClock(system=lambda: float(NOW))
        self.budget = RateBudget(sleep=self.naps, clock=self.monotonic)
        self.client = AlpacaClient(url or server.url, Keys(KEY, SECRET), read_s=read_s)
        self.broker = AlpacaBroker(
            self.client,
            self.budget,
            self.clock,
            monotonic=self.monotonic,
            sleep=self.naps,
            execute_s=execute_s,
        )

    def monotonic(self) -> float:
        """Seconds: those that were slept, and those added by hand."""
        return self.extra_s + sum(self.naps.taken)

    def do(self, work: Awaitable[Result]) -> Result:
        """What the work returns, on an event loop of its own."""

        async def run() -> Result:
            return await work

        return asyncio.run(run())


@contextmanager
def rig(**more: Any) -> Iterator[Rig]:
    """A server and a broker for one test."""
    server = ScriptedServer()
    made = Rig(server, **more)
    try:
        yield made
    finally:
        server.close()
        made.client.close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def request(key: str = "acct-velez-AA-1-stop-1", **changes: Any) -> OrderRequest:
    """A sell stop for ten shares of AA."""
    usual = OrderRequest(
        ClientOrderId(key),
        "AA",
        Action.SELL,
        OrderType.STOP,
        TimeInForce.GTC,
        Decimal(10),
        None,
        Decimal("9.50"),
    )
    return usual._replace(**changes)


def entry(key: str = "acct-velez-AA-1-entry-1", **changes: Any) -> OrderRequest:
    """A buy limit for ten shares of AA."""
    terms: dict[str, Any] = {
        "action": Action.BUY,
        "type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "limit_price": Decimal("10.10"),
        "stop_price": None,
    }
    return request(key, **terms | changes)


def order_json(of: OrderRequest, broker_id: str = "b-1", **changes: Any) -> dict[str, Any]:
    """The order as Alpaca shows it."""
    body = {
        "id": broker_id,
        "client_order_id": of.order_id,
        "created_at": "2024-01-02T14:30:00.123456789Z",
        "updated_at": "2024-01-02T14:30:01Z",
        "submitted_at": "2024-01-02T14:30:00.123456789Z",
        "filled_at": None,
        "replaced_by": None,
        "replaces": None,
        "symbol": of.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": str(of.qty),
        "filled_qty": "0",
        "filled_avg_price": None,
        "order_class": "",
        "type": str(of.type),
        "side": str(of.action),
        "time_in_force": str(of.time_in_force),
        "limit_price": None if of.limit_price is None else str(of.limit_price),
        "stop_price": None if of.stop_price is None else str(of.stop_price),
        "status": "new",
        "extended_hours": False,
        "legs": None,
    }
    with suppress(KeyError):
        for name in changes.pop("without"):
            del body[name]
    return body | changes


def fill_json(
    cum: str, qty: str, price: str, *, broker_id: str = "b-1", key: str = ""
) -> dict[str, Any]:
    """A FILL activity."""
    return {
        "id": key or f"20240102093014199::{broker_id}-{cum}",
        "activity_type": "FILL",
        "transaction_time": "2024-01-02T14:30:14.199Z",
        "type": "partial_fill",
        "price": price,
        "qty": qty,
        "side": "sell",
        "symbol": "AA",
        "leaves_qty": "0",
        "cum_qty": cum,
        "order_id": broker_id,
    }


def refusal(status: int, code: int, message: str, **extras: Any) -> Reply:
    """A structured error."""
    return Reply(status, {"code": code, "message": message, **extras})


NO_ORDER = refusal(404, 40410000, "order not found for x")
