"""The report is self-contained, honest about missing values, safe against hostile names, and really draws."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import plotly.graph_objects as go
import pytest
from tests.report.conftest import example

from project01.report import Figure, Figures, render_html, with_error

CHARTS = 13


def charts_in(html: str) -> dict[str, dict[str, object]]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    charts: dict[str, dict[str, object]] = msgspec.json.decode(found.group(1))
    return charts


def without_plotly(html: str) -> str:
    """The document without the charting library's own text."""
    return re.sub(r"<script>/\*\*.*?</script>", "", html, flags=re.DOTALL)


def test_nothing_is_loaded_from_outside(figures: Figures) -> None:
    html = render_html(figures)
    assert re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html) == []
    assert len(html) < 8_000_000


@pytest.mark.slow
def test_equal_figures_give_equal_bytes_in_another_process(figures: Figures) -> None:
    code = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.report.conftest import example\n"
        "from project01.report import render_html\n"
        "html = render_html(example([f'SYM{n:02d}' for n in range(20)]))\n"
        "print(hashlib.sha256(html.encode()).hexdigest())"
    )
    root = str(Path(__file__).parents[2])
    runs = [
        subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True) for _ in "ab"
    ]
    assert runs[0].stdout == runs[1].stdout


def test_every_chart_is_a_valid_plotly_figure(figures: Figures) -> None:
    charts = charts_in(render_html(figures))
    assert len(charts) == CHARTS
    for chart in charts.values():
        drawn = go.Figure(chart)  # validates every attribute
        assert drawn.layout.title.text
        assert len(drawn.data) > 0


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<b>X</b>", '"><img src=x onerror=alert(1)>'])
def test_hostile_symbols_are_escaped(name: str) -> None:
    html = without_plotly(render_html(example([name, "B", "C"])))
    assert name not in html
    assert charts_in(html)["chart-forecasts"]["data"][2]["y"][-1] == name  # type: ignore[index]


def test_missing_values_show_as_a_dash(figures: Figures) -> None:
    unknown = figures.backtest.sharpe.model_copy(update={"value": None, "low": None, "deflated_sharpe": None})
    bare = figures.backtest.model_copy(update={"sharpe": unknown})
    html = without_plotly(render_html(figures.model_copy(update={"backtest": bare})))
    text = re.sub(r"<[^>]+>|\{.*?\}", " ", html)
    assert "—" in text
    assert re.findall(r"\b(nan|None|inf)\b", text) == []


@pytest.mark.parametrize("simulated", [True, False])
def test_the_banner_stands_exactly_over_simulated_data(simulated: bool) -> None:
    html = render_html(example(["A", "B", "C"], simulated=simulated))
    assert ('class="simulated"' in html) is simulated


def test_the_verdict_comes_before_every_other_figure(figures: Figures) -> None:
    html = render_html(figures)
    assert html.index(figures.verdict.sentence[:20]) < html.index('class="tiles"') < html.index("<h2>")
    # Then the break-even: the first tile, and the first section.
    assert html.index('class="tiles"') < html.index("20.0 bps [") < html.index(with_error(figures.backtest.sharpe))
    assert html.index("<h2>") < html.index("Break-even at") < html.index('id="chart-frontier"')


def sharpe_objects(value: object, path: str = "") -> list[tuple[str, dict[str, object]]]:
    """Every JSON object with a key that names a Sharpe ratio."""
    if isinstance(value, list):
        return [found for place, item in enumerate(value) for found in sharpe_objects(item, f"{path}[{place}]")]
    if not isinstance(value, dict):
        return []
    below = [found for key, item in value.items() for found in sharpe_objects(item, f"{path}.{key}")]
    return [*below, (path, value)] if any("sharpe" in key for key in value) else below


def test_every_sharpe_ratio_in_the_figures_has_trials_and_a_deflated_value(figures: Figures) -> None:
    found = sharpe_objects(msgspec.json.decode(figures.to_json()))
    assert len(found) > 6
    for path, value in found:
        for key in (key for key in value if "sharpe" in key):
            beside = value[key] if isinstance(value[key], dict) and "trials" in value[key] else value
            assert {"trials", "deflated_sharpe"} <= set(beside), f"{path}.{key}"


def test_a_tear_sheet_without_windows_or_industries_is_said_to_have_none(figures: Figures) -> None:
    profits = figures.tear_sheet.contributions.model_copy(update={"by_industry": None})
    sheet = figures.tear_sheet.model_copy(update={"rolling": None, "contributions": profits, "drawdowns": []})
    html = render_html(figures.model_copy(update={"tear_sheet": sheet}))
    assert len(charts_in(html)) == CHARTS - 3
    for said in ("no window is long enough", "No industries were given", "Equity never fell from a peak"):
        assert said in html


def test_no_sharpe_ratio_without_its_trials_and_deflated_value(figures: Figures) -> None:
    html = without_plotly(render_html(figures))
    body = html[html.index("<body>") :]
    shown = with_error(figures.backtest.sharpe)
    places = [match.start() for match in re.finditer(re.escape(shown), body)]
    assert len(places) >= 3
    for place in places:
        near = body[max(0, place - 1500) : place + 400]
        assert "42" in near
        assert "deflated" in near
        assert "0.310" in near


def test_figures_validate_against_their_published_schema(figures: Figures) -> None:
    jsonschema.validate(msgspec.json.decode(figures.to_json()), Figures.model_json_schema())
    assert Figures.model_validate_json(figures.to_json()) == figures


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        (Figure(value=None), "—"),
        (Figure(value=0.5), "0.50"),
        (Figure(value=0.5, standard_error=0.1), "0.50 ± 0.10"),
        (Figure(value=0.5, low=0.2, high=0.8), "0.50 [0.20, 0.80]"),
    ],
)
def test_a_figure_shows_the_error_it_has(part: Figure, shown: str) -> None:
    assert with_error(part) == shown


@pytest.mark.slow
def test_a_real_browser_draws_every_chart(figures: Figures, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; install Debian's package chromium to draw the report")
    page = tmp_path / "report.html"
    page.write_text(render_html(figures), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
               "--virtual-time-budget=10000", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    for name in charts_in(done.stdout):
        drawn = done.stdout[done.stdout.index(f'id="{name}"') :]
        assert "<svg" in drawn[:3000], f"{name} was not drawn"
