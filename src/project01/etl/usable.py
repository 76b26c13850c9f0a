"""Which features the data at hand can carry."""

from collections.abc import Mapping, Sequence

import polars as pl

from project01.etl.attention_context import NEWS, TWEETS, lacking_attention
from project01.etl.catalogue import catalogue
from project01.etl.context import FEWEST_IN_MARKET, Context
from project01.etl.facts_context import lacking_items
from project01.etl.feature import Feature
from project01.etl.inputs import MACRO_SERIES, SESSION_INPUTS, rests_on


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
    known = {feature.name: feature for feature in (*catalogue(), *features)}
    reasons = {feature.name: _why_not(feature, lacking, known) for feature in features}
    left_out = {name: why for name, why in reasons.items() if why}
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
    reports = [name for name, given in SESSION_INPUTS.items() if given.family == "fundamental"]
    lacking |= lacking_items(context.facts, reports)
    lacking |= lacking_attention(context.news, tuple(NEWS), "news")
    lacking |= lacking_attention(context.tweets, tuple(TWEETS), "tweets")
    if context.adjusted:
        lacking["raw_close"] = "needs the close as traded; the source's are adjusted for later splits"
    symbols = bars["symbol"].n_unique()
    if context.market is None and symbols < FEWEST_IN_MARKET:
        lacking["market_return"] = f"needs an index, or {FEWEST_IN_MARKET} instruments to stand for the market"
    if symbols < 2:
        lacking["peers"] = "ranks instruments, of which there is one"
    if context.industries is None:
        lacking["industry"] = "needs industries, which no source brought"
    return lacking


def _why_not(feature: Feature, lacking: Mapping[str, str], known: Mapping[str, Feature]) -> str:
    """The reason a feature cannot be computed; empty where it can."""
    if feature.kind == "cross_section":
        base = feature.inputs[0]
        if base not in known:
            return f"compares {base}, which is no feature"
        if _why_not(known[base], lacking, known):
            return f"compares {base}, which is left out"
        industry = lacking.get("industry", "") if feature.across.startswith("industry") else ""
        return lacking.get("peers", "") or industry
    # What a feature asks for by name counts too: the close as traded rests on the close, which is there.
    needed = {name: None for given in feature.inputs for name in (given, *rests_on(given, feature.clock))}
    return "; ".join(dict.fromkeys(lacking[name] for name in needed if name in lacking))
