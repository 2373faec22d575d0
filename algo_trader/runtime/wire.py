"""A request as it comes over the control socket: HTTP/1.1, strictly read, bounded in size.

Only what the control socket needs is understood, and all else refused: nothing is guessed.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

LINE_MAX = 1024
HEADERS_MAX = 8 * 1024
HEAD_MAX = LINE_MAX + HEADERS_MAX
"""Bytes before the body: the limit a reader must be made with."""
BODY_MAX = 64 * 1024
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HEADER = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_END = b"\r\n\r\n"


class Request(NamedTuple):
    """What is asked: the body is a JSON object, {} where none was sent."""

    method: str
    path: str
    body: dict[str, Any]


class Refusal(Exception):
    """Not to be served: the status of HTTP, why in words, and headers to send with it."""

    def __init__(self, status: int, message: str, headers: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None if the client left without one. Refusal if it is none to be served."""
    try:
        head = await reader.readuntil(_END)
    except asyncio.IncompleteReadError as short:
        if not short.partial:
            return None
        raise Refusal(400, "the request ends before its headers do") from short
    except asyncio.LimitOverrunError as error:
        raise Refusal(400, "the request line or the headers are too long") from error
    line, _, fields = head[: -len(_END)].partition(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if found is None or len(line) > LINE_MAX or len(fields) > HEADERS_MAX:
        raise Refusal(400, "the request line cannot be read, or the headers are too long")
    length = _content_length(fields)
    try:
        body = await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise Refusal(400, "the body is shorter than its Content-Length") from error
    return Request(found[1].decode(), found[2].decode(), _object(body))


def _content_length(fields: bytes) -> int:
    length = None
    for line in fields.split(b"\r\n") if fields else ():
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Refusal(400, "a header cannot be read")
        name, value = header[1].lower(), header[2].rstrip()
        if name == b"transfer-encoding":
            raise Refusal(400, "a body must come whole, with a Content-Length")
        if name == b"content-length":
            if length is not None or not re.fullmatch(rb"[0-9]{1,9}", value):
                raise Refusal(400, "Content-Length must be one number")
            length = int(value)
    if (length or 0) > BODY_MAX:
        raise Refusal(413, f"a body may have {BODY_MAX} bytes")
    return length or 0


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode(), parse_constant=_no_number) if body else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "the body is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Refusal(400, "the body must be a JSON object")
    return value


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
