"""Settings of the outside: the broker, its clock, the embedded exchange, and reconciliation."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator

from algo_trader.config.sections import (
    Flag,
    Number,
    Section,
    Url,
    Whole,
    decimal,
    integer,
    listed,
)
from algo_trader.config.values import word
from algo_trader.engine.listener import ENTRY_LIMIT_CAP_PCT, STOP_PCT
from algo_trader.venue.rules import VenueRules


class BrokerSettings(Section):
    """Where orders go."""

    provider: Annotated[Literal["embedded", "alpaca"], BeforeValidator(word)] = listed(
        "embedded", "The broker: an exchange inside the process that replays bars, or Alpaca."
    )
    paper: Flag = listed(
        True, "Trade Alpaca's paper account; real money wants false here and --live at the start."
    )
    feed: Annotated[Literal["iex", "sip"], BeforeValidator(word)] = listed(
        "iex", "Alpaca's market data: iex is free, sip is every exchange and needs a plan."
    )
    requests_per_minute: Whole = integer(
        200,
        10,
        10_000,
        "Most REST requests a minute, of trading and of data each; a quarter is kept for stops and "
        "questions.",
    )
    entry_limit_cap_pct: Number = decimal(
        ENTRY_LIMIT_CAP_PCT,
        "0.01",
        "5",
        "An entry whose stop price the market has passed is sent as a limit order so far beyond, "
        "in per cent.",
    )
    trading_url: Url = listed("", "Where orders go; http only on this machine.")
    data_url: Url = listed("", "Where past bars come from; http only on this machine.")
    trade_stream_url: Url = listed("", "Where fills are told; ws only on this machine.")
    data_stream_url: Url = listed("", "Where bars are told; ws only on this machine.")


class EmbeddedSettings(Section):
    """The embedded exchange: its account, and how it treats orders; see VenueRules."""

    initial_cash: Number = decimal(
        Decimal(25_000), "100", "1000000000", "Cash the account begins with, in dollars."
    )
    latency_ms: Whole = integer(0, 0, 10_000, "Milliseconds the exchange takes to answer.")
    partial_fill_pct: Whole = integer(
        VenueRules().partial_fill_pct, 0, 100, "Fills that are partial, in per cent."
    )
    refuse_pct: Whole = integer(
        VenueRules().refuse_pct, 0, 100, "New orders that are refused, in per cent."
    )
    seed: Whole = integer(
        VenueRules().seed, 0, 2**31 - 1, "Seed of the dice for partial fills and refusals."
    )


class ClockSettings(Section):
    """What time it is in the market."""

    source: Annotated[Literal["system", "broker"], BeforeValidator(word)] = listed(
        "system", "This machine's clock, or the broker's, for rehearsals of a past session."
    )
    speed: Whole = integer(
        1,
        1,
        1000,
        "How fast the broker's clock runs; other than 1 only against an exchange on this machine.",
    )


class ReconcileSettings(Section):
    """What is done about what the broker has and the ledger has not."""

    stop_pct: Number = decimal(
        STOP_PCT,
        "0.5",
        "20",
        "Distance of the stop of shares that no strategy bought, in per cent of their price.",
    )
