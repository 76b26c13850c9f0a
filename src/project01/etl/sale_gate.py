"""Which trades and quotes are believable enough to make bars and spreads of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import polars as pl

from project01.domain import SchemaError


class TickFault(StrEnum):
    """Why a tick was refused. One that breaks several rules carries the first in this order."""

    MISSING_SYMBOL = "missing_symbol"
    MISSING_PRICE = "missing_price"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE_PRICE = "not_positive_price"
    NEGATIVE_SIZE = "negative_size"
    CROSSED = "crossed"
    CLOCKS_OUT_OF_ORDER = "clocks_out_of_order"
    IN_FUTURE = "in_future"
    BEFORE_LISTING = "before_listing"


@dataclass(frozen=True)
class CheckedTicks:
    """Ticks after the gate; every row given is in one of the two, in the order given.

    Attributes:
        accepted: the rows as they were; quotes with `locked`, whether the bid equals the ask.
        refused: the rows as they were, with `reason`, one of `TickFault`.
    """

    accepted: pl.DataFrame
    refused: pl.DataFrame


def check_trades(trades: pl.DataFrame, *, as_of: datetime, listed: Mapping[str, date] | None = None) -> CheckedTicks:
    """Refuse trades that cannot have happened.

    A cancel need not repeat price and size, so they are not looked at.

    Args:
        trades: rows of the lake's trades table.
        as_of: the instant of taking in, timezone-aware; what is known only later is refused.
        listed: first session of each symbol; a symbol left out is not checked.
    Raises:
        SchemaError: a column is missing.
    """
    _check_columns(trades, ("symbol", "session", "event_time", "knowledge_time", "price", "size", "action"))
    priced = pl.col("action") != "cancel"
    rules = {
        TickFault.MISSING_PRICE: priced & (pl.col("price").is_null() | pl.col("size").is_null()),
        TickFault.NOT_FINITE: priced & (_not_finite("price") | _not_finite("size")),
        TickFault.NOT_POSITIVE_PRICE: priced & (pl.col("price") <= 0),
        TickFault.NEGATIVE_SIZE: priced & (pl.col("size") < 0),
    }
    return _split(trades, rules | _clock_rules(as_of, listed))


def check_quotes(quotes: pl.DataFrame, *, as_of: datetime, listed: Mapping[str, date] | None = None) -> CheckedTicks:
    """Refuse quotes that cannot be: also a bid above the ask of the same row, which no exchange shows.

    A bid equal to the ask, a locked market, is real: it is accepted and flagged. A side that was not sent is null.

    Args:
        quotes: rows of the lake's quotes table.
        as_of: the instant of taking in, timezone-aware; what is known only later is refused.
        listed: first session of each symbol; a symbol left out is not checked.
    Raises:
        SchemaError: a column is missing.
    """
    sides, sizes = ("bid", "ask"), ("bid_size", "ask_size")
    _check_columns(quotes, ("symbol", "session", "event_time", "knowledge_time", *sides, *sizes))
    rules = {
        TickFault.MISSING_PRICE: pl.all_horizontal(pl.col(side).is_null() for side in sides),
        TickFault.NOT_FINITE: pl.any_horizontal(_not_finite(name) for name in (*sides, *sizes)),
        TickFault.NOT_POSITIVE_PRICE: pl.any_horizontal(pl.col(side) <= 0 for side in sides),
        TickFault.NEGATIVE_SIZE: pl.any_horizontal(pl.col(size) < 0 for size in sizes),
        TickFault.CROSSED: pl.col("bid") > pl.col("ask"),
    }
    checked = _split(quotes, rules | _clock_rules(as_of, listed))
    locked = (pl.col("bid") == pl.col("ask")).fill_null(value=False).alias("locked")
    return CheckedTicks(checked.accepted.with_columns(locked), checked.refused)


def _not_finite(name: str) -> pl.Expr:
    return ~pl.col(name).cast(pl.Float64).is_finite()


def _clock_rules(as_of: datetime, listed: Mapping[str, date] | None) -> dict[TickFault, pl.Expr]:
    rules = {
        TickFault.CLOCKS_OUT_OF_ORDER: pl.col("knowledge_time") < pl.col("event_time"),
        TickFault.IN_FUTURE: pl.max_horizontal("event_time", "knowledge_time") > as_of,
    }
    if listed:
        first = pl.col("symbol").replace_strict(listed, default=None, return_dtype=pl.Date)
        rules[TickFault.BEFORE_LISTING] = pl.col("session") < first
    return rules


def _split(ticks: pl.DataFrame, rules: Mapping[TickFault, pl.Expr]) -> CheckedTicks:
    """A comparison with something missing breaks no rule; what may not be missing has its own."""
    rules = {TickFault.MISSING_SYMBOL: pl.col("symbol").fill_null("").str.strip_chars() == "", **rules}
    reason = pl.coalesce(pl.when(rules[fault]).then(pl.lit(fault.value)) for fault in TickFault if fault in rules)
    judged = ticks.with_columns(reason.alias("reason"))
    return CheckedTicks(
        judged.filter(pl.col("reason").is_null()).drop("reason"), judged.filter(pl.col("reason").is_not_null())
    )


def _check_columns(ticks: pl.DataFrame, needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in ticks.columns]
    if missing:
        raise SchemaError(
            f"Ticks lack column(s) {', '.join(missing)}; found {', '.join(ticks.columns)}. "
            "Pass rows of the lake's trades or quotes table."
        )
