"""Ways to leave a TCP connection that a well-behaved server does not have."""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

LINGER_0 = struct.pack("ii", 1, 0)


def drop(request: web.BaseRequest) -> None:
    """Close the connection without a further byte."""
    if request.transport is not None:
        request.transport.close()


def reset(request: web.BaseRequest) -> None:
    """Break the connection with RST, as a crashed host or a firewall does."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
    transport.abort()


async def either(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until the event is set or the seconds are over; None waits for the event alone."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
