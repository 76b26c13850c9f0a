"""How much was written about each instrument between its bars, of what was known with them."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from project01.domain import FloatArray
from project01.etl.mentions import Flags, Mentions, Named, Times

# The longest closure of the exchange in this century apart from 2001: a source silent for longer has ended.
COVERAGE_DAYS = 5
_DAY_US = 86_400_000_000
NEWS = {
    "news_listings": "listings",
    "news_count": "count",
    "news_novelty": "novelty",
    "news_relevance": "relevance",
    "news_after_hours": "after_hours",
    "days_since_news": "days_since",
    "market_news": "market",
}
TWEETS = {
    "tweet_listings": "listings",
    "tweet_count": "count",
    "tweet_authors": "authors",
    "tweet_reposts": "is_repost",
    "tweet_verified": "is_verified",
    "tweet_followers": "followers",
    "tweet_after_hours": "after_hours",
    "days_since_tweet": "days_since",
    "market_tweets": "market",
}
# Inputs that need a column of their own.
_COLUMNS = {
    "news_relevance": "relevance",
    "tweet_authors": "author",
    "tweet_verified": "author_verified",
    "tweet_followers": "followers",
}


def attention_at(bars: pl.DataFrame, mentions: Mentions, wanted: Mapping[str, str]) -> dict[str, FloatArray]:
    """What was written in each bar's window: after the bar before was known, until the bar was known.

    A story that was withdrawn by then is not in it; one withdrawn later stays in the windows that counted it, where it
    did draw attention. A window is covered when it begins after the first story that named the instrument, and the
    source was not silent for more than `COVERAGE_DAYS` when it ended: then no story means 0, else NaN.

    Args:
        bars: prepared bars.
        mentions: news or tweets.
        wanted: name of the input -> what it counts, as in `NEWS` and `TWEETS`.
    Returns:
        Shape (n_rows,) for each name.
    """
    known = bars["knowledge_time"].dt.epoch("us").to_numpy()
    symbols = bars["symbol"]
    begins = symbols.ne_missing(symbols.shift()).to_numpy() if bars.height else np.zeros(0, np.bool_)
    if bars.height:
        begins[0] = True
    # The first bar of an instrument has no bar before; nothing is covered before the end of time.
    before = np.where(begins, np.iinfo(np.int64).min, np.roll(known, 1)) if bars.height else known
    alive = _alive(mentions.times, known)
    found = {name: np.full(bars.height, np.nan) for name in wanted}
    starts = np.flatnonzero(begins)
    for first, last in zip(starts, [*starts[1:], bars.height], strict=True):
        named = mentions.by_symbol.get(symbols[int(first)].partition("#")[0])
        if named is None:
            continue
        own = slice(first, last)
        covered = alive[own] & (before[own] >= named.times[0])
        place = np.searchsorted(known[own], named.times, side="left")
        for name, what in wanted.items():
            if what == "days_since":
                found[name][own] = np.where(alive[own], _days_since(named, known[own]), np.nan)
            elif what != "market":
                found[name][own] = np.where(covered, _count(named, what, place, known[own]), np.nan)
    for name in [name for name, what in wanted.items() if what == "market"]:
        covered = alive & (before >= (mentions.times[0] if len(mentions.times) else np.iinfo(np.int64).max))
        found[name] = np.where(covered, _whole_market(mentions.distinct, before, known), np.nan)
    return found


def lacking_attention(rows: pl.DataFrame | None, names: Sequence[str], what: str) -> dict[str, str]:
    """Inputs the rows cannot carry: name -> reason."""
    if rows is None:
        return dict.fromkeys(names, f"needs {what}, which no source brought")
    told = {column for column in rows.columns if rows[column].null_count() < rows.height}
    return {
        name: f"needs the {_COLUMNS[name]} of {what}, which no source told"
        for name in names
        if name in _COLUMNS and _COLUMNS[name] not in told
    }


def _alive(times: Times, known: Times) -> Flags:
    """Whether the source told anything in the last days before each time."""
    if not len(times):
        return np.zeros(len(known), dtype=np.bool_)
    newest = np.searchsorted(times, known, side="right") - 1
    alive: Flags = (newest >= 0) & (known - times[np.maximum(newest, 0)] <= COVERAGE_DAYS * _DAY_US)
    return alive


def _count(named: Named, what: str, place: Times, known: Times) -> FloatArray:
    """Sum over the window of each bar; `place` is the bar in whose window each mention falls."""
    inside = np.flatnonzero(place < len(known))
    inside = inside[named.withdrawn[inside] > known[place[inside]]]
    if what in ("count", "after_hours", "relevance"):
        inside = inside[named.is_first[inside] & (named.after_hours[inside] | (what != "after_hours"))]
    rows = place[inside]
    if what == "authors":
        pairs = np.unique(np.stack([rows, named.authors[inside]]), axis=1)
        rows, weights = pairs[0], np.ones(pairs.shape[1])
    else:
        weights = named.weights[what][inside] if what in named.weights else np.ones(len(inside))
    # bincount adds in the order of the mentions, so the sum never depends on how the work was cut.
    return np.bincount(rows, weights=weights, minlength=len(known)).astype(np.float64)


def _days_since(named: Named, known: Times) -> FloatArray:
    """Days since the last mention that was not withdrawn by then; NaN before the first."""
    newest = np.searchsorted(named.times, known, side="right") - 1
    while True:
        gone = (newest >= 0) & (named.withdrawn[np.maximum(newest, 0)] <= known)
        if not gone.any():
            break
        newest = np.where(gone, newest - 1, newest)
    days = (known - named.times[np.maximum(newest, 0)]) / _DAY_US
    return np.where(newest >= 0, days, np.nan)


def _whole_market(distinct: tuple[Times, Times], before: Times, known: Times) -> FloatArray:
    """Stories of each window, less those withdrawn within it."""
    times, withdrawn = distinct
    count = np.searchsorted(times, known, side="right") - np.searchsorted(times, before, side="right")
    total = count.astype(np.float64)
    for place in np.flatnonzero(withdrawn < np.iinfo(np.int64).max):
        total -= (before < times[place]) & (times[place] <= known) & (withdrawn[place] <= known)
    return total
