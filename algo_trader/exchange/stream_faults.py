"""Faults of streams: damaged frames, and lines that fall silent or break."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from algo_trader.exchange.fault_book import Rule
from algo_trader.exchange.line import Line

MALFORMED = b'{"stream":"trade_upd'
EVENT = "event."


def line_fault(rule: Rule, line: Line) -> None:
    """Let one connection suffer: mute, no_pongs, close or reset."""
    match rule.do:
        case "mute":
            line.mute(rule.args["for_s"])
        case "no_pongs":
            line.no_pongs(rule.args["for_s"])
        case "close":
            line.close_soon(rule.args["code"], b"internal error")
        case "reset":
            line.reset()


def damaged(rule: Rule, message: Mapping[str, Any] | bytes) -> Mapping[str, Any] | bytes:
    """A trade update as the rule spoils it."""
    if isinstance(message, bytes):
        return message
    match rule.do:
        case "malformed_frame":
            return MALFORMED
        case "big_frame":
            return {**message, "padding": "x" * int(rule.args["bytes"])}
    spoiled: dict[str, Any] = copy.deepcopy(dict(message))
    spoil(rule, spoiled["data"]["order"], spoiled["data"])
    return spoiled


def spoil(rule: Rule, order: dict[str, Any], event: dict[str, Any] | None = None) -> None:
    """Change an order's JSON in place: unknown_enum, missing_fields or wrong_echo.

    Names that begin with `event.` mean the update around the order.
    """
    match rule.do:
        case "unknown_enum":
            target, name = _owner(rule.args["field"], order, event)
            target[name] = rule.args["value"]
        case "missing_fields":
            for field in rule.args["fields"]:
                target, name = _owner(field, order, event)
                target.pop(name, None)
        case "wrong_echo":
            for field, value in rule.args["set"].items():
                target, name = _owner(field, order, event)
                target[name] = value


def _owner(
    field: str, order: dict[str, Any], event: dict[str, Any] | None
) -> tuple[dict[str, Any], str]:
    name = field.removeprefix(EVENT)
    return (order, field) if event is None or name == field else (event, name)
