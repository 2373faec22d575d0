"""The table of regulatory fees that comes with the program, read for the venue.

Rates, dates and where each was found stand in venue/regulatory_fees.csv and nowhere else: a new
rate is a new row. A date becomes its midnight UTC, since a session's regular hours lie within the
UTC day of its date.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources

from algo_trader.config.values import number
from algo_trader.core.errors import ConfigError, DataError
from algo_trader.core.types import Instant, Session, utc
from algo_trader.venue.costs import Costs, FeeSchedule, SecRate, TafRate

PACKAGE = "algo_trader.venue"
TABLE = "regulatory_fees.csv"
COLUMNS = ["fee", "effective_from", "per_million_dollars", "per_share", "cap_dollars", "source"]


@cache
def fee_schedule() -> FeeSchedule:
    """The rates of the shipped table; DataError names the file and line of what is wrong in it."""
    return parse_fees(resources.files(PACKAGE).joinpath(TABLE).read_text(encoding="utf-8"))


def parse_fees(content: str) -> FeeSchedule:
    """The rates in a table of these columns, ascending by date within each fee."""
    rows = csv.reader(content.splitlines())
    if next(rows, None) != COLUMNS:
        raise DataError(f"{TABLE} line 1: the columns must be {','.join(COLUMNS)}")
    sec: list[SecRate] = []
    taf: list[TafRate] = []
    for line, row in enumerate(rows, start=2):
        try:
            fee, day, per_million, per_share, cap, source = row
            if not source:
                raise ValueError("a rate without a source")
            match fee, per_million, per_share, cap:
                case "sec", rate, "", "":
                    sec.append(SecRate(_midnight(day), _dollars(rate)))
                case "taf", "", rate, most:
                    taf.append(TafRate(_midnight(day), _dollars(rate), _dollars(most)))
                case _:
                    raise ValueError(f"neither a sec nor a taf row: {fee!r}")
        except ValueError as error:
            raise DataError(f"{TABLE} line {line}: {error}") from None
    try:
        return FeeSchedule(sec=tuple(sec), taf=tuple(taf))
    except ValueError as error:
        raise DataError(f"{TABLE}: {error}") from None


def require_fees(costs: Costs, first: Session) -> None:
    """ConfigError if a run with regulatory fees begins before the table does.

    To charge the earliest rate instead would be a guess, and a guess about money is worse.
    """
    fees = costs.fees
    if fees is not None and first.opens_at < fees.starts_at:
        known = utc(fees.starts_at).date()
        raise ConfigError(
            f"costs.regulatory_fees is true, but the fees are known only from {known} on and the "
            f"first session of this run is {first.date}: begin with --from {known}, or set "
            "costs.regulatory_fees=false"
        )


def _midnight(day: str) -> Instant:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp())


def _dollars(text: str) -> Decimal:
    value = number(text)
    if value < 0:
        raise ValueError(f"{text} is below zero")
    return value
