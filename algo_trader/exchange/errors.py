"""Errors as the trading API answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from algo_trader.venue import checks
from algo_trader.venue.checks import Refusal

_STATUS_OF = {
    checks.FORBIDDEN: 403,
    checks.BAD_REQUEST: 422,
    checks.UNPROCESSABLE: 422,
    checks.NOT_FOUND: 404,
}


class ApiFault(Exception):
    """A request that is answered with an error: `{"code", "message", **extras}`, HTTP `status`."""

    def __init__(
        self, status: int, code: int | None, message: str, extras: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extras: dict[str, Any] = dict(extras or {})

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body; without `code` if there is none."""
        code = {} if self.code is None else {"code": self.code}
        return {**code, "message": self.message, **self.extras}


def fault(refusal: Refusal, extras: Mapping[str, Any] | None = None) -> ApiFault:
    """A refusal of the venue as the API's error; its figures, or other extras, beside it."""
    code, message, figures = refusal
    if "cost_basis" in figures:
        message = "insufficient buying power"
    return ApiFault(_STATUS_OF[code], code, message, figures if extras is None else extras)


def bad_request(message: str) -> ApiFault:
    """A request that no market could carry out."""
    return ApiFault(422, checks.BAD_REQUEST, message)


def unprocessable(message: str) -> ApiFault:
    """A request that the rules forbid."""
    return ApiFault(422, checks.UNPROCESSABLE, message)


def forbidden(message: str) -> ApiFault:
    """A request that this account may not make."""
    return ApiFault(403, checks.FORBIDDEN, message)


def not_found(message: str) -> ApiFault:
    """Something that is not here."""
    return ApiFault(404, checks.NOT_FOUND, message)
