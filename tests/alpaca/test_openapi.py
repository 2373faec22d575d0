"""Answers of the exchange against Alpaca's own OpenAPI documents; skipped where these are not.

ALGO_REAL_DATA/alpaca/openapi holds trading-api.json.gz and market-data-api.json.gz.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sdk import history, trading
from serving import FIRST_OPEN, Serving, day, serving

FOLDER = Path(os.environ.get("ALGO_REAL_DATA", ".")) / "alpaca" / "openapi"
TRADING, DATA = "trading-api.json.gz", "market-data-api.json.gz"
CLOSES = {"AA": ["10", "10.5", "11", "10.4"], "BB": ["50"] * 4}

pytestmark = pytest.mark.skipif(
    not (FOLDER / TRADING).is_file(), reason="ALGO_REAL_DATA holds no OpenAPI documents"
)


@cache
def document(name: str) -> dict[str, Any]:
    """An OpenAPI 3.0 document, its `nullable` said as JSON Schema says it."""
    with gzip.open(FOLDER / name) as file:
        return _with_nulls(json.load(file))  # type: ignore[no-any-return]  # JSON


def _with_nulls(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_nulls(each) for each in node]
    if not isinstance(node, dict):
        return node
    # Kinds of activities have no field that one must and another may not have: any will do.
    seen = {"anyOf" if key == "oneOf" else key: _with_nulls(value) for key, value in node.items()}
    if seen.pop("nullable", False) is True:
        return {"anyOf": [seen, {"type": "null"}]}
    return seen


def assert_valid(name: str, path: str, method: str, status: int, body: Any) -> None:
    """The body is what the document promises for this answer."""
    answers = document(name)["paths"][path][method]["responses"]
    schema = answers[str(status)]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document(name)["components"]})
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in validator.iter_errors(body)
    ]
    assert problems == []


@pytest.fixture(scope="module")
def exchange() -> Iterator[Serving]:
    """An account that has bought, sold short, replaced, and holds a bracket."""
    bars = day(CLOSES) + day(CLOSES, 1)
    with serving(bars, first=date(2024, 1, 3)) as running:
        running.step_to(FIRST_OPEN + 86_400 + 60)
        client = trading(running)
        for body in (
            {"symbol": "AA", "qty": "10", "side": "buy", "type": "market"},
            {"symbol": "BB", "qty": 3, "side": "sell", "type": "market"},
            {"symbol": "AA", "qty": 10, "side": "sell", "type": "trailing_stop",
             "trail_percent": "5"},
        ):  # fmt: skip
            client.post("/orders", {"time_in_force": "day", **body})
        yield running


GETS = [
    ("/v2/account", "/account", {}),
    ("/v2/account/configurations", "/account/configurations", {}),
    ("/v2/account/activities", "/account/activities", {}),
    ("/v2/account/activities/{activity_type}", "/account/activities/FILL", {"page_size": 1}),
    ("/v2/account/portfolio/history", "/account/portfolio/history", {}),
    ("/v2/assets", "/assets", {}),
    ("/v2/assets/{symbol_or_asset_id}", "/assets/AA", {}),
    ("/v2/calendar", "/calendar", {}),
    ("/v2/clock", "/clock", {}),
    ("/v2/orders", "/orders", {"status": "all", "nested": "True"}),
    ("/v2/positions", "/positions", {}),
    ("/v2/positions/{symbol_or_asset_id}", "/positions/BB", {}),
]


@pytest.mark.parametrize(("path", "asked", "query"), GETS, ids=[row[1] for row in GETS])
def test_trading_reads(exchange: Serving, path: str, asked: str, query: dict[str, Any]) -> None:
    """Goal: every read of the trading API is what the document says.
    Method: ask through the SDK's generic get and validate the whole body.
    """
    body = trading(exchange).get(asked, query)
    assert body
    assert_valid(TRADING, path, "get", 200, body)


def test_trading_writes(exchange: Serving) -> None:
    """Goal: answers to submitting, replacing and canceling are what the document says.
    Method: a bracket, a resting order that is replaced, then all canceled and closed.
    """
    client = trading(exchange)
    body = client.post(
        "/orders",
        {"symbol": "BB", "qty": "1", "side": "sell", "type": "limit", "limit_price": "60",
         "time_in_force": "gtc", "client_order_id": "a-b-c"},
    )  # fmt: skip
    assert_valid(TRADING, "/v2/orders", "post", 200, body)
    moved = client.patch(f"/orders/{body['id']}", {"limit_price": "61"})
    assert_valid(TRADING, "/v2/orders/{order_id}", "patch", 200, moved)
    found = client.get(f"/orders/{body['id']}")
    assert_valid(TRADING, "/v2/orders/{order_id}", "get", 200, found)
    rows = client.delete("/orders")
    assert {row["status"] for row in rows} == {200}
    assert_valid(TRADING, "/v2/orders", "delete", 207, rows)
    rows = client.delete("/positions")
    assert len(rows) == 2
    assert_valid(TRADING, "/v2/positions", "delete", 207, rows)


def test_bracket_with_its_legs(exchange: Serving) -> None:
    """Goal: an order with legs is what the document says.
    Method: enter a bracket from flat and validate its answer.
    """
    with serving(day(CLOSES)) as fresh:
        fresh.step_to(FIRST_OPEN + 60)
        body = trading(fresh).post(
            "/orders",
            {"symbol": "AA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
             "order_class": "bracket", "take_profit": {"limit_price": "12"},
             "stop_loss": {"stop_price": "9"}},
        )  # fmt: skip
    assert len(body["legs"]) == 2
    assert_valid(TRADING, "/v2/orders", "post", 200, body)


@pytest.mark.parametrize(
    ("path", "asked", "query"),
    [
        ("/v2/stocks/bars", "/stocks/bars", {"timeframe": "1Min", "start": "2024-01-01"}),
        ("/v2/stocks/bars/latest", "/stocks/bars/latest", {}),
        ("/v2/stocks/snapshots", "/stocks/snapshots", {}),
    ],
)
def test_market_data(exchange: Serving, path: str, asked: str, query: dict[str, Any]) -> None:
    """Goal: market data is what the document says.
    Method: ask through the SDK's generic get and validate the whole body.
    """
    body = history(exchange).get(asked, {"symbols": "AA,BB", **query})
    assert body
    assert_valid(DATA, path, "get", 200, body)
