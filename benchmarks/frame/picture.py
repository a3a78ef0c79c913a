"""Charts as SVG that reads well on light and dark pages: horizontal bars, ours in colour, the target as a line."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from benchmarks.frame.result import Bar, Chart

_WIDTH, _LABEL, _VALUE = 760, 290, 96  # of the picture, of the labels, of the room for values
_BAR, _GAP, _HEAD, _MARGIN = 18, 7, 40, 20

_STYLE = """
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #3d4754;
       paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }
.title { font-weight: 600; font-size: 14px; fill: #10151c } .small { font-size: 11px; fill: #5b6675 }
.page { fill: #ffffff } .peer { fill: #b9c4d0 } .ours { fill: #2f6fb3 } .mine { font-weight: 600; fill: #10151c }
.target { stroke: #c2410c; stroke-width: 1.5; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #b4bfcc; stroke: #10151c } .title, .mine { fill: #f0f4f8 } .small { fill: #93a0b0 }
  .page { fill: #10151c } .peer { fill: #46525f } .ours { fill: #6fb1f5 } .target { stroke: #fb923c }
}
"""


def draw(title: str, charts: Iterable[Chart]) -> str:
    """One SVG with the charts below each other."""
    parts: list[str] = []
    y = _MARGIN
    for chart in charts:
        drawn, height = _chart(chart)
        parts += [f'<g transform="translate({_MARGIN} {y})">', *drawn, "</g>"]
        y += height + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{y}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _chart(chart: Chart) -> tuple[list[str], int]:
    room = _WIDTH - 2 * _MARGIN - _LABEL - _VALUE
    longest = max([bar.value for bar in chart.bars] + [chart.target or 0.0]) or 1.0
    height = _HEAD + len(chart.bars) * (_BAR + _GAP) + (14 if chart.target is not None else 0)
    parts = [f'<text class="title" x="0" y="14">{escape(chart.title)}</text>']
    labels = []
    for n, bar in enumerate(chart.bars):
        drawn, label = _bar(bar, _HEAD + n * (_BAR + _GAP), room * bar.value / longest, chart.unit)
        parts += drawn
        labels.append(label)
    if chart.target is not None:
        x, bottom = _LABEL + room * chart.target / longest, _HEAD + len(chart.bars) * (_BAR + _GAP)
        parts.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 6}" y2="{bottom}"/>')
        text = f"{'at most' if chart.less else 'at least'} {_number(chart.target)}{_after(chart.unit)}"
        parts.append(f'<text class="small" x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">{escape(text)}</text>')
    return parts + labels, height  # the numbers stay readable where the target's line passes


def _bar(bar: Bar, y: int, width: float, unit: str) -> tuple[list[str], str]:
    kind, words = ("ours", "mine") if bar.ours else ("peer", "")
    middle = y + _BAR - 5
    drawn = [
        f'<text class="{words}" x="{_LABEL - 10}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{max(width, 1):.1f}" height="{_BAR}" rx="3"/>',
    ]
    number = f"{_number(bar.value)}{_after(unit)}"
    return drawn, f'<text class="{words}" x="{_LABEL + width + 8:.1f}" y="{middle}">{number}</text>'


def _after(unit: str) -> str:
    return f"{'' if unit in ('x', '%') else ' '}{escape(unit)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
