"""One self-contained HTML file from the figures: works offline, prints well."""

from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from project01.report import charts
from project01.report.figures import Figure, Figures


def percent(value: float | None, digits: int = 1) -> str:
    """0.0123 -> ``1.2 %``; missing -> an em dash."""
    # Adding zero turns a rounded minus zero into zero.
    return "—" if value is None else f"{round(100 * value, digits) + 0.0:.{digits}f} %"


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
    environment.filters |= {"percent": percent, "number": number, "with_error": with_error}
    drawn = {
        "chart-forecasts": charts.forecasts(figures.forecasts),
        "chart-equity": charts.equity(figures.backtest),
        "chart-sensitivity": charts.sensitivity(figures.sensitivity),
        "chart-ic": charts.information_coefficient(figures.evidence),
        "chart-groups": charts.groups(figures.evidence),
        "chart-calibration": charts.calibration(figures.evidence),
        "chart-importance": charts.importance(figures.evidence),
    }
    template = environment.get_template("report.html.jinja")
    return template.render(f=figures, charts=_script_safe(drawn), plotly=_plotly_script())
