"""Verified copies of a ledger that is in use: written by its own thread, proved by another."""

from __future__ import annotations

import asyncio
from pathlib import Path

from algo_trader.ledger.backup import partial_of, publish
from algo_trader.ledger.writer import Writer


async def back_up(writer: Writer, target: Path) -> Path:
    """Write a verified copy to `target`. A failure leaves nothing that takes room on the disk."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with partial_of(target) as partial:
        await writer.copy(partial)
        return await asyncio.to_thread(publish, partial, target)
