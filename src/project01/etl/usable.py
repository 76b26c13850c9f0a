"""Which features the data at hand can carry."""

from collections.abc import Sequence

import polars as pl

from project01.etl.context import FEWEST_IN_MARKET, Context
from project01.etl.feature import Feature
from project01.etl.inputs import MACRO_SERIES, rests_on


def usable(
    features: Sequence[Feature], bars: pl.DataFrame, context: Context | None = None
) -> tuple[tuple[Feature, ...], dict[str, str]]:
    """Features the data can carry, and why each of the others cannot; nothing is made up for them.

    Args:
        features: the catalogue, or a part of it.
        bars: prepared bars.
        context: what is known beside them.
    Returns:
        The features kept, in order, and the reason for each one left out, by name.
    """
    context = context or Context()
    lacking = _lacking(bars, context)
    left_out: dict[str, str] = {}
    for feature in features:
        why = _why_not(feature, lacking, left_out)
        if why:
            left_out[feature.name] = why
    return tuple(feature for feature in features if feature.name not in left_out), left_out


def _lacking(bars: pl.DataFrame, context: Context) -> dict[str, str]:
    """Given inputs, and ``peers`` and ``industry``, that the data does not carry: name -> reason."""
    series = set() if context.macro is None else set(context.macro["series_id"].unique())
    lacking = {
        name: f"needs {name}, which the source does not carry"
        for name in ("open", "high", "low", "volume", "vwap")
        if name not in bars.columns or bars[name].null_count() == bars.height
    }
    lacking |= {
        column: f"needs the series {name}, which no source brought"
        for column, name in MACRO_SERIES.items()
        if name not in series
    }
    symbols = bars["symbol"].n_unique()
    if context.market is None and symbols < FEWEST_IN_MARKET:
        lacking["market_return"] = f"needs an index, or {FEWEST_IN_MARKET} instruments to stand for the market"
    if symbols < 2:
        lacking["peers"] = "ranks instruments, of which there is one"
    return lacking


def _why_not(feature: Feature, lacking: dict[str, str], left_out: dict[str, str]) -> str:
    """The reason a feature cannot be computed; empty where it can."""
    if feature.kind == "cross_section":
        base = feature.inputs[0]
        return f"ranks {base}, which is left out" if base in left_out else lacking.get("peers", "")
    needed = {name: None for given in feature.inputs for name in rests_on(given, feature.clock)}
    return "; ".join(dict.fromkeys(lacking[name] for name in needed if name in lacking))
