"""The look of a report: a line with its drawdown, a row of bars, and the style sheet.

Owns scales, axes, shapes and colours; knows nothing of runs or trades. A picture is as high as it
is drawn and as wide as the page: the SVG holds shapes only and is stretched sideways, and the words
of the axes are HTML beside it, so that a phone does not shrink them. Decimal becomes float here,
for pixels, and nowhere else. COLUMNS_MAX bounds what is drawn, however many values there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from typing import NamedTuple

COLUMNS_MAX = 300
WIDTH = 1000
LINE_HEIGHT = 240
BARS_HEIGHT = 180
BAR_WIDTH_MAX = 36
TICK_GAPS = 4
LABEL_GAPS = 4
EDGE_PCT = 6
GUTTER_MIN = 7
CENT = Decimal("0.01")


class Mark(NamedTuple):
    """One value to draw: the word below it and the words shown when the pointer rests on it."""

    value: Decimal
    label: str
    hint: str


class Scale(NamedTuple):
    """Round numbers around the values, and the height in pixels at which a value stands."""

    ticks: list[Decimal]
    step: Decimal
    height: int

    def y(self, value: Decimal) -> float:
        """Pixels from the top."""
        low, high = self.ticks[0], self.ticks[-1]
        return float((high - value) / (high - low)) * self.height

    def words(self) -> list[str]:
        """The text of each tick, with cents only where whole dollars would not tell them apart."""
        digits = 2 if self.step < 1 else 0
        return [f"{tick:,.{digits}f}".replace("-", "\u2212") for tick in self.ticks]


def scale_of(values: Sequence[Decimal], height: int) -> Scale:
    """A scale of about five ticks, 1, 2 or 5 times a power of ten apart; all equal stand midway."""
    low, high = min(values), max(values)
    if low == high:
        around = abs(low) / 100 or Decimal(1)
        low, high = low - around, high + around
    wanted = max((high - low) / TICK_GAPS, CENT)
    power = Decimal(1).scaleb(wanted.adjusted())
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= wanted)
    first = int((low / step).to_integral_value(ROUND_FLOOR))
    last = int((high / step).to_integral_value(ROUND_CEILING))
    return Scale([step * number for number in range(first, last + 1)], step, height)


def line_chart(marks: Sequence[Mark], name: str) -> str:
    """A line through the marks; what lies below the highest mark so far is shaded."""
    values = [mark.value for mark in marks]
    scale = scale_of(values, LINE_HEIGHT)
    gap = WIDTH / max(len(marks) - 1, 1)
    columns = _columns(len(marks))
    drawn = [i for column in columns for i in _outline(column, values)]
    points = [(i * gap, scale.y(values[i])) for i in drawn]
    if len(points) == 1:
        points.append((WIDTH, points[0][1]))
    start = f"{scale.y(values[0]):.1f}"
    shapes = [
        f'<path class="start" d="M0 {start}H{WIDTH}"/>',
        f'<path class="fall" d="{_path(_waterline(points) + points[::-1])}Z"/>',
        f'<path class="line" d="{_path(points)}"/>',
        f'<path class="dot" d="{_path(points[-1:])}h0"/>',
    ]
    for column in columns:
        left = max(0.0, (column[0] - 0.5) * gap)
        right = min(float(WIDTH), (column[-1] + 0.5) * gap)
        shapes.append(_hit(left, right - left, LINE_HEIGHT, marks[column[-1]].hint))
    labels = [(i * gap / WIDTH * 100, marks[i].label) for i in _spread(len(marks))]
    return _plot(scale, shapes, labels, name)


def bar_chart(marks: Sequence[Mark], name: str) -> str:
    """A bar up or down from zero for each mark, at most COLUMNS_MAX of them."""
    scale = scale_of([Decimal(0), *(mark.value for mark in marks)], BARS_HEIGHT)
    slot = WIDTH / len(marks)
    width = min(slot * 0.78, BAR_WIDTH_MAX)
    zero = scale.y(Decimal(0))
    shapes = [f'<path class="axis" d="M0 {zero:.1f}H{WIDTH}"/>']
    for i, mark in enumerate(marks):
        end = scale.y(mark.value)
        # A bar too small to see is still a trade.
        height = max(abs(end - zero), 1.0)
        top = zero - height if mark.value > 0 else zero
        tone = "up" if mark.value > 0 else "down" if mark.value < 0 else "flat"
        left = i * slot + (slot - width) / 2
        shapes.append(
            f'<rect class="{tone}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/>'
        )
    shapes += [_hit(i * slot, slot, BARS_HEIGHT, mark.hint) for i, mark in enumerate(marks)]
    labels = [((i + 0.5) * slot / WIDTH * 100, marks[i].label) for i in _spread(len(marks))]
    return _plot(scale, shapes, labels, name)


def _columns(count: int) -> list[range]:
    """Neighbours that share a column of the picture."""
    each = -(-count // COLUMNS_MAX)
    return [range(i, min(i + each, count)) for i in range(0, count, each)]


def _outline(column: range, values: Sequence[Decimal]) -> list[int]:
    """The points of a column that its outline needs: lowest, highest and last."""
    lowest = min(column, key=lambda i: values[i])
    highest = max(column, key=lambda i: values[i])
    return sorted({column[0], lowest, highest, column[-1]})


def _waterline(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The highest value so far, level until the line itself crosses it."""
    (x, y), top = points[0], points[0][1]
    line = [(x, top)]
    for next_x, next_y in points[1:]:
        if next_y < top:  # Pixels count from the top: less is higher.
            line.append((x + (next_x - x) * (y - top) / (y - next_y), top))
            top = next_y
        line.append((next_x, top))
        x, y = next_x, next_y
    return line


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _hit(left: float, width: float, height: int, hint: str) -> str:
    """A pane of the full height that shows `hint` under the pointer."""
    return (
        f'<rect class="hit" x="{left:.1f}" width="{width:.1f}" height="{height}">'
        f"<title>{escape(hint)}</title></rect>"
    )


def _spread(count: int) -> list[int]:
    """Up to five places from the first to the last."""
    return sorted({round(k * (count - 1) / LABEL_GAPS) for k in range(LABEL_GAPS + 1)})


def _plot(
    scale: Scale, shapes: Sequence[str], labels: Sequence[tuple[float, str]], name: str
) -> str:
    """The picture with its axes around it."""
    height = scale.height
    words = scale.words()
    heights = [f"{scale.y(tick):.1f}" for tick in scale.ticks]
    grid = "".join(f"M0 {y}H{WIDTH}" for y in heights)
    ticks = "".join(
        f'<span style="top:{y}px">{word}</span>' for y, word in zip(heights, words, strict=True)
    )
    gutter = max(GUTTER_MIN, *map(len, words)) + 1
    return (
        f'<div class="plot" style="grid-template-columns:{gutter}ch minmax(0,1fr)">'
        f'<div class="y" aria-hidden="true">{ticks}</div>'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="100%" '
        f'height="{height}" preserveAspectRatio="none" role="img" aria-label="{escape(name)}">\n'
        f'<path class="grid" d="{grid}"/>\n' + "\n".join(shapes) + "\n</svg>"
        f'<div class="x" aria-hidden="true">{_x_axis(labels)}</div></div>'
    )


def _x_axis(labels: Sequence[tuple[float, str]]) -> str:
    """Words at per cents of the width, each once; a phone shows every other one of five."""
    spans = []
    before = ""
    for number, (at, label) in enumerate(labels):
        if label == before:
            continue
        before = label
        place, side = f"left:{at:.1f}%", "mid"
        if at < EDGE_PCT:
            place, side = "left:0", "edge"
        elif at > 100 - EDGE_PCT:
            place, side = "right:0", "edge"
        minor = " minor" if len(labels) > LABEL_GAPS and number % 2 else ""
        spans.append(f'<span class="{side}{minor}" style="{place}">{escape(label)}</span>')
    return "".join(spans)


STYLE = """
:root { --paper: #fcfcfa; --ink: #1d2024; --soft: #62686f; --rule: #e2e3e1; --tint: #f2f3f0;
  --line: #2b5c9e; --up: #17794a; --down: #b3352b; --fall: #b3352b26; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e6e8;
  --soft: #979ea6; --rule: #2c3136; --tint: #1c2024; --line: #86b3f0; --up: #56c08d;
  --down: #f0837a; --fall: #f0837a30; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui,
  -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums lining-nums; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; }
dl, dt, dd, p, h1, h2, h3 { margin: 0; }
.kind, .tiles dt, .facts dt { color: var(--soft); font-size: 13px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; overflow-wrap: anywhere; }
h2 { font-size: 19px; font-weight: 650; margin-bottom: 2px; }
h3 { font-size: 14px; font-weight: 650; padding-bottom: 4px; border-bottom: 1px solid var(--rule);
  overflow-wrap: anywhere; }
section { margin-top: 44px; }
.note, footer { color: var(--soft); font-size: 13px; max-width: 64em; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 32px; margin-top: 14px; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); margin-top: 28px;
  border: 1px solid var(--rule); border-radius: 8px; overflow: hidden; }
.tiles > div { padding: 14px 18px; margin: -1px 0 0 -1px; border: solid var(--rule);
  border-width: 1px 0 0 1px; }
.tiles b { display: block; font-size: 25px; line-height: 1.3; font-weight: 600;
  overflow-wrap: anywhere; }
.tiles small { font-size: 13px; color: var(--soft); }
.up { color: var(--up); fill: var(--up); }
.down { color: var(--down); fill: var(--down); }
.flat { fill: var(--soft); }
.plot { display: grid; margin-top: 18px; padding-right: 5px; font-size: 12px; color: var(--soft); }
.plot svg { display: block; overflow: visible; }
.y, .x { position: relative; }
.y span { position: absolute; right: 1ch; transform: translateY(-50%); }
.x { grid-column: 2; height: 26px; }
.x span { position: absolute; top: 7px; white-space: nowrap; }
.x .mid { transform: translateX(-50%); }
.plot path { vector-effect: non-scaling-stroke; fill: none; stroke-width: 1; }
.plot .grid { stroke: var(--rule); }
.plot .axis { stroke: var(--soft); }
.plot .start { stroke: var(--soft); stroke-dasharray: 3 4; }
.plot .fall { fill: var(--fall); }
.plot .line { stroke: var(--line); stroke-width: 2; stroke-linejoin: round; }
.plot .dot { stroke: var(--line); stroke-width: 8; stroke-linecap: round; }
.hit { fill: transparent; }
.hit:hover { fill: var(--ink); fill-opacity: .08; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr));
  gap: 0 40px; }
.figures > div { display: grid; grid-template-columns: 1fr auto; align-content: start;
  padding: 9px 0; border-bottom: 1px solid var(--rule); break-inside: avoid; }
.figures dt + dd { font-weight: 600; white-space: nowrap; }
.figures dd + dd { grid-column: 1 / -1; color: var(--soft); font-size: 13px; }
.wide { overflow-x: auto; margin-top: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; line-height: 1.35; }
th, td { padding: 5px 9px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-weight: 500; border-bottom-color: var(--soft); }
tr > :nth-child(2), tr > :nth-child(3), tr > :nth-child(13) { text-align: left; }
.total > tr > * { text-align: right; font-weight: 650; border-bottom: 0; }
tbody tr:hover { background: var(--tint); }
.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr));
  gap: 24px 40px; margin-top: 10px; font-size: 13px; }
.settings dl > div { display: flex; justify-content: space-between; gap: 16px; padding: 3px 0;
  break-inside: avoid; }
.settings dt { color: var(--soft); overflow-wrap: anywhere; }
.settings dd { text-align: right; overflow-wrap: anywhere; }
footer { margin-top: 48px; padding-top: 14px; border-top: 1px solid var(--rule); max-width: none; }
@media (max-width: 640px) { main { padding: 24px 16px 40px; } h1 { font-size: 25px; }
  .tiles { grid-template-columns: 1fr 1fr; } .tiles > div { padding: 11px 13px; }
  .tiles b { font-size: 20px; } .minor { display: none; } .facts { gap: 8px 24px; } }
@media print { @page { margin: 14mm; } :root { --paper: #fff; } body { font-size: 10pt;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; } main { max-width: none;
  padding: 0; } section { margin-top: 26px; } h2, h3 { break-after: avoid; }
  .plot, tr, .settings > div { break-inside: avoid; } .wide { overflow: visible; }
  table { font-size: 7pt; } th, td { padding: 3px 4px; } .settings { font-size: 8pt; } }
"""
