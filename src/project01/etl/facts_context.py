"""Items of companies' reports as they were known with each bar, in shares of that day's size."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from operator import itemgetter

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, SchemaError
from project01.etl.f_score import f_score
from project01.etl.facts_items import ITEMS, MEANINGS, Meaning
from project01.etl.facts_ledger import BALANCES, COLUMNS, QUARTERLY, QUARTERLY_REVENUE, YEARS, CompanyLedger

# The smallest companies file 90 days after the year's end, so until then the year before is the newest there is.
LIFE_DAYS = 365 + 90 + 5
# Rounding of prices moves the ratio of a split by less; few dividends or spin-offs come as near to one.
SPLIT_SLACK = 2e-3
# Smaller steps are dividends, or cannot be told from them.
LEAST_SPLIT = 1.15
_ROUND = (*(Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)),)
_BROKEN = (Fraction(6, 5), Fraction(5, 4), Fraction(4, 3), Fraction(3, 2), Fraction(5, 3), Fraction(5, 2))
SPLIT_RATIOS = np.array(sorted(float(part) for ratio in (*_ROUND, *_BROKEN) for part in (ratio, 1 / ratio)))

_NEEDED = ("symbol", "concept", "period_start", "period_end", "value", "unit", "knowledge_time")
_DAY_US = 86_400_000_000
# Company, microseconds since 1970 at which it became known, item, first and last day, rank, value, day it became known.
_Fact = tuple[str, int, int, int, int, int, float, int]
_END_OF = {
    **{f"{name}_ttm{suffix}": "year_end" for name in YEARS for suffix in ("", "_before")},
    **{f"{name}{suffix}": "balance_end" for name in BALANCES for suffix in ("", "_before")},
    **dict.fromkeys((*QUARTERLY, *QUARTERLY_REVENUE), "quarter_end"),
    "shares": "shares_end",
    "shares_before": "shares_end",
}
REPORT_AGE, SCORE = "days_since_report", "f_score_share"
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


def known_items(
    bars: pl.DataFrame, facts: pl.DataFrame, actions: pl.DataFrame | None, names: Sequence[str]
) -> dict[str, FloatArray]:
    """Items of each bar's company, of the facts known with the bar.

    An item about a time more than `LIFE_DAYS` before the session is missing. Numbers of shares are in shares of the
    bar's day: splits that took effect after the number was told, and were known with the bar, are counted in.

    Args:
        bars: prepared bars.
        facts: rows of the facts table, every version of each.
        actions: rows of the corporate actions table, for splits; None: splits are the steps of the bars' factor that
            have a split's ratio.
        names: of the fundamental family.
    Returns:
        Shape (n_rows,) for each name.
    Raises:
        SchemaError: the facts lack a column.
    """
    known = bars["knowledge_time"].dt.epoch("us").to_numpy()
    found = np.full((len(COLUMNS), bars.height), np.nan)
    age = np.full(bars.height, np.nan)
    events = _events(bars, facts)
    symbols = bars["symbol"]
    starts = np.flatnonzero(symbols.ne_missing(symbols.shift()).to_numpy()) if bars.height else np.zeros(0, np.int64)
    for first, last in zip(starts, [*starts[1:], bars.height], strict=True):
        times, values = events.get(_company(symbols[int(first)]), (np.zeros(0, np.int64), np.zeros((0, 0))))
        newest = np.searchsorted(times, known[first:last], side="right") - 1
        told = first + np.flatnonzero(newest >= 0)
        newest = newest[newest >= 0]
        if len(told):
            found[:, told] = values[newest].T
            age[told] = (known[told] - times[newest]) / _DAY_US
    _forget_stale(found, bars)
    _resize(found, bars, splits_of(bars, actions))
    items = {name: found[place] for name, place in _PLACE.items()} | {REPORT_AGE: age}
    if SCORE in names:
        items[SCORE] = f_score(items)
    return {name: items[name] for name in names}


def lacking_items(facts: pl.DataFrame | None, names: Sequence[str]) -> dict[str, str]:
    """Inputs no fact can bring: name -> reason."""
    if facts is None:
        return dict.fromkeys(names, "needs companies' reports, which no source brought")
    reported = {ITEMS[MEANINGS[concept].place].name for concept in facts["concept"].unique() if concept in MEANINGS}
    return {
        name: f"needs {' or '.join(needs)}, which no report carries"
        for name in names
        if (needs := _needs(name)) and not reported & set(needs)
    }


def _needs(name: str) -> tuple[str, ...]:
    """Items of which at least one must be reported; empty: whatever is reported does."""
    base = name.removesuffix("_before").removesuffix("_ttm")
    alternatives = {
        "gross_profit": ("gross_profit", "cost_of_revenue"),
        "liabilities": ("liabilities", "equity"),
        "shares": ("shares", "diluted_shares", "diluted_earnings_per_share"),
        **dict.fromkeys(QUARTERLY, ("net_income",)),
        **dict.fromkeys(QUARTERLY_REVENUE, ("revenue",)),
    }
    if name in alternatives or base in alternatives:
        return alternatives.get(name, alternatives.get(base, ()))
    return (base,) if base in (*YEARS, *BALANCES) else ()


def _company(symbol: str) -> str:
    """The ticker of an instrument: ``CSX#2`` is what CSX means after a break."""
    return symbol.partition("#")[0]


def _events(bars: pl.DataFrame, facts: pl.DataFrame) -> dict[str, tuple[NDArray[np.int64], FloatArray]]:
    """Company -> times at which facts became known, and all of `COLUMNS` from each on, shape (n_times, n_columns)."""
    missing = [name for name in _NEEDED if name not in facts.columns]
    if missing:
        raise SchemaError(f"The facts lack {', '.join(missing)}; found {', '.join(facts.columns)}.")
    wanted = bars["symbol"].unique().str.split("#").list.first().unique()
    rows = usable_facts(facts.filter(pl.col("symbol").is_in(wanted.implode())))
    told = rows.select("symbol", "at", "item", "first", "last", "rank", "value", "known").iter_rows()
    return {symbol: _told_by(own) for symbol, own in groupby(told, key=itemgetter(0))}


def usable_facts(facts: pl.DataFrame) -> pl.DataFrame:
    """Facts that mean something here, in the order in which they became known.

    Left out: concepts and currencies not known here, periods that end after the number was told (estimates and
    mistakes), and amounts of a period whose beginning is not told.

    Returns:
        Columns symbol, at (microseconds), known (the day in New York, since 1970), item (place in `ITEMS`), first,
        last (days since 1970), rank, value.
    """
    table = pl.DataFrame(
        [
            (concept, meaning.place, meaning.rank, "|".join(meaning.units), _is_of_a_day(meaning))
            for concept, meaning in MEANINGS.items()
        ],
        schema=["concept", "item", "rank", "units", "of_a_day"],
        orient="row",
    )
    # What is known from midnight on was told the day before.
    day = pl.col("knowledge_time").dt.offset_by("-1us").dt.convert_time_zone("America/New_York").dt.date()
    last = pl.col("period_end").to_physical()
    first = pl.when("of_a_day").then(last).otherwise(pl.col("period_start").to_physical())
    rows = facts.join(table, on="concept").select(
        "symbol",
        pl.col("knowledge_time").dt.epoch("us").alias("at"),
        day.to_physical().alias("known"),
        "item",
        first.alias("first"),
        last.alias("last"),
        "rank",
        pl.col("value").cast(pl.Float64),
        ((pl.col("units") == "") | (pl.col("units") == pl.col("unit"))).alias("in_unit"),
    )
    kept = rows.filter(
        pl.col("in_unit"),
        pl.col("value").is_finite(),
        pl.col("first") <= pl.col("last"),
        pl.col("last") <= pl.col("known"),
    )
    return kept.drop("in_unit").sort("symbol", "at", "item", "last", "first", "rank", "value")


def _is_of_a_day(meaning: Meaning) -> bool:
    return ITEMS[meaning.place].kind in ("instant", "count")


def _told_by(facts: Iterable[_Fact]) -> tuple[NDArray[np.int64], FloatArray]:
    """Of one company: the times at which something became known, and all of `COLUMNS` from each on."""
    times, values = [], []
    ledger = CompanyLedger()
    for at, told in groupby(facts, key=itemgetter(1)):
        for _, _, item, first, last, rank, value, known in told:
            ledger.take(item, (first, last), rank, value, known)
        times.append(at)
        values.append(ledger.values())
    return np.array(times, dtype=np.int64), np.array(values)


def _forget_stale(found: FloatArray, bars: pl.DataFrame) -> None:
    """Put NaN in place of what is about a time too long ago."""
    session = bars["session"].to_physical().to_numpy()
    stale = {end: session - found[_PLACE[end]] > LIFE_DAYS for end in set(_END_OF.values())}
    for name, end in _END_OF.items():
        found[_PLACE[name], stale[end]] = np.nan


def _resize(found: FloatArray, bars: pl.DataFrame, splits: Mapping[str, FloatArray]) -> None:
    """Numbers of shares in shares of each bar's day."""
    symbols = bars["symbol"].to_numpy()
    session = bars["session"].to_physical().to_numpy().astype(np.float64)
    known = bars["knowledge_time"].dt.epoch("us").to_numpy().astype(np.float64)
    for symbol, rows in splits.items():
        first, last = np.searchsorted(symbols, symbol, "left"), np.searchsorted(symbols, symbol, "right")
        own = slice(int(first), int(last))
        for effective, told, ratio in rows:
            by_then = (effective <= session[own]) & (told <= known[own])
            for name in ("shares", "shares_before"):
                before = found[_PLACE[f"{name}_known"], own] < effective
                found[_PLACE[name], own] *= np.where(by_then & before, ratio, 1.0)


def splits_of(bars: pl.DataFrame, actions: pl.DataFrame | None) -> dict[str, FloatArray]:
    """Splits of each instrument: day of effect, microseconds at which it was known, new shares for one old.

    Args:
        bars: prepared bars.
        actions: rows of the corporate actions table; None: they are read off the bars' factor.
    Returns:
        Symbol -> shape (n_splits, 3); instruments without splits are left out.
    """
    rows = _splits_in_factor(bars) if actions is None else _splits_told(bars, actions)
    columns = ("effective", "known", "ratio")
    return {
        str(symbol): own.select(pl.col(name).cast(pl.Float64) for name in columns).to_numpy()
        for (symbol,), own in rows.partition_by("symbol", as_dict=True).items()
    }


def _splits_told(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    instruments = bars.select(pl.col("symbol").alias("instrument").unique()).with_columns(
        symbol=pl.col("instrument").str.split("#").list.first()
    )
    told = actions.filter(pl.col("kind") == "split", pl.col("ratio") > 0).sort("symbol", "effective", "knowledge_time")
    first = told.unique(["symbol", "effective"], keep="first", maintain_order=True)
    return first.join(instruments, on="symbol", maintain_order="left").select(
        pl.col("instrument").alias("symbol"),
        pl.col("effective").to_physical(),
        pl.col("knowledge_time").dt.epoch("us").alias("known"),
        "ratio",
    )


def _splits_in_factor(bars: pl.DataFrame) -> pl.DataFrame:
    """Steps of the factor that are as large and as simple as only splits are; a dividend of the day hides one."""
    step = pl.col("factor") / pl.when(pl.col("symbol") == pl.col("symbol").shift()).then(pl.col("factor").shift())
    moved = bars.select(
        "symbol",
        pl.col("session").to_physical().alias("effective"),
        pl.col("knowledge_time").dt.epoch("us").alias("known"),
        step.alias("ratio"),
    ).filter((pl.col("ratio") >= LEAST_SPLIT) | (pl.col("ratio") <= 1 / LEAST_SPLIT))
    ratio = moved["ratio"].to_numpy()
    nearest = SPLIT_RATIOS[np.abs(np.log(ratio[:, None] / SPLIT_RATIOS)).argmin(axis=1)] if len(ratio) else ratio
    return moved.with_columns(ratio=pl.Series(nearest)).filter(pl.Series(np.abs(ratio / nearest - 1.0) < SPLIT_SLACK))
