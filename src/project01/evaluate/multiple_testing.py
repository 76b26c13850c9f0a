"""Which of many tests are finds, when some must look good by chance alone."""

from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

from project01.domain import InputError
from project01.evaluate.overlapping import mean_overlapping, overlapping_p_value
from project01.evaluate.performance import FEWEST_SESSIONS

Dependence = Literal["positive", "any"]
DISCOVERY_LEVEL = 0.05
_METHOD = {"positive": "bh", "any": "by"}


def discoveries(
    tests: pl.DataFrame, level: float = DISCOVERY_LEVEL, dependence: Dependence = "positive"
) -> pl.DataFrame:
    """Tests with their p-values adjusted so that, of those called discoveries, at most `level` are false on average.

    Args:
        tests: column p_value and any others that name the test. All rows are one family: give all symbols and
            horizons that were looked at, not the good ones. Null or NaN is a test that could not be made.
        level: share of false discoveries allowed.
        dependence: ``positive`` (Benjamini and Hochberg) holds for tests that are independent or move together,
            ``any`` (Benjamini and Yekutieli) for all, at the price of a factor of about ln(n).
    Returns:
        `tests` in their order with q_value (null where no test was made) and discovered.
    Raises:
        InputError: a p-value or the level is outside 0 to 1.
    Source:
        Benjamini and Hochberg, J. Royal Stat. Soc. B 57 (1995); Benjamini and Yekutieli, Annals of Statistics 29
        (2001).
    """
    p_values = tests["p_value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    made = ~np.isnan(p_values)
    if not 0.0 < level < 1.0 or bool(((p_values[made] < 0.0) | (p_values[made] > 1.0)).any()):
        raise InputError(f"Found a level of {level} or a p-value outside 0 to 1; expected both within.")
    adjusted = np.full(len(p_values), np.nan)
    if made.any():
        adjusted[made] = false_discovery_control(p_values[made], method=_METHOD[dependence])
    return tests.with_columns(pl.Series("q_value", adjusted).fill_nan(None), pl.Series("discovered", adjusted <= level))


def ic_p_values(rows: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """For each symbol, whether its forecasts went with its outcomes over time.

    The information coefficient of one symbol is the correlation of the ranks of its forecasts and outcomes, each
    ranked among the symbol's own. Its error allows for labels that overlap.

    Args:
        rows: from `scored`: columns symbol, as_of, mean and label.
        horizon: sessions the labels look ahead.
    Returns:
        Columns symbol, horizon, ic, standard_error, n, p_value (one-sided, IC above zero), sorted by symbol. Null
        figures for a symbol with fewer than 126 outcomes, or whose forecasts or outcomes are all the same.
    """
    usable = rows.filter(pl.col("mean").is_finite() & pl.col("label").is_finite()).sort("symbol", "as_of")
    times = usable["as_of"].unique().sort()
    ranked = usable.select(
        "symbol",
        times.search_sorted(usable["as_of"]).alias("step"),
        *(_standing(column).over("symbol").alias(column) for column in ("mean", "label")),
    )
    parts = ranked.partition_by("symbol", as_dict=True)
    found = [
        _one_symbol(symbol, parts.get((symbol,), ranked.clear()), horizon)
        for symbol in rows["symbol"].unique().sort().to_list()
    ]
    columns = {"symbol": pl.String, "horizon": pl.Int64, "ic": pl.Float64, "standard_error": pl.Float64,
               "n": pl.Int64, "p_value": pl.Float64}  # fmt: skip
    return pl.DataFrame(found, schema=columns, orient="row").with_columns(
        pl.col("ic", "standard_error", "p_value").fill_nan(None)
    )


def _standing(column: str) -> pl.Expr:
    rank = pl.col(column).rank()
    return (rank - rank.mean()) / rank.std(ddof=0)


def _one_symbol(symbol: str, part: pl.DataFrame, horizon: int) -> tuple[str, int, float, float, int, float]:
    nothing = float("nan")
    step, product = part["step"].to_numpy(), (part["mean"] * part["label"]).to_numpy()
    if len(step) < FEWEST_SESSIONS or not np.isfinite(product).all():
        return symbol, horizon, nothing, nothing, len(step), nothing
    series = np.full(int(step[-1]) + 1, np.nan)
    series[step] = product
    mean = mean_overlapping(series, horizon)
    return symbol, horizon, mean.value, mean.standard_error, mean.n, overlapping_p_value(series, horizon)


def ic_discoveries(rows: pl.DataFrame, horizon: int, level: float = DISCOVERY_LEVEL) -> pl.DataFrame:
    """Symbols whose information coefficient is a discovery; `ic_p_values`, then `discoveries` over the symbols.

    In 300 simulated markets without skill (12 symbols, 260 sessions, horizon 5, forecasts that last) 0.063 +- 0.014 had
    any discovery at a level of 0.05: the errors are a little too small in short series.

    For several horizons put the frames of `ic_p_values` together and call `discoveries` once: they are one family.
    """
    return discoveries(ic_p_values(rows, horizon), level)
