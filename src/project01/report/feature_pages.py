"""Pages about features, made from their definitions and from how their values are spread in a run."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import numpy as np

from project01.domain import FloatArray

BINS = 24
# Size of one small plot, in points, and how many stand beside each other.
_WIDTH, _HEIGHT, _COLUMNS = 200, 118, 4


@dataclass(frozen=True)
class Spread:
    """How the values of a feature are spread.

    Attributes:
        low, median, high: the 1st, 50th and 99th percentile.
        counts: values in each of `BINS` bins of equal width from low to high.
        missing: share of rows without a value.
        rows: rows looked at.
    """

    low: float
    median: float
    high: float
    counts: tuple[int, ...]
    missing: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class FeaturePage:
    """What is shown of one feature; the fields are those of its definition."""

    name: str
    group: str
    clock: str
    kind: str
    across: str
    inputs: tuple[str, ...]
    window: int
    warm_up: int
    unit: str
    missing: str
    scale_free: bool
    source: str
    description: str
    spread: Spread | None


def spread_of(values: FloatArray) -> Spread | None:
    """The spread of a column of values, NaN where missing; None where there is none at all."""
    found = values[np.isfinite(values)]
    if not len(found):
        return None
    low, median, high = (float(value) for value in np.quantile(found, (0.01, 0.5, 0.99)))
    inside = found[(found >= low) & (found <= high)]
    counts, _ = np.histogram(inside, bins=BINS, range=(low, high if high > low else low + 1.0))
    return Spread(low, median, high, tuple(int(count) for count in counts), 1.0 - len(found) / len(values), len(values))


def set_page(name: str, pages: Sequence[FeaturePage], origin: str) -> str:
    """Markdown of one set of features: every field of every definition, and the plot.

    Args:
        name: of the set.
        pages: its features, in order.
        origin: what data the spreads come from, one sentence.
    """
    groups: dict[str, list[FeaturePage]] = {}
    for page in pages:
        groups.setdefault(page.group, []).append(page)
    shown = any(page.spread for page in pages)
    return _environment().get_template("features.md.jinja").render(name=name, groups=groups, origin=origin, shown=shown)


def set_plot(name: str, pages: Sequence[FeaturePage], origin: str) -> str:
    """SVG of one set: a histogram of each feature that has values, from the 1st to the 99th percentile."""
    lines = textwrap.wrap(origin, 140)
    top_margin = 32 + 12 * len(lines)
    plots = []
    for place, page in enumerate(page for page in pages if page.spread):
        spread = page.spread
        if spread is None:
            continue
        top = max(spread.counts)
        step = 180 / BINS
        bars = "".join(
            f"M{number * step:.1f} 82v{-64 * count / top:.1f}h{step - 0.6:.1f}V82z"
            for number, count in enumerate(spread.counts)
            if count
        )
        plots.append(
            {
                "x": 10 + (place % _COLUMNS) * _WIDTH,
                "y": top_margin + (place // _COLUMNS) * _HEIGHT,
                "name": page.name,
                "unit": page.unit if len(page.unit) <= 34 else page.unit[:33] + "…",
                "low": _short(spread.low),
                "median": _short(spread.median),
                "high": _short(spread.high),
                "bars": bars,
            }
        )
    rows = -(-len(plots) // _COLUMNS)
    size = {"width": 20 + _COLUMNS * _WIDTH, "height": top_margin + 20 + rows * _HEIGHT}
    template = _environment().get_template("features.svg.jinja")
    return template.render(name=name, plots=plots, lines=lines, **size)


def index_page(sets: Sequence[tuple[str, Sequence[FeaturePage]]]) -> str:
    """Markdown of all sets: how many features, what they need, where their page is."""
    rows = []
    for name, pages in sets:
        groups = list(dict.fromkeys(page.group for page in pages))
        inputs = sorted({given for page in pages if page.kind == "series" for given in page.inputs})
        rows.append({"name": name, "count": len(pages), "groups": groups, "inputs": inputs, "clock": pages[0].clock})
    total = sum(row["count"] for row in rows)  # type: ignore[misc]  # counts are whole numbers
    return _environment().get_template("features_index.md.jinja").render(rows=rows, total=total)


def _short(value: float) -> str:
    return f"{value:.3g}"


def _environment() -> jinja2.Environment:
    folder = files("project01.report") / "templates"
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=jinja2.select_autoescape(enabled_extensions=("svg.jinja",), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
