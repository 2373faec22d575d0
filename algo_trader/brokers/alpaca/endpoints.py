"""Where Alpaca is reached: four URLs that must agree with each other and with the keys.

Keys never travel in the clear: plain http and ws are for this machine's loopback alone. A trading
URL brings its own trade stream, for orders of one account and fills of another would be worse than
either; the same holds for the data.

Alpaca's paper keys begin with PK, live ones with AK. With URLs at Alpaca a known prefix must agree
with what is to be traded; one that is not known is let through on paper with a warning, for the
worst that can happen is that it is refused, and never for live trading. On loopback any key goes.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from algo_trader.brokers.alpaca.keys import Keys
from algo_trader.core.errors import ConfigError, SafetyRefusal

PAPER_HOST = "paper-api.alpaca.markets"
LIVE_HOST = "api.alpaca.markets"
DATA_URL = "https://data.alpaca.markets"
DATA_STREAM_HOST = "stream.data.alpaca.markets"
PAPER_PREFIX, LIVE_PREFIX = "PK", "AK"


class Endpoints(NamedTuple):
    """Base URLs of the two REST APIs and whole URLs of the two streams, no slash at the end."""

    trading: str
    data: str
    trade_stream: str
    data_stream: str

    @property
    def is_loopback(self) -> bool:
        """Whether orders go to this machine, where no money is."""
        return _is_loopback(urlsplit(self.trading))

    @property
    def is_all_loopback(self) -> bool:
        """Whether all four are on this machine."""
        return all(_is_loopback(urlsplit(url)) for url in self)


def endpoints(
    *,
    paper: bool = True,
    feed: str = "iex",
    trading_url: str | None = None,
    data_url: str | None = None,
    trade_stream_url: str | None = None,
    data_stream_url: str | None = None,
) -> Endpoints:
    """The four URLs; those not given are Alpaca's own, a stream's beside the REST URL given.

    ConfigError names the setting that cannot be used; SafetyRefusal if paper and live are mixed.
    """
    host = PAPER_HOST if paper else LIVE_HOST
    trading = _checked("broker.trading_url", trading_url or f"https://{host}", "http")
    trade_stream = _checked(
        "broker.trade_stream_url", trade_stream_url or f"{_as_stream(trading)}/stream", "ws"
    )
    data = _checked("broker.data_url", data_url or DATA_URL, "http")
    base = f"wss://{DATA_STREAM_HOST}" if data == DATA_URL else _as_stream(data)
    data_stream = _checked(
        "broker.data_stream_url", data_stream_url or f"{base}/v2/{feed}", "ws"
    )
    made = Endpoints(trading, data, trade_stream, data_stream)
    _require_agreement(made, paper)
    return made


def check_keys(keys: Keys, where: Endpoints, *, paper: bool) -> str | None:
    """A warning about keys that may be the wrong ones, or None; SafetyRefusal if they surely are.
    """
    if where.is_loopback:
        return None
    prefix = keys.key_id[:2]
    wanted, other = (PAPER_PREFIX, LIVE_PREFIX) if paper else (LIVE_PREFIX, PAPER_PREFIX)
    if prefix == wanted:
        return None
    kind = "paper" if paper else "live"
    if prefix == other or not paper:
        raise SafetyRefusal(
            f"ALGO_BROKER_API_KEY is no key for {kind} trading, those begin with {wanted}: "
            f"put the {kind} account's keys into .env, or change broker.paper"
        )
    return f"ALGO_BROKER_API_KEY does not begin with {wanted} as Alpaca's {kind} keys do"


def _require_agreement(made: Endpoints, paper: bool) -> None:
    trading, stream = urlsplit(made.trading), urlsplit(made.trade_stream)
    wrong, kind = (LIVE_HOST, "true") if paper else (PAPER_HOST, "false")
    for name, url in (("broker.trading_url", trading), ("broker.trade_stream_url", stream)):
        if url.hostname == wrong:
            raise SafetyRefusal(
                f"{name}: {wrong} does not go with broker.paper={kind}: change one of the two"
            )
    if not paper and _is_loopback(trading):
        raise SafetyRefusal(
            "broker.trading_url: there is no live trading on loopback: leave broker.paper=true"
        )
    if _is_loopback(trading) != _is_loopback(stream):
        raise SafetyRefusal(
            "broker.trade_stream_url: must be the same side as broker.trading_url, "
            "on loopback both or neither: leave it unset to have it follow"
        )


def _checked(name: str, url: str, scheme: str) -> str:
    """The URL without slashes at its end; ConfigError with the setting's name if it is none."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{name}: this is not a URL: give {scheme}s://HOST[:PORT]") from None
    if parts.scheme not in (scheme, f"{scheme}s") or not host:
        raise ConfigError(f"{name}: give a URL that begins with {scheme}s:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{name}: no user or password in the URL: keys have their own settings")
    if parts.query or parts.fragment or not (url.isascii() and url.isprintable()) or " " in url:
        raise ConfigError(f"{name}: only scheme, host, port and path: take the rest away")
    if parts.scheme == scheme and not _is_loopback(parts):
        raise ConfigError(
            f"{name}: {scheme}:// is for loopback addresses only: use {scheme}s:// with {host}"
        )
    return url.rstrip("/")


def _as_stream(url: str) -> str:
    """The same host for websockets: https becomes wss, http ws."""
    return f"ws{url.removeprefix('http')}"


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
