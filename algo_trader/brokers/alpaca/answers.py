"""What an HTTP answer is evidence of.

Only a structured refusal is a refusal: status 403 or 422 with Alpaca's eight-digit code and a text.
Keys that are not accepted mean that nothing was taken. Everything else says nothing about an order.
"""

from __future__ import annotations

from typing import NamedTuple

from algo_trader.brokers.alpaca.client import Answer
from algo_trader.brokers.alpaca.orders import RestOrder, read_order
from algo_trader.brokers.alpaca.wire import body_of, plain, text_of
from algo_trader.core.errors import Unanswered

NOT_FOUND = 40410000
DUPLICATE = 40010001
CODES = range(40_000_000, 50_000_000)


class Refusal(NamedTuple):
    """Alpaca's code and text."""

    code: int
    message: str


def refusal_in(answer: Answer) -> Refusal | None:
    """The structured refusal of a command, or None if the answer is none."""
    return _structured(answer) if answer.status in (403, 422) else None


def not_found_in(answer: Answer) -> Refusal | None:
    """Alpaca's own word that it has no such thing; not a 404 of somebody on the way."""
    said = _structured(answer) if answer.status == 404 else None
    return said if said is not None and said.code == NOT_FOUND else None


def is_duplicate(refusal: Refusal) -> bool:
    """Whether an order of that client_order_id is there, which may be the very one sent before."""
    words = refusal.message.lower()
    return (
        refusal.code == DUPLICATE
        and "client_order_id" in words.replace(" ", "_")
        and any(word in words for word in ("unique", "another", "already", "duplicate"))
    )


def is_about_the_old_one(refusal: Refusal) -> bool:
    """Whether a replacement is refused because the order it is to replace has ended."""
    words = refusal.message.lower()
    return any(part in words for part in ("not open", "already in", "already been"))


def keys_refused_in(answer: Answer) -> str | None:
    """That the keys are not accepted, in words, which comes before all else; None if they are."""
    body = body_of(answer.body)
    is_wordless_403 = (
        answer.status == 403
        and body is not None
        and text_of(body, "message") is not None
        and "code" not in body
    )
    if answer.status != 401 and not is_wordless_403:
        return None
    return (
        f"the broker does not accept the keys (HTTP {answer.status}): check "
        "ALGO_BROKER_API_KEY, ALGO_BROKER_SECRET_KEY and broker.paper"
    )


def value_in(answer: Answer, what: str) -> object:
    """The JSON of a good answer; Unanswered with what came instead."""
    if not 200 <= answer.status < 300:
        raise Unanswered(f"{what}: {described(answer)}")
    if not isinstance(answer.body, dict | list):
        raise Unanswered(f"{what}: HTTP {answer.status} with a body that cannot be read")
    return answer.body


def order_in(answer: Answer, what: str) -> RestOrder:
    """The order of a good answer; Unanswered with what came instead."""
    order = read_order(value_in(answer, what))
    if order is None:
        raise Unanswered(f"{what}: HTTP {answer.status} with an order that cannot be read")
    return order


def described(answer: Answer) -> str:
    """The answer in a few words."""
    body = body_of(answer.body)
    words = text_of(body, "message") if body is not None else None
    tail = f": {plain(words)}" if words else ""
    return f"HTTP {answer.status}{tail}"


def _structured(answer: Answer) -> Refusal | None:
    body = body_of(answer.body)
    if body is None:
        return None
    code, message = body.get("code"), text_of(body, "message")
    if isinstance(code, bool) or not isinstance(code, int) or code not in CODES:
        return None
    return None if message is None else Refusal(code, plain(message))
