"""The page that `backtest --report` writes: one HTML file that needs nothing but itself.

Owns the words, figures and tables of the page; its pictures and style sheet are `report_chart`'s.
The page is a function of the result: no clock, no speed of the machine, so that equal runs give
equal bytes. It is also well-formed XML, so that tests and other programs can read it. Numbers are
rounded for reading; where that hid a digit, the exact value is the title.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any, NamedTuple

from algo_trader.backtest.metrics import Metrics
from algo_trader.backtest.report_chart import COLUMNS_MAX, STYLE, Mark, bar_chart, line_chart
from algo_trader.backtest.result import BacktestResult
from algo_trader.core.pnl import Trade
from algo_trader.core.types import HUNDRED, ZERO, Instant, text, utc

SYMBOLS_SHOWN = 12
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def html_report(result: BacktestResult) -> str:
    """The whole page: headline, equity, profit and loss by trade, figures, trades, settings."""
    title = f"{result.strategy} on {_symbols(result)}, {result.first} to {result.last}"
    sections = (
        _head(result),
        _equity(result),
        _profits(result.trades),
        _figures(result.metrics),
        _trades(result.trades),
        _settings(result),
    )
    return PAGE.format(title=_escaped(title), style=STYLE, body="\n".join(filter(None, sections)))


def _head(result: BacktestResult) -> str:
    metrics = result.metrics
    sessions = len(result.curve.closes)
    period = str(result.first)
    if result.first != result.last:
        period = f"{result.first} to {result.last}"
    facts = (
        ("Symbols", _escaped(_symbols(result))),
        ("Period", f"{period} ({_counted(sessions, 'session')})"),
        ("Candles", f"{result.interval_minutes} min"),
        ("Capital", f"{number(result.capital)} USD"),
    )
    flat = metrics.total_trades - metrics.winning_trades - metrics.losing_trades
    outcome = f"{metrics.winning_trades:,} won, {metrics.losing_trades:,} lost"
    outcome += f", {flat:,} even" if flat else ""
    tiles = (
        ("P&amp;L", number(metrics.total_pnl, sign=True), _gain(metrics.total_return)),
        ("Final equity", number(metrics.final_equity), f"from {number(result.capital)}"),
        ("Max drawdown", number(metrics.max_drawdown), _percent(metrics.max_drawdown_pct)),
        ("Trades", f"{metrics.total_trades:,}", outcome if metrics.total_trades else "none"),
    )
    # A reference may be a long path: it may break after a folder and before the class.
    name_wrapped = _escaped(result.strategy).replace("/", "/<wbr/>").replace(":", ":<wbr/>")
    pairs = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    cards = "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b><small>{note}</small></dd></div>"
        for name, value, note in tiles
    )
    return (
        f'<header><p class="kind">Backtest</p><h1>{name_wrapped}</h1>'
        f'<dl class="facts">{pairs}</dl></header>\n<dl class="tiles">{cards}</dl>'
    )


def _equity(result: BacktestResult) -> str:
    """Equity at session closes, from the capital on."""
    capital, peak = result.capital, result.capital
    marks = [Mark(capital, str(result.first), f"start: {_plain(capital)}")]
    for close in result.curve.closes:
        peak = max(peak, close.equity)
        fall = f", {_plain(peak - close.equity)} below the peak" if close.equity < peak else ""
        day = str(close.session.date)
        marks.append(Mark(close.equity, day, f"{day}: {_plain(close.equity)}{fall}"))
    name = f"Equity from {_plain(capital)} to {_plain(marks[-1].value)}"
    return _section(
        "Equity",
        "At session closes. Dashed: the initial capital. Shaded: the drawdown from the highest "
        "close so far; max drawdown follows every minute and may be deeper.",
        line_chart(marks, name),
    )


def _profits(trades: Sequence[Trade]) -> str:
    """P&L by trade; when there are too many for a bar each, neighbours share one."""
    if not trades:
        return ""
    each = -(-len(trades) // COLUMNS_MAX)
    marks = []
    for first in range(0, len(trades), each):
        group = trades[first : first + each]
        pnl = sum((trade.pnl for trade in group), ZERO)
        last = group[-1]
        hint = (
            f"#{first + 1} {last.symbol} {last.side}, out {_when(last.exit_at)} UTC "
            f"({_words(last.exit_reason)}): {_plain(pnl, sign=True)}"
        )
        if each > 1:
            hint = (
                f"#{first + 1} to #{first + len(group)}, {_when(group[0].exit_at)} to "
                f"{_when(last.exit_at)} UTC: {_plain(pnl, sign=True)}"
            )
        marks.append(Mark(pnl, f"#{first + 1}", hint))
    note = "After commissions, in order of exit."
    if each > 1:
        note += f" Each bar is the sum of {each} trades."
    name = f"Profit and loss of {_counted(len(trades), 'trade')}"
    return _section("P&amp;L by trade", note, bar_chart(marks, name))


def _figures(metrics: Metrics) -> str:
    rows = "".join(
        f'<div data-metric="{name}"><dt>{label}</dt><dd>{say(getattr(metrics, name))}</dd>'
        f"<dd>{meaning}</dd></div>\n"
        for name, label, say, meaning in FIGURES
    )
    return _section("Figures", "", f'<dl class="figures">\n{rows}</dl>')


def _trades(trades: Sequence[Trade]) -> str:
    if not trades:
        return _section("Trades", "No trade was made in this period.")
    head = "".join(f'<th scope="col">{name}</th>' for name in TRADE_COLUMNS)
    rows = "".join(_trade_row(place, trade) for place, trade in enumerate(trades, start=1))
    commission = number(sum((trade.commission for trade in trades), ZERO))
    pnl = number(sum((trade.pnl for trade in trades), ZERO), sign=True)
    total = (
        f'<tr><th scope="row" colspan="9">Total</th><td>{commission}</td><td>{pnl}</td>'
        "<td></td><td></td></tr>"
    )
    return _section(
        "Trades",
        f"{_counted(len(trades), 'trade')}, from flat to flat. Times are UTC, prices averages of "
        "fills.",
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n'
        f'<tbody class="total">{total}</tbody></table></div>',
    )


def _trade_row(place: int, trade: Trade) -> str:
    cells = (
        str(place),
        _escaped(trade.symbol),
        str(trade.side),
        _when(trade.entry_at),
        _when(trade.exit_at),
        _time(trade.duration_s),
        text(trade.qty),
        _price(trade.entry_price),
        _price(trade.exit_price),
        number(trade.commission),
        number(trade.pnl, sign=True),
        number(trade.pnl_pct, sign=True, unit=" %"),
        _words(trade.exit_reason),
    )
    return f"<tr>{''.join([f'<td>{cell}</td>' for cell in cells])}</tr>\n"


def _settings(result: BacktestResult) -> str:
    """Every effective setting by section, below what was run."""
    groups: dict[str, Mapping[str, Any]] = {
        "run": {
            "strategy": result.strategy,
            "symbols": " ".join(result.symbols),
            "from": str(result.first),
            "to": str(result.last),
            "interval_minutes": result.interval_minutes,
            "initial_capital": text(result.capital),
            "bars": result.bars,
            "candles": result.candles,
        }
    }
    for section, values in result.params.items():
        groups[section] = values if isinstance(values, Mapping) else {section: values}
    boxes = []
    for section, settings in groups.items():
        rows = "".join(
            f"<div><dt>{_escaped(str(key))}</dt><dd>{_escaped(_setting(value))}</dd></div>"
            for key, value in settings.items()
        )
        boxes.append(f"<div><h3>{_escaped(section)}</h3><dl>{rows}</dl></div>\n")
    return _section("Settings", "", f'<div class="settings">\n{"".join(boxes)}</div>')


def _setting(value: object) -> str:
    if isinstance(value, Decimal):
        return text(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _section(title: str, note: str, content: str = "") -> str:
    told = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{title}</h2>{told}\n{content}</section>"


def number(value: Decimal | None, digits: int = 2, *, sign: bool = False, unit: str = "") -> str:
    """A number as HTML; with `sign` also coloured. None, undefined, is a dash."""
    if value is None:
        return '<span title="undefined for this run">\u2013</span>'
    shown = _plain(value, digits, sign=sign) + unit
    exact = text(value)
    attributes = ""
    if sign and value:
        attributes = ' class="up"' if value > 0 else ' class="down"'
    if len(exact.partition(".")[2]) > digits:
        attributes += f' title="{exact}{unit}"'
    return f"<span{attributes}>{shown}</span>" if attributes else shown


def _plain(value: Decimal, digits: int = 2, *, sign: bool = False) -> str:
    plus = "+" if sign and value else ""
    return f"{value:{plus},.{digits}f}".replace("-", "\u2212")


def _price(value: Decimal) -> str:
    return number(value, 2 if value >= 1 else 4)


def _percent(value: Decimal | None) -> str:
    return number(value, unit=" %")


def _share(fraction: Decimal | None) -> str:
    return _percent(None if fraction is None else fraction * HUNDRED)


def _gain(fraction: Decimal | None) -> str:
    return number(None if fraction is None else fraction * HUNDRED, sign=True, unit=" %")


def _signed(value: Decimal | None) -> str:
    return number(value, sign=True)


def _count(value: int) -> str:
    return f"{value:,}"


def _time(seconds: int | float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return number(None)
    whole = round(seconds)
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        rest = f" {whole % MINUTE_S} s" if whole % MINUTE_S else ""
        return f"{whole // MINUTE_S} min{rest}"
    if whole < DAY_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S:02} min"
    return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S:02} h"


def _when(instant: Instant) -> str:
    return utc(instant).strftime("%Y-%m-%d %H:%M")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def _symbols(result: BacktestResult) -> str:
    more = len(result.symbols) - SYMBOLS_SHOWN
    shown = " ".join(result.symbols[:SYMBOLS_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _escaped(value: str) -> str:
    """Text for HTML; what cannot be printed or encoded is shown as Python would write it."""
    if not value.isprintable():
        value = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
            for each in value
        )
    return escape(value)


class Figure(NamedTuple):
    """How one field of Metrics is shown, and what it means in a line."""

    name: str
    label: str
    say: Callable[[Any], str]
    meaning: str


FIGURES = (
    Figure("total_return", "Return", _gain, "P&amp;L over the initial capital."),
    Figure("total_pnl", "P&amp;L", _signed, "Final equity minus initial capital."),
    Figure("final_equity", "Final equity", number, "Cash and positions at the last close."),
    Figure("max_drawdown", "Max drawdown", number, "Deepest fall from a peak, by the minute."),
    Figure("max_drawdown_pct", "Max drawdown %", _percent, "The same in per cent of its peak."),
    Figure("sharpe_ratio", "Sharpe ratio", number,
           "Mean session return over its deviation, times \u221a252."),
    Figure("sortino_ratio", "Sortino ratio", number,
           "The same over the downside deviation."),
    Figure("exposure_pct", "Exposure", _percent, "Share of session minutes with a position."),
    Figure("total_trades", "Trades", _count, "Round trips from flat to flat."),
    Figure("winning_trades", "Won", _count, "Trades with a P&amp;L above zero."),
    Figure("losing_trades", "Lost", _count, "Trades with a P&amp;L below zero."),
    Figure("win_rate", "Win rate", _share, "Won over all trades."),
    Figure("profit_factor", "Profit factor", number, "Sum of wins over sum of losses."),
    Figure("avg_win", "Average win", _signed, "Mean P&amp;L of won trades."),
    Figure("avg_loss", "Average loss", _signed, "Mean P&amp;L of lost trades."),
    Figure("best_trade", "Best trade", _signed, "Highest P&amp;L of a trade."),
    Figure("worst_trade", "Worst trade", _signed, "Lowest P&amp;L of a trade."),
    Figure("avg_duration_s", "Average time held", _time, "Mean time from entry to exit."),
)

TRADE_COLUMNS = (
    "#", "Symbol", "Side", "Entry (UTC)", "Exit (UTC)", "Held", "Qty", "Entry", "Exit",
    "Commission", "P&amp;L", "P&amp;L %", "Why closed",
)  # fmt: skip

PAGE = """<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>{title}</title>
<style>
{style}</style></head><body><main>
{body}
<footer>A simulation by algo-trader: fills are assumed by its rules and the costs above. Money in US
dollars. Where a number is rounded, rest the pointer on it for the exact value.</footer>
</main></body></html>
"""
