"""Stories and posts by the instruments they name, each with when it was known and when it was withdrawn."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, SchemaError, trading_calendar

Times = NDArray[np.int64]
Flags = NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max
_NEEDED = ("source", "source_id", "symbol", "knowledge_time")
_WITHDRAWALS = ("retract", "delete")
# Columns that may be absent, with their type.
_OPTIONAL: dict[str, type[pl.DataType]] = {
    "symbols": pl.String,
    "action": pl.String,
    "novelty": pl.Float64,
    "relevance": pl.Float64,
    "author": pl.String,
    "author_verified": pl.Boolean,
    "followers": pl.Int64,
    "reposts": pl.String,
}


@dataclass(frozen=True)
class Named:
    """What names one instrument, in the order in which it became known; arrays of shape (n,).

    Attributes:
        times: when it was known, microseconds since 1970.
        withdrawn: when it was known to be withdrawn; `NEVER`.
        is_first: the first of its text on its day.
        after_hours: the exchange was closed.
        weights: novelty, relevance, is_repost, is_verified, followers by name, as numbers.
        authors: a number for each author.
    """

    times: Times
    withdrawn: Times
    is_first: Flags
    after_hours: Flags
    weights: dict[str, FloatArray]
    authors: Times


class Mentions:
    """One table of news or tweets, gone through once."""

    def __init__(self, rows: pl.DataFrame, text: str) -> None:
        """Sort the rows by what they name.

        A story counts from its first version on; later versions of it, and edits of a post, are no new ones. It is
        withdrawn from the time at which that became known.

        Args:
            rows: of the news or the tweets table, every version of each.
            text: the column whose repetition within a day in New York makes a copy.
        Raises:
            SchemaError: a column is missing.
        """
        missing = [name for name in (*_NEEDED, text) if name not in rows.columns]
        if missing:
            raise SchemaError(f"Rows with {text} lack {', '.join(missing)}; found {', '.join(rows.columns)}.")
        absent = [pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in rows.columns]
        self._stories = _stories(rows.with_columns(absent), text)

    @cached_property
    def times(self) -> Times:
        """When each story or post was known, ascending."""
        return _whole(self._stories["at"])

    @cached_property
    def distinct(self) -> tuple[Times, Times]:
        """Of those that are the day's first of their text: when known, ascending, and when withdrawn."""
        rows = self._stories.filter(pl.struct("text", "day").is_first_distinct())
        return _whole(rows["at"]), _whole(rows["withdrawn"])

    @cached_property
    def by_symbol(self) -> dict[str, Named]:
        """What names each instrument."""
        symbols = pl.concat_list(pl.col("symbols").str.split("|").fill_null([]), pl.col("symbol"))
        named = self._stories.with_columns(symbol=symbols.list.unique(maintain_order=True)).explode("symbol")
        named = named.filter(pl.col("symbol").is_not_null() & (pl.col("symbol") != ""))
        named = named.with_columns(is_first=pl.struct("symbol", "text", "day").is_first_distinct())
        parts = named.partition_by("symbol", as_dict=True, maintain_order=True)
        return {str(symbol): _named(own) for (symbol,), own in parts.items()}


def _stories(rows: pl.DataFrame, text: str) -> pl.DataFrame:
    """One row a story or post, in the order in which they became known, with when each was withdrawn."""
    at = pl.col("knowledge_time").dt.epoch("us")
    action = pl.col("action").fill_null("new")
    identity = ["source", "source_id"]
    withdrawn = rows.filter(action.is_in(_WITHDRAWALS)).group_by(identity).agg(at.min().alias("withdrawn"))
    versions = rows.filter(~action.is_in([*_WITHDRAWALS, "edit"])).with_columns(at=at)
    # Vendors of analytics tell one story once for each entity under different ids; symbol is then part of the order.
    first = versions.sort("at", *identity, "symbol", nulls_last=True).unique(
        identity, keep="first", maintain_order=True
    )
    return first.join(withdrawn, on=identity, how="left", maintain_order="left").select(
        "symbol",
        "symbols",
        "at",
        pl.col("withdrawn").fill_null(NEVER),
        pl.col(text).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars().alias("text"),
        pl.col("knowledge_time").dt.convert_time_zone("America/New_York").dt.date().alias("day"),
        "novelty",
        "relevance",
        pl.col("author").fill_null("").rank("dense").cast(pl.Int64).alias("author"),
        pl.col("author_verified").fill_null(value=False).alias("is_verified"),
        pl.col("followers").fill_null(0),
        (pl.col("reposts").is_not_null() | pl.col(text).str.starts_with("RT @")).alias("is_repost"),
    )


def _named(rows: pl.DataFrame) -> Named:
    times = _whole(rows["at"])
    is_first = rows["is_first"].to_numpy()
    columns = {"relevance": rows["relevance"].fill_null(0.0), "followers": rows["followers"]}
    columns["novelty"] = rows.select(pl.coalesce("novelty", pl.col("is_first").cast(pl.Float64))).to_series()
    columns |= {name: rows[name] for name in ("is_verified", "is_repost")}
    return Named(
        times,
        _whole(rows["withdrawn"]),
        is_first,
        _after_hours(times),
        {name: column.cast(pl.Float64).to_numpy() for name, column in columns.items()},
        _whole(rows["author"]),
    )


def _after_hours(times: Times) -> Flags:
    """Whether the exchange was closed; it is still open at its close."""
    sessions = trading_calendar().as_frame()
    opens, closes = (_whole(sessions[name].dt.epoch("us")) for name in ("open_at", "close_at"))
    before = np.searchsorted(opens, times, side="right") - 1
    closed: Flags = (before < 0) | (times > closes[np.maximum(before, 0)])
    return closed


def _whole(column: pl.Series) -> Times:
    return column.cast(pl.Int64).to_numpy()
