"""Which Alpaca account a start goes on with, and where it may go at all.

Method: data directories with real ledgers of accounts; settings by hand, no connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from algo_trader.cli.alpaca_account import AHEAD_S, account_of, open_ledger
from algo_trader.cli.start_alpaca import where_to
from algo_trader.config import Settings, load_settings
from algo_trader.core.errors import ConfigError, SafetyRefusal
from algo_trader.core.events import AccountPinned
from algo_trader.ledger.ledger import Ledger

NOW = 4_000_000_000
PAPER, OTHER_PAPER, LIVE, OTHER_LIVE = "PA30ABC", "PA30XYZ", "123456789", "987654321"


def know(data_dir: Path, *accounts: str) -> None:
    """Each of the accounts has a ledger here."""
    for account in accounts:
        folder = account_of(data_dir, account, is_new=True)
        open_ledger(folder, NOW)
        with Ledger.open(folder.ledger) as ledger:
            ledger.append((AccountPinned(at=1000, account=account, cash=Decimal(100)),))


@pytest.mark.parametrize(
    ("known", "account"),
    [
        ((), PAPER),
        ((PAPER,), PAPER),
        ((PAPER,), LIVE),
        ((LIVE,), PAPER),
        ((PAPER, LIVE), PAPER),
        ((PAPER, LIVE), LIVE),
        ((PAPER, OTHER_PAPER), PAPER),
        ((PAPER, OTHER_PAPER), OTHER_PAPER),
    ],
)
def test_an_account_that_may_be_gone_on_with(
    tmp_path: Path, known: Sequence[str], account: str
) -> None:
    """Goal: the first of its kind, and any that has a ledger; paper and live side by side."""
    know(tmp_path, *known)
    folder = account_of(tmp_path, account, is_new=False)
    assert folder.path == tmp_path / f"alpaca-{account}"


@pytest.mark.parametrize(
    ("known", "account", "named"),
    [
        ((PAPER,), OTHER_PAPER, PAPER),
        ((LIVE,), OTHER_LIVE, LIVE),
        ((PAPER, LIVE), OTHER_PAPER, PAPER),
        ((PAPER, LIVE), OTHER_LIVE, LIVE),
    ],
)
def test_another_account_is_refused(
    tmp_path: Path, known: Sequence[str], account: str, named: str
) -> None:
    """Goal: a reset paper account does not look like one without positions; --new-account says
    that it is meant, and then it is known. Nothing is made by a refusal.
    """
    know(tmp_path, *known)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SafetyRefusal, match="--new-account") as caught:
        account_of(tmp_path, account, is_new=False)
    assert f"knows the Alpaca account {named}, and the keys answer for {account}" in str(
        caught.value
    )
    assert sorted(tmp_path.iterdir()) == before
    know(tmp_path, account)
    for each in (*known, account):
        assert account_of(tmp_path, each, is_new=False).ledger.exists()


def test_accounts_elsewhere_are_not_asked_about(tmp_path: Path) -> None:
    """Goal: the embedded exchange's accounts, folders without a ledger and a directory that is not
    there yet are in nobody's way.
    """
    assert not account_of(tmp_path / "none", PAPER, is_new=False).path.exists()
    (tmp_path / "embedded-local1").mkdir()
    (tmp_path / "embedded-local1" / "trading.db").write_text("x")
    (tmp_path / f"alpaca-{OTHER_PAPER}").mkdir()
    assert account_of(tmp_path, PAPER, is_new=False).path.name == f"alpaca-{PAPER}"


@pytest.mark.parametrize("account", ["", "../x", "PA/1", "a b", "PA\x00"])
def test_an_account_that_can_be_no_folder(tmp_path: Path, account: str) -> None:
    """Goal: what the broker calls an account cannot lead out of the data directory."""
    with pytest.raises(ConfigError, match="cannot name a folder"):
        account_of(tmp_path, account, is_new=True)


def test_its_ledger_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Goal: made once, safe to repeat, no backup of what is new; overrides come back."""
    folder = account_of(tmp_path / "deep", PAPER, is_new=False)
    assert open_ledger(folder, NOW) == ({}, None)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    with Ledger.open(folder.ledger) as ledger:
        ledger.override("risk.max_open_positions", "3")
    assert open_ledger(folder, NOW) == ({"risk.max_open_positions": "3"}, None)


def test_a_ledger_does_not_go_back_in_time(tmp_path: Path) -> None:
    """Goal: an exchange that replays the past once more is refused, with its remedy; a clock that
    is read a little off is not. Method: a ledger whose last fact is of second 1000.
    """
    know(tmp_path, PAPER)
    folder = account_of(tmp_path, PAPER, is_new=False)
    open_ledger(folder, 1000 - AHEAD_S)
    with pytest.raises(SafetyRefusal, match=r"--data-dir of its own"):
        open_ledger(folder, 1000 - AHEAD_S - 1)


def test_a_new_account_is_new(tmp_path: Path) -> None:
    """Goal: --new-account never quietly goes on with a ledger that is there."""
    know(tmp_path, PAPER)
    with pytest.raises(SafetyRefusal, match="knows the Alpaca account PA30ABC already"):
        account_of(tmp_path, PAPER, is_new=True)


# -- where to --


def settings(**given: str) -> Settings:
    """Settings of which only these are set."""
    environ = {f"ALGO_{name.upper()}": value for name, value in given.items()}
    return load_settings(env_file=Path("/dev/null"), environ=environ).settings


LOOPBACK = {
    "broker__trading_url": "http://127.0.0.1:9001",
    "broker__data_url": "http://localhost:9002",
    "broker__trade_stream_url": "ws://[::1]:9003/stream",
    "broker__data_stream_url": "ws://127.0.0.1:9004/v2/iex",
}


def test_paper_is_where_a_start_goes_by_itself() -> None:
    """Goal: without a word it is paper, at Alpaca's own URLs, with the free feed."""
    where = where_to(settings(), is_live=False)
    assert where.trading == "https://paper-api.alpaca.markets"
    assert where.trade_stream == "wss://paper-api.alpaca.markets/stream"
    assert where.data_stream.endswith("/v2/iex")
    assert where_to(settings(broker__feed="sip"), is_live=False).data_stream.endswith("/v2/sip")


def test_real_money_is_wanted_twice() -> None:
    """Goal: neither the setting nor the option alone trades real money; both together do."""
    with pytest.raises(SafetyRefusal, match=r"broker\.paper=false as well"):
        where_to(settings(), is_live=True)
    with pytest.raises(SafetyRefusal, match="add --live"):
        where_to(settings(broker__paper="false"), is_live=False)
    where = where_to(settings(broker__paper="false"), is_live=True)
    assert (where.trading, where.trade_stream) == (
        "https://api.alpaca.markets",
        "wss://api.alpaca.markets/stream",
    )


@pytest.mark.parametrize(
    ("given", "is_live"),
    [
        ({"broker__trading_url": "https://api.alpaca.markets"}, False),
        ({"broker__trading_url": "https://API.alpaca.markets/"}, False),
        ({"broker__trade_stream_url": "wss://api.alpaca.markets/stream"}, False),
        (
            {"broker__paper": "false", "broker__trading_url": "https://paper-api.alpaca.markets"},
            True,
        ),
        ({"broker__paper": "false"} | LOOPBACK, True),
        ({"broker__paper": "false"} | LOOPBACK, False),
        (
            {
                "broker__trading_url": "http://127.0.0.1:1",
                "broker__trade_stream_url": "wss://x.y/s",
            },
            False,
        ),
    ],
)
def test_urls_that_do_not_agree(given: dict[str, str], is_live: bool) -> None:
    """Goal: paper settings never lead to real money, nor live ones to a rehearsal."""
    with pytest.raises(SafetyRefusal):
        where_to(settings(**given), is_live=is_live)


@pytest.mark.parametrize(
    "url", ["http://paper-api.alpaca.markets", "http://192.168.1.2:9001", "http://127.0.0.1.nip.io"]
)
def test_plain_text_stays_on_this_machine(url: str) -> None:
    """Goal: keys never travel in the clear."""
    with pytest.raises(ConfigError, match="loopback"):
        where_to(settings(broker__trading_url=url), is_live=False)


@pytest.mark.parametrize(
    ("given", "is_allowed"),
    [
        ({"clock__speed": "60", "clock__source": "broker"} | LOOPBACK, True),
        ({"clock__speed": "1", "clock__source": "broker"}, True),
        ({"clock__speed": "1"} | LOOPBACK, True),
        ({"clock__speed": "60"} | LOOPBACK, False),
        ({"clock__speed": "60", "clock__source": "broker"}, False),
        (
            {"clock__speed": "60", "clock__source": "broker"}
            | {key: url for key, url in LOOPBACK.items() if key != "broker__data_url"},
            False,
        ),
        (
            {"clock__speed": "60", "clock__source": "broker"}
            | {key: url for key, url in LOOPBACK.items() if key == "broker__data_url"},
            False,
        ),
    ],
)
def test_only_a_rehearsal_runs_faster(given: dict[str, str], is_allowed: bool) -> None:
    """Goal: another speed needs the broker's clock and all four URLs on this machine."""
    if is_allowed:
        where_to(settings(**given), is_live=False)
        return
    with pytest.raises(ConfigError, match=r"^clock\.speed"):
        where_to(settings(**given), is_live=False)
