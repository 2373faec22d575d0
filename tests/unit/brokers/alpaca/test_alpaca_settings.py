"""Where Alpaca is, whose keys fit, how much may be asked, and what time it is there."""

from __future__ import annotations

import asyncio

import pytest
from rest_kit import NOW, Naps

from algo_trader.brokers.alpaca.budget import RateBudget, Urgency
from algo_trader.brokers.alpaca.clock import ClockSource, SteeredClock
from algo_trader.brokers.alpaca.endpoints import check_keys, endpoints
from algo_trader.brokers.alpaca.errors import Throttled
from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.core.errors import ConfigError, KeysRefused, SafetyRefusal, Unavailable


def test_alpacas_own_endpoints() -> None:
    """Goal: paper and live have hosts of their own, the data has not; the feed is in its stream."""
    paper = endpoints()
    assert paper == (
        "https://paper-api.alpaca.markets",
        "https://data.alpaca.markets",
        "wss://paper-api.alpaca.markets/stream",
        "wss://stream.data.alpaca.markets/v2/iex",
    )
    live = endpoints(paper=False, feed="sip")
    assert live.trading == "https://api.alpaca.markets"
    assert live.trade_stream == "wss://api.alpaca.markets/stream"
    assert live.data_stream.endswith("/v2/sip")
    assert not paper.is_loopback


def test_a_rest_url_brings_its_stream() -> None:
    """Goal: with a REST URL alone orders and their stream, bars and theirs, stay together."""
    made = endpoints(trading_url="http://127.0.0.1:8100/", data_url="http://localhost:8100")
    assert made == (
        "http://127.0.0.1:8100",
        "http://localhost:8100",
        "ws://127.0.0.1:8100/stream",
        "ws://localhost:8100/v2/iex",
    )
    assert made.is_loopback
    assert made.is_all_loopback
    assert not endpoints(trading_url="http://[::1]:1").is_all_loopback


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("trading_url", "http://paper-api.alpaca.markets"),
        ("trading_url", "http://127.0.0.1.example.com"),
        ("trading_url", "http://192.168.0.1:80"),
        ("trading_url", "ftp://127.0.0.1"),
        ("trading_url", "paper-api.alpaca.markets"),
        ("trading_url", "https://"),
        ("trading_url", "https://user:word@paper-api.alpaca.markets"),
        ("trading_url", "https://paper-api.alpaca.markets?x=1"),
        ("trading_url", "https://paper-api.alpaca.markets:99999"),
        ("trading_url", "https://[half"),
        ("data_url", "http://data.alpaca.markets"),
        ("data_url", "https://data.alpaca.markets /"),
        ("trade_stream_url", "https://paper-api.alpaca.markets/stream"),
        ("trade_stream_url", "ws://paper-api.alpaca.markets/stream"),
        ("data_stream_url", "ws://stream.data.alpaca.markets/v2/iex"),
    ],
)
def test_an_url_that_cannot_be_used(name: str, url: str) -> None:
    """Goal: keys are never sent in the clear but to this machine, and the setting is named."""
    with pytest.raises(ConfigError, match=f"broker.{name}") as caught:
        endpoints(**{name: url})  # type: ignore[arg-type]  # fields by name
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {"paper": True, "trading_url": "https://api.alpaca.markets"},
        {"paper": False, "trading_url": "https://paper-api.alpaca.markets"},
        {"paper": False, "trade_stream_url": "wss://paper-api.alpaca.markets/stream"},
        {"paper": False, "trading_url": "http://127.0.0.1:1"},
        {"trade_stream_url": "ws://127.0.0.1:1/stream"},
        {
            "trading_url": "http://127.0.0.1:1",
            "trade_stream_url": "wss://paper-api.alpaca.markets/stream",
        },
    ],
)
def test_accounts_are_not_mixed(more: dict[str, object]) -> None:
    """Goal: paper and live, orders and their stream, cannot be of two different accounts."""
    with pytest.raises(SafetyRefusal, match=r"broker\."):
        endpoints(**more)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("key", "paper", "outcome"),
    [
        ("PKABC", True, "fits"),
        ("AKABC", True, "refused"),
        ("XXABC", True, "warned"),
        ("AKABC", False, "fits"),
        ("PKABC", False, "refused"),
        ("XXABC", False, "refused"),
    ],
)
def test_keys_fit_the_account(key: str, paper: bool, outcome: str) -> None:
    """Goal: a key whose prefix is the other kind's is refused, an unknown one never trades live.
    On loopback any key goes. No text shows the key.
    """
    keys = Keys(key, "secret")
    where = endpoints(paper=paper)
    if outcome == "refused":
        with pytest.raises(SafetyRefusal, match="ALGO_BROKER_API_KEY") as caught:
            check_keys(keys, where, paper=paper)
        assert key not in str(caught.value)
    else:
        warning = check_keys(keys, where, paper=paper)
        assert (warning is not None) is (outcome == "warned")
    assert check_keys(keys, endpoints(trading_url="http://127.0.0.1:1"), paper=True) is None


class Budget:
    """A budget of 20 a minute on a clock that moves by sleeping."""

    def __init__(self, speed: int = 1) -> None:
        self.naps = Naps()
        self.extra_s = 0.0
        self.made = RateBudget(20, speed, clock=self.now, sleep=self.naps)

    def now(self) -> float:
        """Seconds."""
        return self.extra_s + sum(self.naps.taken)

    def take(self, urgency: Urgency, most_s: float = 0.0) -> None:
        """Take one."""
        asyncio.run(self.made.take(urgency, most_s))

    def free(self, urgency: Urgency) -> int:
        """How many can be taken without waiting."""
        count = 0
        while True:
            try:
                self.take(urgency)
            except Throttled:
                return count
            count += 1


def test_no_minute_holds_more_than_the_limit() -> None:
    """Goal: in any minute there are at most as many requests as the limit says.

    Method: as many as possible for ten minutes, every window of a minute is counted.
    """
    budget = Budget()
    sent: list[float] = []
    while budget.now() < 600:
        budget.take(Urgency.PROTECTIVE, 100)
        sent.append(budget.now())
        budget.extra_s += 0.7 if len(sent) % 3 else 0
    assert max(sum(at <= other < at + 60 for other in sent) for at in sent) == 20
    assert len(sent) >= 200


def test_what_protects_finds_requests_left() -> None:
    """Goal: entries and background work leave a share that look-ups may use, and those one for
    protective orders; after a minute all is free again.
    """
    budget = Budget()
    shares = [budget.free(urgency) for urgency in reversed(Urgency)]
    assert shares == [12, 3, 4, 1]
    budget.extra_s += 61
    assert budget.free(Urgency.ENTRY) == 15


def test_a_pause_holds_for_all() -> None:
    """Goal: a pause the broker wants stops every urgency; who cannot wait so long is told.

    Method: a pause of five seconds, one caller with patience, one without; a faster exchange.
    """
    budget = Budget()
    budget.made.pause(5)
    with pytest.raises(Throttled):
        budget.take(Urgency.PROTECTIVE, 4)
    budget.take(Urgency.PROTECTIVE, 6)
    assert budget.naps.taken == [5]
    fast = Budget(speed=60)
    assert fast.free(Urgency.PROTECTIVE) == 20
    fast.extra_s += 1.01
    assert fast.free(Urgency.PROTECTIVE) == 20


def test_refused_keys_are_probed_now_and_then() -> None:
    """Goal: while the keys are refused one request leaves every few seconds, the protective ones
    first; who cannot wait hears why. Once they are accepted nothing waits.

    Method: two protective requests and one of each other kind at once, on a clock by hand.
    """
    budget = Budget()
    left: list[tuple[Urgency, float]] = []

    async def ask(urgency: Urgency, most_s: float) -> None:
        await budget.made.take(urgency, most_s)
        left.append((urgency, budget.now()))

    async def sleep(seconds: float) -> None:
        """Until the clock has come so far; who wakes first moves it."""
        wanted = budget.now() + seconds
        waiting.append(wanted)
        while budget.now() < wanted:
            await asyncio.sleep(0)
            if min(waiting) == wanted:
                budget.extra_s = max(budget.extra_s, wanted)
        waiting.remove(wanted)

    async def all_ask() -> list[BaseException | None]:
        asked = [ask(urgency, 8) for urgency in reversed(Urgency)]
        return await asyncio.gather(*asked, ask(Urgency.PROTECTIVE, 8), return_exceptions=True)

    waiting: list[float] = []
    budget.made = RateBudget(20, clock=budget.now, sleep=sleep)
    budget.made.refuse("no such keys")
    with pytest.raises(KeysRefused, match="no such keys"):
        budget.take(Urgency.PROTECTIVE, 2)
    outcomes = asyncio.run(all_ask())
    assert left == [(Urgency.PROTECTIVE, 3.0), (Urgency.PROTECTIVE, 6.0)]
    assert [str(each) for each in outcomes if each is not None] == ["no such keys"] * 3
    budget.made.accept()
    assert budget.free(Urgency.ENTRY) == 13


class Times:
    """A system clock and a monotonic one, moved by hand."""

    def __init__(self, source: ClockSource, speed: int = 1) -> None:
        self.system = float(NOW)
        self.monotonic = 100.0
        self.clock = SteeredClock(
            source, speed, system=lambda: self.system, monotonic=lambda: self.monotonic
        )

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.system += seconds
        self.monotonic += seconds


def test_the_systems_time() -> None:
    """Goal: with the source "system" time is this machine's, and the skew the broker's at the
    middle of the question, measured late or not; a slow answer measures nothing.
    """
    times = Times(ClockSource.SYSTEM)
    assert times.clock.now() == NOW
    assert times.clock.skew_s is None
    times.clock.steer(NOW + 3.5, 99.0, 100.0)
    assert times.clock.skew_s == 4.0
    times.go(50)
    times.clock.steer(NOW + 3.5, 99.0, 100.0)
    assert times.clock.skew_s == 4.0
    times.clock.steer(NOW, 140.0, 150.0)
    assert times.clock.skew_s == 4.0
    assert times.clock.now() == NOW + 50
    times.system -= 20
    assert times.clock.now() == NOW + 50


def test_time_that_stands_still_is_a_skew() -> None:
    """Goal: after this machine's clock was an hour ahead and is right again, market time stands
    still, which is seen as an hour of skew and less and less of it.
    """
    times = Times(ClockSource.SYSTEM)
    times.system += 3600
    assert times.clock.now() == NOW + 3600
    times.system -= 3600
    times.clock.steer(NOW, 100.0, 100.0)
    assert times.clock.skew_s == -3600.0
    times.go(1800)
    times.clock.steer(NOW + 1800, 1900.0, 1900.0)
    assert times.clock.skew_s == -1800.0
    times.go(1800)
    times.clock.steer(NOW + 3600, 3700.0, 3700.0)
    assert times.clock.skew_s == 0.0


def test_the_brokers_time() -> None:
    """Goal: with the source "broker" time runs from the last reading at its speed, jumps ahead with
    it, and stands still rather than going back.
    """
    times = Times(ClockSource.BROKER, 60)
    with pytest.raises(Unavailable):
        times.clock.now()
    times.clock.steer(1000.0, 99.0, 100.0)
    assert times.clock.precise() == 1030.0
    times.go(1)
    assert times.clock.now() == 1090
    times.clock.steer(1050.0, 101.0, 101.0)
    assert times.clock.precise() == 1090.0
    times.go(1)
    assert times.clock.precise() == 1110.0
    times.clock.steer(90_000.0, 102.0, 102.0)
    assert times.clock.now() == 90_000
