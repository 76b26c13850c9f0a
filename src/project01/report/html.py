"""One self-contained HTML file from the figures: works offline, prints well."""

from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from project01.report import charts, tear_sheet_charts
from project01.report.charts import Chart
from project01.report.figure import Figure
from project01.report.figures import Figures
from project01.report.tear_sheet import FrontierPart, TearSheetPart


def percent(value: float | None, digits: int = 1) -> str:
    """0.0123 -> ``1.2 %``; missing -> an em dash."""
    # Adding zero turns a rounded minus zero into zero.
    return "—" if value is None else f"{round(100 * value, digits) + 0.0:.{digits}f} %"


def points(value: float) -> str:
    """0.0123 -> ``1.2``, for columns whose heading says percent."""
    return f"{round(100 * value, 1) + 0.0:.1f}"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number; missing -> an em dash."""
    return "—" if value is None else f"{value:,.{digits}f}"


def with_error(figure: Figure | None, *, as_percent: bool = False, digits: int = 2) -> str:
    """The value with its 90 % interval, or with its standard error, or alone."""
    if figure is None or figure.value is None:
        return "—"
    scale, unit = (100.0, " %") if as_percent else (1.0, "")
    text = f"{scale * figure.value:.{digits}f}{unit}"
    if figure.low is not None and figure.high is not None:
        return f"{text} [{scale * figure.low:.{digits}f}, {scale * figure.high:.{digits}f}]"
    if figure.standard_error is not None:
        return f"{text} ± {scale * figure.standard_error:.{digits}f}"
    return text


def bps(figure: Figure) -> str:
    """A break-even cost with its interval; ends outside the costs tried are left open, the sentence says which way."""
    value, low, high = ("…" if end is None else f"{end:.1f}" for end in (figure.value, figure.low, figure.high))
    return f"{value} bps [{low}, {high}]" if figure.value is not None else "none"


def shade(value: float | None) -> Markup:
    """Background of a return's cell: blue for a gain, orange for a loss, full at 10 %."""
    if value is None:
        return Markup("")
    colour = "0,114,178" if value >= 0 else "230,159,0"
    # Safe: made of numbers alone.
    return Markup(f' style="background:rgba({colour},{min(abs(value) / 0.1, 1.0) * 0.55:.2f})"')  # noqa: S704


def _script_safe(value: Any) -> Markup:
    """JSON that cannot end its script element: symbols come from users' files."""
    text = msgspec.json.encode(value, order="sorted").decode()
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    # Safe: escaped on the line above.
    return Markup(escaped)  # noqa: S704


def _plotly_script() -> Markup:
    source = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    # Safe: the library's own bundle.
    return Markup(source.replace("</script>", "<\\/script>"))  # noqa: S704


def _tear_sheet_charts(sheet: TearSheetPart, frontier: FrontierPart) -> dict[str, Chart]:
    """Those that the run has something to show in."""
    profits = sheet.contributions
    drawn = {
        "chart-frontier": tear_sheet_charts.frontier(frontier),
        "chart-exposure": tear_sheet_charts.exposure(sheet.exposure),
        "chart-contributions": tear_sheet_charts.contributions(profits.by_symbol, "symbol"),
        "chart-regimes": tear_sheet_charts.regimes(sheet.regimes),
    }
    if profits.by_industry is not None:
        drawn["chart-industries"] = tear_sheet_charts.contributions(profits.by_industry, "industry")
    if sheet.rolling is not None:
        drawn["chart-rolling"] = tear_sheet_charts.rolling(sheet.rolling)
        drawn["chart-deflated"] = tear_sheet_charts.deflated(sheet.rolling)
    return drawn


def render_html(figures: Figures) -> str:
    """The report as one HTML document with scripts, styles and data inside.

    Args:
        figures: everything shown.
    Returns:
        HTML text; equal figures give equal text.
    """
    environment = Environment(
        loader=PackageLoader("project01.report"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": percent, "number": number, "with_error": with_error, "bps": bps, "points": points, "shade": shade,
        "share_name": tear_sheet_charts.share_name,
    }  # fmt: skip
    drawn = {
        "chart-forecasts": charts.forecasts(figures.forecasts),
        "chart-equity": charts.equity(figures.backtest),
        "chart-ic": charts.information_coefficient(figures.evidence),
        "chart-groups": charts.groups(figures.evidence),
        "chart-calibration": charts.calibration(figures.evidence),
        "chart-importance": charts.importance(figures.evidence),
    } | _tear_sheet_charts(figures.tear_sheet, figures.frontier)
    template = environment.get_template("report.html.jinja")
    return template.render(f=figures, charts=_script_safe(drawn), plotly=_plotly_script())
