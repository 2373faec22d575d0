"""What a fault script does to the bars of the data stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from algo_trader.core.types import MINUTE, Bar, Instant, Symbol
from algo_trader.exchange.fault_book import FaultBook, Rule, Subject
from algo_trader.exchange.fault_words import DATA_BAR
from algo_trader.exchange.wire import bar_message

MALFORMED = b"\x92\xc1\xc1"
LINE_FAULTS = ("mute", "no_pongs", "close", "reset", "error")
NAMES = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "symbol": "S"}
POISON = {"T": "b", "S": None, "t": "not a time", "o": None}


@dataclass(slots=True)
class Frames:
    """What goes out at once: messages, frames that are no messages, and faults of the line."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    lines: list[Rule] = field(default_factory=list)


class BarFaults:
    """Turns bars into messages, spoiled as the rules say."""

    def __init__(self, faults: FaultBook, now: Callable[[], float]) -> None:
        self._faults = faults
        self._now = now
        self._late: list[tuple[Instant, dict[str, Any]]] = []
        self._behind: list[dict[str, Any]] = []
        self._corrections: list[tuple[Instant, dict[str, Any]]] = []
        self.hidden: set[tuple[Symbol, Instant]] = set()
        """Bars that the history does not hold either."""

    def frames(self, bars: Sequence[Bar]) -> Frames:
        """The messages of a minute's bars. Late ones come before those of their new minute,
        out-of-order ones after those of the next."""
        if not bars:
            return Frames()
        minute = bars[0].start
        frames = Frames([message for due, message in self._late if due <= minute])
        self._late = [(due, message) for due, message in self._late if due > minute]
        behind, self._behind = self._behind, []
        if not self._faults.waits_at(DATA_BAR):
            frames.messages += [bar_message("b", bar) for bar in bars] + behind
            return frames
        for bar in bars:
            messages = [bar_message("b", bar)]
            subject = Subject(symbol=bar.symbol)
            for rule in self._faults.all_at(DATA_BAR, subject, self._now()):
                messages = self._spoiled(rule, bar, messages, frames)
            frames.messages += messages
        frames.messages += behind
        return frames

    def _spoiled(
        self,
        rule: Rule,
        bar: Bar,
        messages: list[dict[str, Any]],
        frames: Frames,
    ) -> list[dict[str, Any]]:
        args = rule.args
        match rule.do:
            case "drop_bar":
                if args["history"]:
                    self.hidden.add((bar.symbol, bar.start))
                return []
            case "duplicate_bar":
                return messages * (1 + int(args["copies"]))
            case "late_bar":
                due = bar.start + int(args["minutes"]) * MINUTE
                self._late += [(due, message) for message in messages]
                return []
            case "out_of_order_bar":
                self._behind += messages
                return []
            case "corrected_bar":
                message = bar_message("u", bar) | _renamed(args["set"])
                self._corrections.append((bar.start, message))
            case "bad_bar":
                return [message | _renamed(args["set"]) for message in messages]
            case "poisoned_batch":
                return [{**POISON, "S": bar.symbol}, *messages]
            case "malformed_frame":
                frames.raw.append(MALFORMED)
            case "big_frame":
                frames.raw.append(bytes(msgpack.packb([{"T": "n", "x": "x" * args["bytes"]}])))
            case name if name in LINE_FAULTS:
                frames.lines.append(rule)
        return messages

    def corrections(self) -> Frames:
        """The corrected bars that are due."""
        messages = [message for _, message in self._corrections]
        self._corrections.clear()
        return Frames(messages)


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {NAMES.get(name, name): value for name, value in fields.items()}
