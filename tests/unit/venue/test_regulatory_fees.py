"""The SEC's and FINRA's fees on sells: rates by date, rounding, cap, and the table they come from.

Goal: a sale pays the rates of its own day, never a guess, and nothing else pays anything. Method:
amounts worked by hand from the rates as they were announced, on the last day of one rate and the
first of the next; the table is read as a file, and once broken in each way it can be.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

from algo_trader.cli.main import run
from algo_trader.config import Settings, load_settings, require_fees
from algo_trader.config.fees import COLUMNS, fee_schedule, parse_fees
from algo_trader.core.errors import ConfigError, CoreError, DataError
from algo_trader.core.events import OrderFilled, OrderRequest
from algo_trader.core.types import (
    ZERO,
    Action,
    Bar,
    ClientOrderId,
    Instant,
    OrderType,
    Session,
    TimeInForce,
)
from algo_trader.venue.costs import Costs, FeeSchedule, SecRate, TafRate
from algo_trader.venue.venue import Venue

TABLE = resources.files("algo_trader.venue").joinpath("regulatory_fees.csv").read_text()
ROWS = list(csv.DictReader(TABLE.splitlines()))
BUY, SELL = Action.BUY, Action.SELL
NO_TAF = (TafRate(0, ZERO, ZERO),)
NO_SEC = (SecRate(0, ZERO),)


def at(day: str, hour: int = 14, minute: int = 30) -> Instant:
    """An instant of that day, by default the open of a summer's session plus an hour."""
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()) + (
        hour * 3600 + minute * 60
    )


def session(day: str) -> Session:
    return Session(date.fromisoformat(day), at(day, 14, 30), at(day, 21, 0))


def charged(action: Action, qty: str, price: str, day: str) -> Decimal:
    """The fees alone, at the rates of the table."""
    costs = Costs(fees=fee_schedule())
    return costs.commission(action, Decimal(qty), Decimal(price), at(day))


# -- rates --


# Fees on one share at a million dollars: the SEC's rate itself and a cent of FINRA's.
@pytest.mark.parametrize(
    ("first", "before", "after"),
    [
        ("2018-05-22", "23.10", "13.00"),
        ("2019-04-16", "13.00", "20.70"),
        ("2020-02-18", "20.70", "22.10"),
        ("2021-02-25", "22.10", "5.10"),
        ("2022-05-14", "5.10", "22.90"),
        ("2023-02-27", "22.90", "8.00"),
        ("2024-05-22", "8.00", "27.80"),
        ("2025-05-14", "27.80", "0"),
        ("2026-04-04", "0", "20.60"),
    ],
)
def test_sec_rate_on_both_sides_of_its_date(first: str, before: str, after: str) -> None:
    eve = (date.fromisoformat(first) - timedelta(days=1)).isoformat()
    cent = Decimal("0.01")
    assert charged(SELL, "1", "1000000", eve) == Decimal(before) + cent
    assert charged(SELL, "1", "1000000", first) == Decimal(after) + cent


# Fees on 10,000 shares at a price of nothing: FINRA's alone, before its cap.
@pytest.mark.parametrize(
    ("first", "before", "after"),
    [
        ("2011-07-01", "0.75", "0.90"),
        ("2012-03-01", "0.90", "0.95"),
        ("2012-07-01", "0.95", "1.19"),
        ("2022-01-01", "1.19", "1.30"),
        ("2023-01-01", "1.30", "1.45"),
        ("2024-01-01", "1.45", "1.66"),
        ("2026-01-01", "1.66", "1.95"),
        ("2026-10-01", "1.95", "0"),
        ("2027-01-01", "0", "1.95"),
    ],
)
def test_taf_rate_on_both_sides_of_its_date(first: str, before: str, after: str) -> None:
    eve = (date.fromisoformat(first) - timedelta(days=1)).isoformat()
    assert charged(SELL, "10000", "0", eve) == Decimal(before)
    assert charged(SELL, "10000", "0", first) == Decimal(after)


@pytest.mark.parametrize(
    ("day", "cap"),
    [
        ("2021-06-01", "5.95"),
        ("2022-06-01", "6.49"),
        ("2023-06-01", "7.27"),
        ("2025-06-02", "8.30"),
        ("2026-06-01", "9.79"),
        ("2026-11-02", "0"),
    ],
)
def test_taf_is_capped(day: str, cap: str) -> None:
    assert charged(SELL, "1000000", "0", day) == Decimal(cap)
    assert charged(SELL, "2000000", "0", day) == Decimal(cap)


def test_a_rate_holds_from_the_first_to_the_last_minute_of_its_days() -> None:
    fees = fee_schedule()
    open_and_close = [at("2024-05-22", 13, 30), at("2024-05-22", 19, 59)]
    eve = [at("2024-05-21", 13, 30), at("2024-05-21", 19, 59)]
    million, one = Decimal(1_000_000), Decimal(1)
    assert {fees.on_sale(one, million, minute) for minute in open_and_close} == {Decimal("27.81")}
    assert {fees.on_sale(one, million, minute) for minute in eve} == {Decimal("8.01")}


# -- rounding --


@pytest.mark.parametrize(
    ("qty", "price", "fees"),
    [
        ("100", "50", "0.14"),  # 5,000 x 27.80 / 1e6 = 0.139
        ("1", "0.01", "0.01"),  # any sale costs a cent
        ("1000", "100", "2.78"),  # exact: not a cent more
        ("1000", "100.01", "2.79"),  # 2.780278
    ],
)
def test_sec_fee_is_rounded_up_to_the_cent(qty: str, price: str, fees: str) -> None:
    schedule = FeeSchedule(sec=(SecRate(0, Decimal("27.80")),), taf=NO_TAF)
    assert schedule.on_sale(Decimal(qty), Decimal(price), 0) == Decimal(fees)


@pytest.mark.parametrize(
    ("qty", "fees"), [("1", "0.01"), ("60", "0.01"), ("61", "0.02"), ("500000", "8.30")]
)
def test_taf_is_rounded_up_to_the_cent(qty: str, fees: str) -> None:
    schedule = FeeSchedule(sec=NO_SEC, taf=(TafRate(0, Decimal("0.000166"), Decimal("8.30")),))
    assert schedule.on_sale(Decimal(qty), Decimal(50), 0) == Decimal(fees)


def test_each_fee_is_rounded_by_itself() -> None:
    # 10 shares at 50 in 2024: 0.0139 -> 0.02 and 0.00166 -> 0.01; together 0.01556 would be 0.02.
    assert charged(SELL, "10", "50", "2024-06-03") == Decimal("0.03")


# -- who pays --


def test_buys_pay_no_fee() -> None:
    assert charged(BUY, "10000", "500", "2024-06-03") == 0


def test_fees_come_on_top_of_the_commission() -> None:
    costs = Costs(
        commission_per_share=Decimal("0.005"),
        commission_per_order=Decimal(1),
        fees=fee_schedule(),
    )
    hundred, fifty, day = Decimal(100), Decimal(50), at("2024-06-03")
    assert costs.commission(BUY, hundred, fifty, day) == Decimal("1.50")
    assert costs.commission(SELL, hundred, fifty, day) == Decimal("1.66")


def test_off_by_default() -> None:
    assert Costs().fees is None
    assert Settings().cost_model().fees is None
    assert Costs().commission(SELL, Decimal(100), Decimal(50), at("1990-01-02")) == 0


def test_the_setting_turns_them_on() -> None:
    settings = load_settings(
        env_file=Path("/dev/null"), environ={}, overrides=["regulatory_fees=true"]
    ).settings
    assert settings.cost_model() == Costs(fees=fee_schedule())
    assert settings.effective()["costs"]["regulatory_fees"] is True


def sell_short(costs: Costs) -> tuple[Venue, OrderFilled]:
    """A venue on which 100 shares were sold short at 50, and the fill."""
    venue = Venue(Decimal(100_000), costs)
    price = Decimal(50)
    venue.match(Bar("ABC", at("2024-06-03"), price, price, price, price, Decimal(1)))
    request = OrderRequest(
        order_id=ClientOrderId("A-1"),
        symbol="ABC",
        action=SELL,
        type=OrderType.MARKET,
        qty=Decimal(100),
        time_in_force=TimeInForce.DAY,
    )
    reports = venue.submit(request, at("2024-06-03") + 60)
    fill = reports[-1]
    assert isinstance(fill, OrderFilled)
    return venue, fill


def test_a_short_entry_pays_them_and_cash_knows() -> None:
    venue, fill = sell_short(Costs(fees=fee_schedule()))
    # 5,000 x 27.80 / 1e6 = 0.139 -> 0.14, and 100 x 0.000166 = 0.0166 -> 0.02.
    assert fill.commission == Decimal("0.16")
    assert venue.account.cash == Decimal("104999.84")
    venue, fill = sell_short(Costs())
    assert fill.commission == 0
    assert venue.account.cash == 105_000


# -- before the table --


def test_a_run_that_begins_before_the_table_is_refused() -> None:
    costs = Costs(fees=fee_schedule())
    require_fees(costs, session("2011-01-21"))
    require_fees(Costs(), session("1999-01-04"))
    with pytest.raises(ConfigError) as refused:
        require_fees(costs, session("2011-01-20"))
    for told in ("2011-01-21", "2011-01-20", "--from", "costs.regulatory_fees=false"):
        assert told in str(refused.value)


def test_the_table_begins_where_both_fees_are_known() -> None:
    late = FeeSchedule(sec=(SecRate(100, ZERO),), taf=(TafRate(200, ZERO, ZERO),))
    assert late.starts_at == 200
    with pytest.raises(CoreError, match="before the first"):
        late.on_sale(Decimal(1), Decimal(1), 199)


def test_backtest_refuses_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Goal: the command asks before it runs. Method: two sessions, one before the table."""
    header = "timestamp,symbol,open,high,low,close,volume\n"
    day = "{}T15:30:00Z,ABC,10.00,10.10,9.90,10.05,100\n"
    bars = tmp_path / "bars.csv"
    bars.write_text(header + day.format("2011-01-20") + day.format("2011-01-21"))
    decisions = tmp_path / "why.jsonl"
    words = ["--data-dir", str(tmp_path / "data"), "backtest", "ABC", "--bars", str(bars)]
    words += ["--decisions", str(decisions)]
    fees = ["--set", "regulatory_fees=true"]
    assert run([*words, *fees]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "2011-01-20" in told.err
    assert not decisions.exists()
    assert run([*words, *fees, "--from", "2011-01-21"]) == 0
    assert run([*words, "--json"]) == 0


# -- the table --


def test_every_row_is_a_dated_rate_with_a_source() -> None:
    assert list(ROWS[0]) == COLUMNS
    for row in ROWS:
        date.fromisoformat(row["effective_from"])
        assert row["source"] == row["source"].strip() != ""
        assert "http" not in row["source"]
        filled = [bool(row[name]) for name in COLUMNS[2:5]]
        assert filled == [row["fee"] == "sec", row["fee"] == "taf", row["fee"] == "taf"]


def test_rows_are_sorted_and_no_date_stands_twice() -> None:
    by_fee: defaultdict[str, list[str]] = defaultdict(list)
    for row in ROWS:
        by_fee[row["fee"]].append(row["effective_from"])
    assert [row["fee"] for row in ROWS] == sorted(row["fee"] for row in ROWS)
    assert set(by_fee) == {"sec", "taf"}
    for days in by_fee.values():
        assert all(earlier < later for earlier, later in pairwise(days))


def test_rates_are_of_the_size_these_fees_have_had() -> None:
    """Goal: no slipped decimal point. Method: FINRA's cap is its rate on 50,000 shares or so."""
    for row in ROWS:
        if row["fee"] == "sec":
            assert 0 <= Decimal(row["per_million_dollars"]) <= 50
        else:
            rate, cap = Decimal(row["per_share"]), Decimal(row["cap_dollars"])
            assert 0 <= rate < Decimal("0.001")
            assert abs(cap - 50_000 * rate) <= Decimal("0.05")


SEC_ROW, TAF_ROW = "sec,2020-01-01,22.10,,,A", "taf,2020-01-01,,0.000119,5.95,B"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "sec are none"),
        ((SEC_ROW,), "taf are none"),
        ((SEC_ROW, TAF_ROW, SEC_ROW), "sec are none, or not ascending"),
        ((SEC_ROW, "taf,2020-01-01,,0.000119,,B"), "line 3: not a plain decimal"),
        ((SEC_ROW, "taf,2020-13-01,,0.000119,5.95,B"), "line 3: "),
        (("sec,2020-01-01,-1,,,A",), "line 2: -1 is below zero"),
        (("sec,2020-01-01,1e3,,,A",), "line 2: not a plain decimal"),
        (("sec,2020-01-01,22.10,,,",), "line 2: a rate without a source"),
        (("sec,2020-01-01,22.10,1,,A",), "line 2: neither a sec nor a taf row: 'sec'"),
        (("cat,2020-01-01,22.10,,,A",), "line 2: neither a sec nor a taf row: 'cat'"),
        (("sec,2020-01-01,22.10,A",), "line 2: "),
    ],
)
def test_a_broken_table_is_named_with_its_line(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_fees("\n".join([",".join(COLUMNS), *rows]))
    assert str(caught.value).startswith("regulatory_fees.csv")
    assert message in str(caught.value)


def test_columns_of_a_table_are_checked() -> None:
    with pytest.raises(DataError, match="line 1: the columns must be fee,effective_from"):
        parse_fees(TABLE.replace("cap_dollars", "cap"))
    with pytest.raises(DataError, match="line 1"):
        parse_fees("")
