"""Charts of the report as Plotly specifications: plain data, so the same figures give the same bytes.

Colours are Okabe and Ito's, which people with any colour vision can tell apart (Color Universal Design, 2008).
"""

from typing import Any

from project01.report.figure import Figure
from project01.report.figures import BacktestPart, EvidencePart, ForecastPart

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
MOST_BARS = 40

Chart = dict[str, Any]


def base_layout(title: str, x: str, y: str, **changes: Any) -> Chart:
    """What all charts share: a title, axis titles with units, quiet grid lines; `changes` replace parts of it."""
    base: Chart = {
        "title": {"text": title, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top", "font": {"size": 15}},
        "xaxis": {"title": {"text": x}, "gridcolor": "#e5e5e5", "zerolinecolor": "#999", "automargin": True},
        "yaxis": {"title": {"text": y}, "gridcolor": "#e5e5e5", "zerolinecolor": "#999", "automargin": True},
        "margin": {"l": 60, "r": 20, "t": 64, "b": 50},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#222"},
        "legend": {"orientation": "h", "y": 1.0, "x": 0, "yanchor": "bottom"},
        "height": 360,
        "hovermode": "closest",
    }
    return base | changes


def in_percent(values: list[float | None] | list[float]) -> list[float | None]:
    """Fractions as percent, rounded to keep the report small; missing stays missing."""
    return [None if v is None else round(100 * v, 6) for v in values]


def interval_bars(figures: list[Figure], scale: float = 100.0) -> Chart:
    """Bars from each value to the ends of its interval."""
    up = [scale * (f.high - f.value) if f.high is not None and f.value is not None else None for f in figures]
    down = [scale * (f.value - f.low) if f.low is not None and f.value is not None else None for f in figures]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": GREY, "thickness": 1.2}


def forecasts(part: ForecastPart) -> Chart:
    """Dots with 50 % and 90 % intervals, best on top."""
    half = MOST_BARS // 2
    rows = part.rows if len(part.rows) <= MOST_BARS else part.rows[:half] + part.rows[-half:]
    rows = rows[::-1]
    names = [row.symbol for row in rows]
    wide_x: list[float | None] = []
    narrow_x: list[float | None] = []
    line_y: list[str | None] = []
    for row in rows:
        wide_x += [100 * row.q05, 100 * row.q95, None]
        narrow_x += [100 * row.q25, 100 * row.q75, None]
        line_y += [row.symbol, row.symbol, None]
    lines = {"type": "scatter", "mode": "lines", "y": line_y, "hoverinfo": "skip"}
    dots = {
        "type": "scatter", "mode": "markers", "name": "mean", "x": [100 * row.mean for row in rows], "y": names,
        "marker": {"color": VERMILION, "size": 7}, "hovertemplate": "%{y}: %{x:.2f} %<extra></extra>",
    }  # fmt: skip
    data = [
        lines | {"x": wide_x, "name": "90 % interval", "line": {"color": "#9ecae1", "width": 4}},
        lines | {"x": narrow_x, "name": "50 % interval", "line": {"color": BLUE, "width": 6}},
        dots,
    ]
    shown = "" if len(part.rows) <= MOST_BARS else f" (best and worst {half} of {len(part.rows)})"
    layout = base_layout(f"Forecast return{shown}", f"return over {part.horizon} sessions less the mean (%)", "")
    layout["height"] = 120 + 20 * len(rows)
    layout["yaxis"] |= {"type": "category", "categoryorder": "array", "categoryarray": names, "dtick": 1}
    return {"data": data, "layout": layout}


def equity(part: BacktestPart) -> Chart:
    """Net equity against its benchmarks on a log scale, the drawdown beneath."""
    series = part.series
    line = {"type": "scatter", "mode": "lines", "x": series.sessions}
    data: list[Chart] = [
        line | {"y": series.strategy, "name": "strategy, net", "line": {"color": BLUE, "width": 2}},
        line | {"y": series.equal_weight, "name": "equal weight, net", "line": {"color": ORANGE, "width": 1.6}},
    ]
    if series.index is not None:
        data.append(line | {"y": series.index, "name": "index", "line": {"color": GREEN, "width": 1.6, "dash": "dot"}})
    data.append(
        line
        | {
            "y": in_percent(series.drawdown), "name": "drawdown", "yaxis": "y2", "fill": "tozeroy", "showlegend": False,
            "line": {"color": VERMILION, "width": 1},
        }
    )  # fmt: skip
    layout = base_layout("Net equity and drawdown", "session", "equity, start = 1 (log)", height=480)
    layout["yaxis"] |= {"type": "log", "domain": [0.34, 1]}
    if max(series.strategy + series.equal_weight) > 5 * min(series.strategy + series.equal_weight):
        layout["yaxis"]["dtick"] = "D2"  # 1, 2, 5, 10: a label at each digit would overlap
    layout["yaxis2"] = {"title": {"text": "drawdown (%)"}, "domain": [0, 0.24], "gridcolor": "#e5e5e5"}
    layout["xaxis"] |= {"anchor": "y2", "type": "date"}
    return {"data": data, "layout": layout}


def information_coefficient(part: EvidencePart) -> Chart:
    """Rank IC of each forecast time, and its rolling mean."""
    data = [
        {
            "type": "scatter", "mode": "markers", "x": part.ic_sessions, "y": part.ic_by_session, "name": "one session",
            "marker": {"color": "#c6c6c6", "size": 3}, "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "lines", "x": part.ic_sessions, "y": part.ic_rolling, "name": "mean of 63",
            "line": {"color": BLUE, "width": 2},
        },
    ]  # fmt: skip
    layout = base_layout("Rank IC, out of sample", "forecast made at the close of", "rank correlation")
    layout["xaxis"]["type"] = "date"
    return {"data": data, "layout": layout}


def groups(part: EvidencePart) -> Chart:
    """Mean realised return of each forecast group, with intervals."""
    figures = part.decile_returns
    data = [
        {
            "type": "bar", "x": [str(n + 1) for n in range(len(figures))],
            "y": in_percent([f.value for f in figures]), "error_y": interval_bars(figures),
            "marker": {"color": BLUE}, "hovertemplate": "group %{x}: %{y:.3f} %<extra></extra>",
        }
    ]  # fmt: skip
    layout = base_layout("What followed, by forecast group", "forecast group, lowest to highest", "mean return (%)")
    layout["xaxis"]["type"] = "category"
    return {"data": data, "layout": layout}


def calibration(part: EvidencePart) -> Chart:
    """Observed against promised share of outcomes below each quantile."""
    levels = [100 * point.level for point in part.calibration]
    observed = [point.observed for point in part.calibration]
    data = [
        {
            "type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100], "name": "perfect",
            "line": {"color": GREY, "dash": "dot", "width": 1}, "hoverinfo": "skip",
        },
        {
            "type": "scatter", "mode": "markers+lines", "x": levels, "y": in_percent([f.value for f in observed]),
            "error_y": interval_bars(observed), "name": "observed", "marker": {"color": BLUE, "size": 8},
            "line": {"color": BLUE, "width": 1},
        },
    ]  # fmt: skip
    title = "Coverage: outcomes below each quantile"
    return {"data": data, "layout": base_layout(title, "promised (%)", "observed (%)")}


def importance(part: EvidencePart) -> Chart:
    """Mean absolute SHAP values, largest on top."""
    top = list(part.importance.items())[:20][::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "x": [1e4 * value for _, value in top], "y": [name for name, _ in top],
            "marker": {"color": GREEN}, "hovertemplate": "%{y}: %{x:.3f} bps<extra></extra>",
        }
    ]  # fmt: skip
    layout = base_layout("What the model uses", "mean |SHAP| (basis points of forecast return)", "")
    layout["height"] = 120 + 19 * len(top)
    layout["yaxis"]["dtick"] = 1
    return {"data": data, "layout": layout}
