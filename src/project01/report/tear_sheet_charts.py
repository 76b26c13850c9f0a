"""Charts of the tear sheet and of the frontier, as Plotly specifications."""

from typing import Any

from project01.report.charts import BLUE, GREEN, GREY, ORANGE, VERMILION, Chart, base_layout, in_percent, interval_bars
from project01.report.tear_sheet import Band, Contribution, ExposurePart, FrontierPart, RegimeRow, RollingPart

MOST_CONTRIBUTIONS = 20
# Background of a band: the line's colour, so thin that two bands can lie over each other.
_LIGHT = {BLUE: "rgba(0,114,178,0.18)", ORANGE: "rgba(230,159,0,0.22)", GREEN: "rgba(0,158,115,0.18)"}
_PANEL_GAP, _PANEL_HEIGHT = 0.06, 230


def _two_panels(drawn: Chart, upper: str, lower: str) -> None:
    """Share one time axis between an upper and a lower panel."""
    drawn["yaxis"] |= {"domain": [0.46, 1], "title": {"text": upper}}
    drawn["yaxis2"] = drawn["yaxis"] | {"domain": [0, 0.36], "title": {"text": lower}}
    drawn["xaxis"] |= {"anchor": "y2", "type": "date"}


def _banded(x: list[str], band: Band, name: str, colour: str, axis: str) -> list[Chart]:
    """A line within its band; where the figure is missing, both break off."""
    edge = {"type": "scatter", "mode": "lines", "x": x, "yaxis": axis, "legendgroup": name}
    hidden = {"line": {"width": 0, "color": colour}, "showlegend": False, "hoverinfo": "skip"}
    return [
        edge | hidden | {"y": band.low},
        edge | hidden | {"y": band.high, "fill": "tonexty", "fillcolor": _LIGHT[colour]},
        edge | {"y": band.value, "name": name, "line": {"color": colour, "width": 2}},
    ]


def _level(x: list[str], value: float, name: str, axis: str) -> Chart:
    return {
        "type": "scatter", "mode": "lines", "x": [x[0], x[-1]], "y": [value, value], "yaxis": axis, "name": name,
        "line": {"color": GREY, "width": 1.2, "dash": "dash"},
    }  # fmt: skip


def rolling(part: RollingPart) -> Chart:
    """Sharpe ratio and beta of a moving window, with bands, and the ratio that luck alone would show."""
    x = part.sessions
    data = _banded(x, part.sharpe, "net Sharpe ratio", BLUE, "y")
    if part.expected_best_by_luck is not None:
        data.append(_level(x, part.expected_best_by_luck, f"best of {part.trials} trials by luck", "y"))
    data += _banded(x, part.beta_equal_weight, "beta to equal weight", ORANGE, "y2")
    if part.beta_index is not None:
        data += _banded(x, part.beta_index, "beta to the index", GREEN, "y2")
    title = f"Sharpe ratio ({part.trials} trials, deflated below) and beta, {part.window} sessions"
    drawn = base_layout(title, "last session of the window", "", height=520)
    _two_panels(drawn, "Sharpe ratio a year", "beta")
    drawn["margin"] = drawn["margin"] | {"t": 88}
    return {"data": data, "layout": drawn}


def deflated(part: RollingPart) -> Chart:
    """Deflated Sharpe ratio of each window."""
    data = [
        {
            "type": "scatter", "mode": "lines", "x": part.sessions, "y": part.deflated_sharpe, "name": "deflated",
            "line": {"color": BLUE, "width": 1.6}, "showlegend": False,
        },
        _level(part.sessions, 0.95, "0.95, needed for a verdict", "y"),
    ]  # fmt: skip
    title = f"Deflated Sharpe ratio of each window, {part.trials} trials"
    drawn = base_layout(title, "last session of the window", "probability of skill beyond luck", height=300)
    drawn["xaxis"]["type"] = "date"
    drawn["yaxis"]["range"] = [-0.02, 1.02]
    return {"data": data, "layout": drawn}


def exposure(part: ExposurePart) -> Chart:
    """Gross, net and largest position through time, the number of names beneath."""
    line = {"type": "scatter", "mode": "lines", "x": part.sessions}
    data: list[Chart] = [
        line | {"y": in_percent(values), "name": name, "line": {"color": colour, "width": 1.4, "dash": dash}}
        for name, values, colour, dash in (
            ("gross", part.gross, BLUE, "solid"), ("net", part.net, ORANGE, "dash"),
            ("largest position", part.largest, VERMILION, "solid"),
        )
    ]  # fmt: skip
    names = {"y": part.names, "name": "names", "yaxis": "y2", "showlegend": False, "line": {"color": GREEN, "width": 1}}
    data.append(line | names)
    drawn = base_layout("Exposure at the close", "session", "", height=440)
    _two_panels(drawn, "share of equity (%)", "names held")
    drawn["yaxis"]["rangemode"] = drawn["yaxis2"]["rangemode"] = "tozero"
    return {"data": data, "layout": drawn}


def _bars(rows: list[Contribution], title: str) -> Chart:
    rows = rows[::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "x": [row.profit_cents / 100 for row in rows],
            "y": [row.name for row in rows],
            "marker": {"color": [BLUE if row.profit_cents >= 0 else ORANGE for row in rows]},
            "hovertemplate": "%{y}: %{x:,.2f} USD<extra></extra>",
        }
    ]  # fmt: skip
    drawn = base_layout(title, "net profit (USD)", "", height=130 + 19 * len(rows))
    drawn["yaxis"] |= {"type": "category", "dtick": 1}
    return {"data": data, "layout": drawn}


def contributions(rows: list[Contribution], what: str) -> Chart:
    """Net profit by symbol or industry: all of a few, else the best and the worst twenty."""
    if len(rows) <= 2 * MOST_CONTRIBUTIONS:
        return _bars(rows, f"Net profit by {what}")
    shown = rows[:MOST_CONTRIBUTIONS] + rows[-MOST_CONTRIBUTIONS:]
    return _bars(shown, f"Net profit by {what} (best and worst {MOST_CONTRIBUTIONS} of {len(rows)})")


def regimes(rows: list[RegimeRow]) -> Chart:
    """Excess over equal weight in each kind of market, with intervals."""
    rows = rows[::-1]
    known = {True: ("known before the session", BLUE, "circle"), False: ("known only after it", ORANGE, "diamond")}
    labels = [f"{row.kind}: {row.name}" for row in rows]
    data: list[Chart] = []
    for before, (name, colour, symbol) in known.items():
        chosen = [(label, row) for label, row in zip(labels, rows, strict=True) if row.known_before is before]
        figures = [row.excess_annual for _, row in chosen]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": name, "x": in_percent([f.value for f in figures]),
                "y": [label for label, _ in chosen], "error_x": interval_bars(figures),
                "marker": {"color": colour, "size": 9, "symbol": symbol},
                "hovertemplate": "%{y}: %{x:.1f} % a year<extra></extra>",
            }
        )  # fmt: skip
    title = "Excess over equal weight by kind of market, 90 % intervals"
    drawn = base_layout(title, "net excess, mean of its sessions times 252 (% a year)", "", height=150 + 30 * len(rows))
    drawn["yaxis"] |= {"type": "category", "categoryorder": "array", "categoryarray": labels, "dtick": 1}
    return {"data": data, "layout": drawn}


def share_name(share: float | None) -> str:
    """A share of volume in words."""
    return "no cap on volume" if share is None else f"at most {100 * share:g} % of volume"


def frontier(part: FrontierPart) -> Chart:
    """Excess over equal weight for each cost and delay, one panel for each share of volume."""
    count = len(part.volume_share)
    height = (1.0 - _PANEL_GAP * 2 * (count - 1)) / count
    data: list[Chart] = []
    title = f"Net excess over equal weight (% a year), capital {part.initial_cash_usd:,.0f} USD"
    drawn: dict[str, Any] = base_layout(title, "", "", height=130 + _PANEL_HEIGHT * count)
    drawn["annotations"] = []
    for number, share in enumerate(part.volume_share):
        suffix = "" if number == 0 else str(number + 1)
        values = [in_percent(row) for row in part.annual_excess[number]]
        top = 1.0 - number * (height + 2 * _PANEL_GAP)
        data.append(
            {
                "type": "heatmap", "z": values, "x": [f"{cost:g}" for cost in part.cost_bps],
                "y": [str(delay) for delay in part.delay_bars], "xaxis": f"x{suffix}", "yaxis": f"y{suffix}",
                "text": [["" if v is None else f"{v:.1f}" for v in row] for row in values],
                "texttemplate": "%{text}", "coloraxis": "coloraxis",
                "hovertemplate": "%{x} bps, %{y} bars late: %{z:.2f} % a year<extra></extra>",
            }
        )  # fmt: skip
        x_title = "cost (bps of value traded, one way)" if number == count - 1 else ""
        axis = {"type": "category", "automargin": True}
        drawn[f"xaxis{suffix}"] = axis | {"anchor": f"y{suffix}", "title": {"text": x_title}}
        drawn[f"yaxis{suffix}"] = axis | {
            "anchor": f"x{suffix}", "title": {"text": "delay (bars)"}, "domain": [max(top - height, 0.0), top],
        }  # fmt: skip
        drawn["annotations"].append(
            {
                "text": share_name(share), "xref": "paper", "yref": "paper", "x": 0, "y": top, "xanchor": "left",
                "yanchor": "bottom", "showarrow": False, "font": {"size": 12},
            }
        )  # fmt: skip
    drawn["coloraxis"] = {
        "cmid": 0, "colorscale": [[0, ORANGE], [0.5, "#ffffff"], [1, BLUE]], "colorbar": {"title": {"text": "% a year"}}
    }  # fmt: skip
    return {"data": data, "layout": drawn}
