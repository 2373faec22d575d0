"""Asks the running daemon, over its control socket.

A plain socket and as little HTTP as that takes: the libraries for more would cost most of the time
that `status` may need.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from algo_trader.core.errors import ConfigError
from algo_trader.runtime.errors import DaemonFailed, NoAnswer, NoDaemon
from algo_trader.runtime.lock import holder
from algo_trader.runtime.paths import control_sockets, lock_file

TIMEOUT_S = 10.0
ANSWER_MAX = 64 * 1024 * 1024
_CHUNK = 64 * 1024


def ask(
    data_dir: Path,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """The daemon's answer, whole within `timeout_s` seconds.

    NoDaemon if none runs in the data directory, NoAnswer if there is one but it does not answer,
    DaemonFailed with its words if it refuses, ConfigError if this user may not reach it.
    """
    until = time.monotonic() + timeout_s
    sent = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(sent)}\r\n\r\n"
    for place in control_sockets(data_dir):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.settimeout(_left(until))
                connection.connect(os.fspath(place))
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
                continue  # Nobody there, or somebody who has gone.
            except PermissionError:
                raise ConfigError(
                    f"may not reach the daemon at {place}: ask as the user it runs as"
                ) from None
            except OSError as error:
                raise _silent(data_dir) from error
            try:
                return _said(_exchange(connection, head.encode() + sent, until))
            except (OSError, ValueError) as error:
                raise _silent(data_dir) from error
    raise _silent(data_dir)


def no_daemon(data_dir: Path) -> NoDaemon:
    """What to raise where no daemon is running."""
    return NoDaemon(f"no daemon is running in {data_dir}; start one with `algo-trader start`")


def _silent(data_dir: Path) -> NoDaemon | NoAnswer:
    """What it means that nobody answers: the lock tells whether there is a daemon."""
    pid = holder(lock_file(data_dir))
    if pid is None:
        return no_daemon(data_dir)
    return NoAnswer(
        f"the daemon (pid {pid or 'unknown'}) in {data_dir} does not answer: it is starting, ending"
        " or busy; try again in a moment"
    )


def _exchange(connection: socket.socket, request: bytes, until: float) -> bytes:
    """Send the request and read all of the answer; OSError if it does not come in time."""
    connection.settimeout(_left(until))
    with suppress(BrokenPipeError, ConnectionResetError):  # Refused unread; the answer says why.
        connection.sendall(request)
    answer = bytearray()
    while len(answer) <= ANSWER_MAX:
        connection.settimeout(_left(until))
        try:
            chunk = connection.recv(_CHUNK)
        except ConnectionResetError:
            break
        if not chunk:
            break
        answer += chunk
    return bytes(answer)


def _said(answer: bytes) -> dict[str, Any]:
    """The object in the answer; ValueError if it is not whole, DaemonFailed if it is a refusal."""
    head, end, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not end or len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise ValueError("no answer in HTTP")
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("the answer is not an object")
    if words[1] != b"200":
        raise DaemonFailed(f"the daemon refused ({words[1].decode()}): {value.get('error')}")
    return value


def _left(until: float) -> float:
    """Seconds until then; TimeoutError if none are left, since 0 would mean something else."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
