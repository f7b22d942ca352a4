"""A dot plot of requests per second as SVG: a row for each load, a dot for each server, both ends of its range."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.results import ALWAYS, DIRECT, EMBEDDED, LABELS, MARIADB, MEMORY, SCENARIOS, Results

_COLOURS = {MARIADB: "#c2410c", EMBEDDED: "#f59e0b", ALWAYS: "#1d4ed8", MEMORY: "#93c5fd", DIRECT: "#6b7280"}

_WIDTH = 900
_LEFT = 280
_RIGHT = 24
_TOP = 64
_ROW = 26
_FOOT = 34


def write(path: Path, results: Results) -> None:
    """Draw what was measured; nothing if that is nothing."""
    rows = [scenario for scenario in SCENARIOS if any(results.rate(key, scenario) for key in LABELS)]
    rates = [s.rate for scenario in rows for key in LABELS for s in results.good(key, scenario)]
    if not rates:
        return
    low, high = math.floor(math.log10(min(rates))), math.ceil(math.log10(max(rates)))
    high = max(high, low + 1)

    def x(rate: float) -> float:
        return _LEFT + (math.log10(rate) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    height = _TOP + _ROW * len(rows) + _FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#111827">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="20" font-size="14" font-weight="600">Requests per second, medians (logarithmic scale)</text>',
        *_legend([key for key in LABELS if key in results.settings]),
        *_grid(range(low, high + 1), x, height),
    ]
    for number, scenario in enumerate(rows):
        y = _TOP + _ROW * number + _ROW / 2
        lines.append(f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(scenario.title)}</text>')
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#f3f4f6"/>')
        for key in LABELS:
            rate = results.rate(key, scenario)
            if rate is None:
                continue
            measured = [sample.rate for sample in results.good(key, scenario)]
            lines.append(
                f'<line x1="{x(min(measured)):.1f}" x2="{x(max(measured)):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="{_COLOURS[key]}" stroke-width="2"/>'
            )
            lines.append(
                f'<circle cx="{x(rate):.1f}" cy="{y:.1f}" r="5" fill="{_COLOURS[key]}">'
                f"<title>{escape(LABELS[key])}: {rate:,.0f}/s</title></circle>"
            )
    lines.append("</svg>")
    path.write_text("\n".join(lines) + "\n")


def _legend(keys: list[str]) -> Iterator[str]:
    x = 18.0
    for key in keys:
        yield f'<circle cx="{x:.0f}" cy="40" r="5" fill="{_COLOURS[key]}"/>'
        yield f'<text x="{x + 10:.0f}" y="44">{escape(LABELS[key])}</text>'
        x += 34 + 6.6 * len(LABELS[key])


def _grid(powers: range, x: Callable[[float], float], height: int) -> Iterator[str]:
    for power in powers:
        at = x(10.0**power)
        yield f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{height - _FOOT}" stroke="#d1d5db"/>'
        yield f'<text x="{at:.1f}" y="{height - _FOOT + 18}" text-anchor="middle">{10**power:,}</text>'
