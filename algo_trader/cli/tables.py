"""Answers for people: aligned columns, money with cents, times of New York."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from algo_trader.backtest.result import BacktestResult
from algo_trader.core.pnl import Trade
from algo_trader.core.types import Instant, text, utc

TRADES_SHOWN = 20


def money(value: Decimal | None) -> str:
    """Dollars with two decimals, or a dash where undefined."""
    return "-" if value is None else _rounded(value, 2)


def ratio(value: Decimal | None, digits: int = 2) -> str:
    """A ratio rounded for reading, or a dash."""
    return "-" if value is None else _rounded(value, digits)


def _rounded(value: Decimal, digits: int) -> str:
    """Rounded for reading, without the minus sign of a zero."""
    shown = f"{value:,.{digits}f}"
    return shown if shown.strip("-0.,") else shown.lstrip("-")


def when(instant: Instant) -> str:
    """An instant for people, in UTC."""
    return utc(instant).strftime("%Y-%m-%d %H:%M")


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows as aligned columns: the first `left` to the left, the rest to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def backtest_table(result: BacktestResult) -> str:
    """The whole answer of `backtest` as text."""
    m = result.metrics
    even = m.total_trades - m.winning_trades - m.losing_trades
    counts = f"{m.winning_trades} / {m.losing_trades} / {even}"
    symbols = " ".join(result.symbols)
    head = (
        f"{result.strategy} on {symbols}, {result.first} to {result.last}, "
        f"{result.interval_minutes}-minute candles\n"
        f"{result.bars:,} bars, {result.candles:,} candles in {result.elapsed_s:.2f} s "
        f"({result.bars_per_s:,} bars/s)\n{signals_line(result)}"
    )
    figures = columns(
        [
            ("final equity", money(m.final_equity), "trades", str(m.total_trades)),
            ("total P&L", money(m.total_pnl), "won / lost / even", counts),
            ("return", _percent(m.total_return), "win rate", _percent(m.win_rate)),
            ("max drawdown", money(m.max_drawdown), "profit factor", ratio(m.profit_factor)),
            ("max drawdown %", ratio(m.max_drawdown_pct), "average win", money(m.avg_win)),
            ("Sharpe", ratio(m.sharpe_ratio), "average loss", money(m.avg_loss)),
            ("Sortino", ratio(m.sortino_ratio), "best trade", money(m.best_trade)),
            ("exposure %", ratio(m.exposure_pct), "worst trade", money(m.worst_trade)),
        ]
    )
    return f"{head}\n\n{figures}\n\n{trades_table(result.trades)}"


def trades_table(trades: Sequence[Trade]) -> str:
    """The trades, the last ones only when there are many."""
    if not trades:
        return "no trades"
    rows = [("symbol", "side", "entry (UTC)", "exit (UTC)", "qty", "entry", "exit", "P&L", "why")]
    rows += [
        (
            trade.symbol,
            str(trade.side),
            when(trade.entry_at),
            when(trade.exit_at),
            text(trade.qty),
            price(trade.entry_price),
            price(trade.exit_price),
            money(trade.pnl),
            str(trade.exit_reason),
        )
        for trade in trades[-TRADES_SHOWN:]
    ]
    table = columns(rows, left=4)
    hidden = len(trades) - TRADES_SHOWN
    return table if hidden <= 0 else f"{table}\n({hidden} earlier trades: see --json)"


def price(value: Decimal) -> str:
    """A price with its cents, and with two more digits where it has them."""
    return f"{value:.2f}" if value == round(value, 2) else f"{value:.4f}"


def signals_line(result: BacktestResult) -> str:
    """How many signals there were, and which rules refused how many."""
    refused = result.signals_refused
    count = result.signals_taken + sum(refused.values())
    line = f"{count:,} signals, {result.signals_taken:,} taken"
    if refused:
        rules = ", ".join(f"{rule} {number:,}" for rule, number in refused.items())
        line += f", {sum(refused.values()):,} refused ({rules})"
    if result.bars_dropped:
        line += f"; {result.bars_dropped:,} bars outside regular hours left out"
    return line


def _percent(fraction: Decimal | None) -> str:
    return "-" if fraction is None else f"{_rounded(fraction * 100, 2)} %"
