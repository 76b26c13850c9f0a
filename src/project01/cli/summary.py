"""Results as rows of text for the terminal."""

from typing import Any

Table = tuple[str, list[str], list[list[str]]]
MOST_ROWS = 10


def _percent(value: float | None, digits: int = 1) -> str:
    # Adding zero turns a rounded minus zero into zero.
    return "-" if value is None else f"{round(100 * value, digits) + 0.0:.{digits}f} %"


def _figure(part: dict[str, Any], *, percent: bool = False, digits: int = 2) -> str:
    """A value, in percent if asked, with its 90 % interval: ± where it is symmetric to the digits shown."""
    if part["value"] is None:
        return "-"
    scale = 100.0 if percent else 1.0
    value, low, high = part["value"], part["low"], part["high"]
    text = f"{scale * value:.{digits}f}"
    if low is None or high is None:
        return text
    below, above = (f"{scale * width:.{digits}f}" for width in (value - low, high - value))
    if below == above:
        return f"{text} ±{above}"
    return f"{text} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def summary_lines(summary: dict[str, Any]) -> dict[str, str]:
    """Figures of a step, one line each; nested ones are joined."""
    lines = {}
    for name, value in summary.items():
        if isinstance(value, dict):
            shown = ", ".join(f"{k} {v}" for k, v in value.items() if not isinstance(v, dict | list))
        elif isinstance(value, list):
            shown = f"{len(value)}: {', '.join(map(str, value[:12]))}{', ...' if len(value) > 12 else ''}"
        else:
            shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        lines[name.replace("_", " ")] = shown or "none"
    return lines


def forecast_table(part: dict[str, Any]) -> Table:
    """Ranked forecasts: all of a few, else the best and the worst."""
    rows = part["rows"]
    shown = rows if len(rows) <= 2 * MOST_ROWS else rows[:MOST_ROWS] + rows[-MOST_ROWS:]
    of = "" if len(shown) == len(rows) else f", best and worst {MOST_ROWS} of {len(rows)}"
    title = f"Forecasts of {part['model']} at the close of {part['as_of']}, {part['horizon']} sessions ahead{of}"
    columns = ["symbol", "rank", "mean", "50 % interval", "90 % interval"]
    cells = [
        [
            row["symbol"],
            str(row["rank"]),
            _percent(row["mean"], 2),
            f"{_percent(row['q25'], 2)} to {_percent(row['q75'], 2)}",
            f"{_percent(row['q05'], 2)} to {_percent(row['q95'], 2)}",
        ]
        for row in shown
    ]
    return title, columns, cells


def _models_table(result: dict[str, Any]) -> Table:
    trials = result["backtest"]["trials"]
    columns = ["forecaster", "rank IC", "coverage", "excess, %/year", "net Sharpe", "deflated"]
    rows = [
        [
            f"{m['name']}{'*' if m['traded'] else ''}",
            _figure(m["rank_ic"], digits=3),
            _percent(m["coverage_90"]["value"]),
            _figure(m["excess_annual"], percent=True, digits=1),
            _figure(m["net_sharpe"]),
            _probability(m["net_sharpe"]["deflated_sharpe"]),
        ]
        for m in result["models"]
    ]
    title = (
        f"Out of sample, net of costs; ± is half a 90 % interval;\n"
        f"coverage of the 90 % interval; excess over equal weight; Sharpe deflated by {trials}\n"
        f"trials; * traded, chosen before any result was seen"
    )
    return title, columns, rows


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _break_even_table(frontier: dict[str, Any]) -> Table:
    """What costs, delay and volume leave of the excess over equal weight: the break-even first, then the grid."""
    columns = ["volume", "delay", *(f"{cost:g} bps" for cost in frontier["cost_bps"])]
    rows = []
    for share, by_delay in zip(frontier["volume_share"], frontier["annual_excess"], strict=True):
        name = "no cap" if share is None else f"{100 * share:g} %"
        for delay, by_cost in zip(frontier["delay_bars"], by_delay, strict=True):
            rows.append([name, str(delay), *("-" if v is None else f"{round(100 * v, 1) + 0.0:+.1f}" for v in by_cost)])
    title = (
        f"{frontier['break_even_sentence'].replace('. ', '.' + chr(10))}\n"
        f"Net excess over equal weight, % a year, by cost, delay in bars and most of the volume;\n"
        f"capital {frontier['initial_cash_usd']:,.0f} USD"
    )
    if frontier["volume_share"] == [None]:
        title += "; the source carries no volume"
    return title, columns, rows


def _sharpe_table(backtest: dict[str, Any]) -> Table:
    """The two Sharpe ratios of the traded model, with what luck alone would give."""
    columns = ["Sharpe ratio a year", "value", "trials", "independent", "best by luck", "deflated"]
    rows = [
        [
            name,
            _figure(part),
            str(part["trials"]),
            "-" if part["effective_trials"] is None else f"{part['effective_trials']:.1f}",
            "-" if part["expected_best_by_luck"] is None else f"{part['expected_best_by_luck']:.2f}",
            _probability(part["deflated_sharpe"]),
        ]
        for name, part in (("net", backtest["sharpe"]), ("excess over equal weight", backtest["excess_sharpe"]))
    ]
    return "Traded model; ± is half a 90 % interval; deflated: probability of skill beyond luck", columns, rows


def _data_table(result: dict[str, Any]) -> Table:
    data = result["data"]
    refused = ", ".join(f"{reason} {count}" for reason, count in data["refused_by_reason"].items()) or "none"
    rows = [
        ["data", f"{data['label']}{' (SIMULATED)' if data['simulated'] else ''}"],
        ["span", f"{data['first_session']} to {data['last_session']}, {data['symbols']} symbols"],
        ["bars", f"{data['rows_read']:,} read, {data['rows_accepted']:,} accepted, {data['rows_refused']:,} refused"],
        *(["read as" if number == 0 else "", line] for number, line in enumerate(data["read_as"])),
        ["refused", refused],
        ["features", f"{len(data['features_used'])} used, {len(data['features_left_out'])} left out"],
        ["fills at", f"next {data['fill_price']}"],
    ]
    return "Data", ["", ""], rows


def result_tables(result: dict[str, Any]) -> list[Table]:
    """What a finished run shows before its verdict."""
    return [
        _break_even_table(result["frontier"]),
        _data_table(result),
        forecast_table(result["forecasts"]),
        _models_table(result),
        _sharpe_table(result["backtest"]),
    ]


def order_lines(found: dict[str, Any]) -> dict[str, str]:
    """Figures of a run of orders, one line each."""
    sharpe = found["net_sharpe"]
    deflated = "-" if sharpe["deflated_sharpe"] is None else f"{sharpe['deflated_sharpe']:.3f}"
    return {
        "span": f"{found['first_bar']} to {found['last_bar']}",
        "final equity": f"{found['final_equity_usd']:,.2f} USD",
        "net return, % a year": _figure(found["net_annual_return"], percent=True, digits=1),
        "net Sharpe ratio": f"{_figure(sharpe)}, after {sharpe['trials']} trials; deflated {deflated}",
        "fills": f"{found['fills']:,}, still open {found['still_open']:,}, margin calls {found['margin_calls']}",
        "not filled": ", ".join(f"{why} {count:,}" for why, count in found["unfilled_by_reason"].items()) or "none",
        "turnover a year": f"{found['turnover_annual']:.1f} x equity, one way",
        "costs": ", ".join(f"{name} {usd:,.2f}" for name, usd in found["costs_usd"].items()) + " USD",
        "borrow, dividends": f"{found['borrow_usd']:,.2f}, {found['dividends_usd']:,.2f} USD",
    }


def paths_table(
    models: list[dict[str, Any]], kind: str, *, percent: bool = False, digits: int = 1
) -> tuple[list[str], list[list[str]]]:
    """The walk-forward beside the lowest, middle and highest path: over its sessions, then over all.

    Args:
        models: of `audit_paths`.
        kind: ``rank_ic`` or ``excess_annual``.
        percent: whether figures are shares, to be written in percent.
        digits: behind the point.
    """
    from project01.pipelines import above_zero

    columns = ["forecaster", "walk-forward", "lowest path", "middle", "highest", "above 0"]
    columns += ["all sessions: lowest", "middle", "highest", "above 0"]
    rows = []
    for model in models:
        told = model["walk_forward"]
        row = [model["name"], "-" if told is None else _figure(told[kind].model_dump(), percent=percent, digits=digits)]
        for name in (f"same_{kind}", kind):
            figures = [path[name] for path in model["paths"] if name in path]
            known = sorted((f for f in figures if f.value is not None), key=lambda figure: figure.value)
            ends = [known[place].model_dump() for place in (0, len(known) // 2, -1)] if known else []
            row += [_figure(end, percent=percent, digits=digits) for end in ends] or ["-"] * 3
            row.append(above_zero(figures))
        rows.append(row)
    return columns, rows
