"""What a desk shows has the fields, formats and words of the published schema."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from desk_kit import told

NOT_OURS = {
    "Order": {"ratio_qty"},
    "Account": {"pattern_day_trader", "daytrade_count", "daytrading_buying_power"},
    "AccountConfigurations": {"dtbp_check", "pdt_check"},
    "Position": {"swap_rate", "avg_entry_swap_rate", "prev_swap_rate", "usd"},
    "Assets": {"cusip", "min_order_size", "min_trade_increment", "price_increment"},
    "TradingActivities": set[str](),
}
"""Fields of options, currencies and abolished rules."""


@pytest.fixture
def schemas() -> dict[str, Any]:
    """The published schemas by name."""
    root = os.environ.get("ALGO_REAL_DATA")
    path = Path(root or "", "alpaca", "openapi", "trading-api.json.gz")
    if root is None or not path.exists():
        pytest.skip("ALGO_REAL_DATA has no published schema")
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return dict(found["components"]["schemas"])


def test_everything_shown_has_the_documented_fields(schemas: dict[str, Any]) -> None:
    """Goal: no field is missing, none has another type or word. Method: hold rows of an account in
    the middle of things against the schema, field by field."""
    account = told()
    desk = account.desk
    account.submit("buy", "market")
    stop = account.submit("sell", "stop", lasts="gtc", stop_price="9")
    desk.replace(stop["id"], {"stop_price": "9.5"}, account.now)
    account.play(1, "10 10 9.60 9.60")
    account.desk.cancel_all(account.now)
    account.submit("sell", "trailing_stop", 4, trail_percent="1")
    exits = {"take_profit": {"limit_price": "12"}, "stop_loss": {"stop_price": "9"}}
    account.submit("sell", "limit", 6, lasts="gtc", order_class="oco", **exits)
    shown: dict[str, list[dict[str, Any]]] = {
        "Order": desk.orders(status="all", limit=500, nested=True),
        "Account": [desk.account()],
        "AccountConfigurations": [desk.configurations()],
        "Position": desk.positions(),
        "Assets": desk.assets(),
        "TradingActivities": desk.activities(),
    }
    for name, rows in shown.items():
        assert rows, name
        for row in rows:
            for field, schema in schemas[name]["properties"].items():
                if field not in NOT_OURS[name]:
                    assert field in row, (name, field)
                    require_form(row[field], schema, schemas, f"{name}.{field}")


def require_form(value: Any, schema: dict[str, Any], schemas: dict[str, Any], name: str) -> None:
    """The value is of the schema's type and, if it has words, one of them."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if value is None:
        assert schema.get("nullable"), name
        return
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str,
        "boolean": bool,
        "array": list,
        "integer": int,
        "number": (int, float),
    }
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), name
    if "enum" in schema:
        assert value in schema["enum"], name
