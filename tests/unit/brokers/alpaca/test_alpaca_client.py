"""The SDK in its threads: time limits, evidence of what was sent, and secrets that stay inside."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
import traceback

import pytest
from rest_kit import (
    CLOSE,
    HANG,
    HTML,
    KEY,
    SECRET,
    Reply,
    Rig,
    closed_port,
    order_json,
    request,
    rig,
)

from algo_trader.brokers.alpaca.client import WORKERS, AlpacaClient
from algo_trader.brokers.alpaca.errors import NotConnected
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.core.commands import Submit
from algo_trader.core.errors import BrokerError, ConfigError, Unanswered

PATH = "GET /v2/thing"


def test_the_sdk_is_not_imported_before_it_is_needed() -> None:
    """Goal: the SDK and its pandas cost a program nothing that does not trade at Alpaca.

    Method: a process of its own imports the package's modules and looks at what was loaded.
    """
    code = (
        "import sys, algo_trader.brokers, algo_trader.brokers.alpaca.broker, "
        "algo_trader.brokers.alpaca.trade_stream; "
        "sys.exit(any(name in sys.modules for name in ('alpaca', 'pandas', 'requests')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("reply", [HANG, Reply(200, b" " * 500, drip_s=0.05)])
def test_no_answer_holds_a_caller_or_a_thread(reply: Reply) -> None:
    """Goal: a silent and a dripping server cost the time limit, and their threads are free then.

    Method: more such calls than there are threads, at once, then one that is answered.
    """
    with rig(read_s=20) as at:
        at.server.script(PATH, reply)
        at.server.script("GET /v2/other", Reply(200, {}))

        async def calls() -> list[BaseException | object]:
            ask = [at.client.call("GET", "/thing", limit_s=0.4) for _ in range(WORKERS)]
            found = await asyncio.gather(*ask, return_exceptions=True)
            return [*found, await at.client.call("GET", "/other", limit_s=5)]

        began = time.monotonic()
        *errors, last = at.do(calls())
        assert time.monotonic() - began < 5
        assert all(isinstance(error, Unanswered) for error in errors)
        assert not any(isinstance(error, NotConnected) for error in errors)
        assert getattr(last, "status", None) == 200


def test_a_call_that_no_thread_was_free_for_was_not_sent() -> None:
    """Goal: a request that waited for its turn until its time was over has certainly not left."""
    with rig(read_s=20) as at:
        at.server.script(PATH, HANG)

        async def calls() -> list[BaseException | object]:
            ask = [at.client.call("GET", "/thing", limit_s=1) for _ in range(WORKERS)]
            late = at.client.call("GET", "/late", limit_s=0.3)
            found: list[BaseException | object] = []
            found += await asyncio.gather(*ask, late, return_exceptions=True)
            return found

        assert isinstance(at.do(calls())[-1], NotConnected)
        assert at.server.count("GET /v2/late") == 0


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_command_does_not_wait_for_questions(method: str) -> None:
    """Goal: a stop order leaves at once though every thread for questions waits for an answer, and
    closing ends both kinds. Method: as many silent questions as there are threads, then a command.
    """
    with rig(read_s=20) as at:
        at.server.script(PATH, HANG)
        at.server.script(f"{method} /v2/orders", Reply(200, {}), HANG)

        async def calls() -> int:
            ask = [
                asyncio.create_task(at.client.call("GET", "/thing", limit_s=20))
                for _ in range(2 * WORKERS)
            ]
            async with asyncio.timeout(5):
                while at.server.count(PATH) < WORKERS:
                    await asyncio.sleep(0.01)
            answer = await at.client.call(method, "/orders", limit_s=5)
            ask.append(asyncio.create_task(at.client.call(method, "/orders", limit_s=20)))
            async with asyncio.timeout(5):
                while at.server.count(f"{method} /v2/orders") < 2:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(at.client.close)
                await asyncio.gather(*ask, return_exceptions=True)
            return answer.status

        before = set(threading.enumerate())
        assert at.do(calls()) == 200
        left = set(threading.enumerate()) - before
        assert not [thread for thread in left if thread.name.startswith("alpaca")]


def test_a_caller_that_gives_up_frees_its_thread() -> None:
    """Goal: a cancelled call cuts its line, so that closing the client does not wait for it."""
    with rig(read_s=20) as at:
        at.server.script(PATH, HANG)

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await at.client.call("GET", "/thing", limit_s=20)

        at.do(give_up())
        began = time.monotonic()
        at.client.close()
        assert time.monotonic() - began < 5


def test_proxies_and_redirects_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: keys go to the host that was named and to no other, whatever environment or server say.

    Method: a proxy in the environment that is not there, and a server that redirects.
    """
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with rig() as at:
        at.server.script(PATH, Reply(307, None, {"Location": f"{at.server.url}/v2/other"}))
        answer = at.do(at.client.call("GET", "/thing"))
        assert (answer.status, answer.body) == (307, None)
        assert at.server.count("GET /v2/other") == 0


def test_a_connection_is_used_again() -> None:
    """Goal: calls one after the other share a connection, one that the server closed is made anew.
    """
    with rig() as at:
        at.server.script(PATH, Reply(200, {}))

        async def calls() -> list[int]:
            return [(await at.client.call("GET", "/thing")).status for _ in range(5)]

        assert at.do(calls()) == [200] * 5
        at.server.script(PATH, Reply(200, {}, {"Connection": "close"}), Reply(200, {}))
        assert at.do(calls()) == [200] * 5


def _everything_said(at: Rig, reply: Reply, caplog: pytest.LogCaptureFixture) -> str:
    """All texts that come of an answer: errors with their chains and locals, and every log line."""
    at.server.script("POST /v2/orders", reply)
    at.server.script("GET /v2/orders:by_client_order_id", reply)
    said = []
    for work in (at.broker.execute(Submit(request())), at.broker.order(request().order_id)):
        try:
            said.append(repr(at.do(work)))
        except BrokerError as error:
            said += _shown(error)
    return "\n".join([*said, caplog.text])


def _shown(error: BaseException | None) -> list[str]:
    """What an error and those it came of show, with the locals of the program's own frames."""
    if error is None:
        return []
    said = [str(error), repr(error), repr(error.__dict__)]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "algo_trader" in frame.f_code.co_filename:
            said += map(repr, frame.f_locals.values())
    return [*said, *_shown(error.__cause__), *_shown(error.__context__)]


ECHO = {"message": f"forbidden {SECRET} {KEY}", "secret": SECRET}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, order_json(request(), status="rejected", reject_reason=f"no {SECRET}")),
        Reply(403, ECHO),
        Reply(403, ECHO | {"code": 40310000}),
        Reply(422, ECHO | {"code": 40010001}),
        Reply(500, HTML + SECRET.encode()),
        Reply(200, SECRET.encode()),
        Reply(429, ECHO),
        CLOSE,
        HANG,
    ],
)
def test_no_text_has_the_secret(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    """Goal: neither key nor secret is in a report, an error, its chain and locals, or a log line at
    the lowest level. Method: a canary secret, which the server echoes wherever it can.
    """
    caplog.set_level(logging.DEBUG)
    with rig(read_s=0.3, execute_s=1.0) as at:
        said = _everything_said(at, reply, caplog)
        assert at.server.asked[0].headers["APCA-API-SECRET-KEY"] == SECRET
        assert SECRET not in said
        assert KEY not in said


def test_no_text_has_the_secret_without_a_server(caplog: pytest.LogCaptureFixture) -> None:
    """Goal: the same where no connection is made, and for a host that does not exist."""
    caplog.set_level(logging.DEBUG)
    for url in (f"http://127.0.0.1:{closed_port()}", "http://no.such.host.invalid"):
        with rig(url=url) as at:
            said = _everything_said(at, Reply(200), caplog)
            assert "NotConnected" in said
            assert SECRET not in said
            assert KEY not in said


def test_keys_show_nothing() -> None:
    """Goal: keys hide themselves, and such as would come back in a library's error are refused."""
    keys = Keys(KEY, SECRET)
    for text in (repr(keys), str(keys), f"{keys}", repr([keys]), repr({"k": keys})):
        assert KEY not in text
        assert SECRET not in text
    for key_id, secret in (
        (KEY, ""),
        ("", SECRET),
        (KEY, "a\nb"),
        (KEY, "a b"),
        (f"'{KEY}'", SECRET),
        ("ключ", SECRET),
    ):
        with pytest.raises(ConfigError, match="ALGO_BROKER_") as caught:
            Keys(key_id, secret)
        assert not secret or secret not in str(caught.value)


def test_short_keys_do_not_spoil_answers() -> None:
    """Goal: with a rehearsal's keys of a letter or two answers are read as they were sent."""
    with rig() as at:
        at.server.script(PATH, Reply(200, {"a": "banana"}))
        client = AlpacaClient(at.server.url, Keys("a", "b"))
        try:
            assert at.do(client.call("GET", "/thing")).body == {"a": "banana"}
        finally:
            client.close()


def test_a_client_that_was_never_used_can_be_closed() -> None:
    """Goal: nothing is left of a client, used or not."""
    AlpacaClient("http://127.0.0.1:1", Keys(KEY, SECRET)).close()
