"""docs/performance.md and its plots: sections between markers are written anew, all else there is people's own."""

import datetime
import html
import math
import os
import pathlib
import platform
import re

from processes import ROOT

PAGE = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"
OWN = {"sluice": "#2f6fd0", "sluice proxy": "#6aa3f0", "floor": "#8a8f98"}
COLORS = ["#d9772b", "#b3307a", "#1f9482", "#7a56c9", "#7c8a1e", "#a0522d", "#c14b4b"]
STYLE = """<style>
text { font: 13px system-ui, "Segoe UI", sans-serif; fill: #3c4653; }
.head { font-size: 15px; font-weight: 600; fill: #1c2430; }
.grid { stroke: #d9dee4; } .whisker { stroke: #1c2430; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #aeb8c4; } .head { fill: #e6eaf0; } .grid { stroke: #38424f; } .whisker { stroke: #e6eaf0; }
}
</style>"""


def machine() -> str:
    """One line about where a figure comes from."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return (f"{model[1] if model else 'unknown processor'}, {os.cpu_count()} CPUs, Linux {platform.release()}, "
            f"{datetime.date.today()}")


def write_section(name: str, text: str) -> None:
    """Puts `text` between `<!-- NAME: ... -->` and `<!-- end of NAME -->` in the page; at its end if they are not there."""
    begin, end = f"<!-- {name}: written by the program, not by hand -->", f"<!-- end of {name} -->"
    page = PAGE.read_text() if PAGE.exists() else "# How fast\n"
    block = f"{begin}\n{text.strip()}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page = pattern.sub(lambda _: block, page) if pattern.search(page) else f"{page.rstrip()}\n\n{block}\n"
    PAGE.write_text(page)


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "--:|" * (len(heads) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def log_ticks(low: float, high: float) -> list[float]:
    steps = [m * 10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)]
    return [v for v in steps if low * 0.999 <= v <= high * 1.001]


def color_of(label: str, labels: list[str]) -> str:
    others = [other for other in labels if other not in OWN]
    return OWN.get(label) or COLORS[others.index(label) % len(COLORS)]


def value_of(value: float) -> str:
    return short(value) if value >= 10 else f"{value:.2f}"


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def save(name: str, width: int, height: int, parts: list[str]) -> str:
    """Writes the plot; returns the Markdown that shows it."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
           f"{STYLE}\n" + "\n".join(parts) + "\n</svg>\n")
    (PLOTS / f"{name}.svg").write_text(svg)
    return f"![{name}](performance/{name}.svg)"


def bars(name: str, title: str, unit: str, groups: dict[str, list[tuple[str, float, float, float]]]) -> str:
    """Horizontal bars on a log scale: group -> (label, median, min, max), with whiskers from min to max."""
    values = [value for group in groups.values() for _, *numbers in group for value in numbers if value > 0]
    low, high = min(1.0, min(values)) * 0.95, max(values) * 1.15
    width, left, right, row = 860, 150, 70, 22
    height = 60 + sum(30 + row * len(group) for group in groups.values()) + 30

    def at(value: float) -> float:
        return left + math.log(max(value, low) / low) / math.log(high / low) * (width - left - right)

    parts = [f'<text class="head" x="12" y="24">{html.escape(title)}</text>']
    for tick in log_ticks(low, high):
        parts += [f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="40" y2="{height - 34}"/>',
                  f'<text x="{at(tick):.1f}" y="{height - 16}" text-anchor="middle">{short(tick)}{unit}</text>']
    labels = list(dict.fromkeys(label for group in groups.values() for label, *_ in group))
    y = 44
    for group_name, group in groups.items():
        parts.append(f'<text class="head" x="12" y="{y + 16}">{html.escape(group_name)}</text>')
        y += 26
        for label, middle, least, most in group:
            color = color_of(label, labels)
            parts += [f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(label)}</text>',
                      f'<rect x="{left}" y="{y + 3}" width="{max(1, at(middle) - left):.1f}" height="{row - 7}" rx="2" '
                      f'fill="{color}"/>',
                      f'<path class="whisker" d="M{at(least):.1f} {y + row / 2 - 1}H{at(most):.1f}"/>',
                      f'<text x="{at(most) + 6:.1f}" y="{y + 14}">{value_of(middle)}{unit}</text>']
            y += row
        y += 4
    return save(name, width, height, parts)


def lines(name: str, title: str, x_name: str, y_name: str, series: dict[str, list[tuple[float, float]]]) -> str:
    """Lines over two log scales."""
    points = [point for line in series.values() for point in line]
    xs, ys = [max(x, 1e-9) for x, _ in points], [max(y, 1e-9) for _, y in points]
    low, high = min(ys) / 1.5, max(ys) * 1.5
    width, height, left, right, top, bottom = 620, 330, 64, 24, 44, 78
    fx, span = math.log(min(xs)), (math.log(max(xs)) - math.log(min(xs))) or 1

    def x_at(x: float) -> float:
        return left + (math.log(max(x, 1e-9)) - fx) / span * (width - left - right)

    def y_at(y: float) -> float:
        return height - bottom - math.log(max(y, 1e-9) / low) / math.log(high / low) * (height - top - bottom)

    parts = [f'<text class="head" x="12" y="24">{html.escape(title)}</text>']
    for tick in log_ticks(low, high):
        parts += [f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y_at(tick):.1f}" y2="{y_at(tick):.1f}"/>',
                  f'<text x="{left - 8}" y="{y_at(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>']
    for x in sorted(set(xs)):
        parts += [f'<line class="grid" x1="{x_at(x):.1f}" x2="{x_at(x):.1f}" y1="{top}" y2="{height - bottom}"/>',
                  f'<text x="{x_at(x):.1f}" y="{height - bottom + 18}" text-anchor="middle">{short(x)}</text>']
    parts += [f'<text x="{(left + width - right) / 2}" y="{height - bottom + 38}" text-anchor="middle">{html.escape(x_name)}; '
              f'upwards: {html.escape(y_name)}</text>']
    for i, (label, line) in enumerate(series.items()):
        color = color_of(label, list(series))
        path = "".join(f"{'L' if j else 'M'}{x_at(x):.1f} {y_at(y):.1f}" for j, (x, y) in enumerate(line))
        parts += [f'<path d="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>']
        parts += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3.5" fill="{color}"/>' for x, y in line]
        parts += [f'<rect x="{left + i * 140}" y="{height - 24}" width="12" height="12" rx="3" fill="{color}"/>',
                  f'<text x="{left + i * 140 + 18}" y="{height - 13}">{html.escape(label)}</text>']
    return save(name, width, height, parts)
