"""From trades, quotes and second bars to one row for each second in which something happened."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from project01.domain import InputError, SchemaError, trading_calendar
from project01.etl import seconds_kernel
from project01.etl.bar_builder import build_bars
from project01.etl.bar_versions import INSTANT, SECOND, RevisionLimits, counting_rows
from project01.etl.inputs import SECOND_INPUTS
from project01.etl.sale_conditions import NOTATIONS, Notation, notation_of, updates

# How long after the end of a second what belongs to it may still become known. The tapes ask for trades within 10 s.
PATIENCE = timedelta(seconds=10)
SECOND_KEYS = ("symbol", "event_time", "knowledge_time")
NEW_YORK = "America/New_York"
_PRICES = ("open", "high", "low", "close", "vwap")
_KEY = ["symbol", "event_time"]
_QUOTE_COLUMNS = (
    "source", "source_id", "symbol", "event_time", "knowledge_time", "bid", "bid_size", "ask", "ask_size",
    "bid_exchange", "ask_exchange", "sequence",
)  # fmt: skip
_BAR_COLUMNS = ("source", "symbol", "interval", "event_time", "knowledge_time", *_PRICES, "volume", "trades")
_FOUND = ("signed_volume", "bid", "ask", "bid_size", "ask_size", "quotes", "order_flow_imbalance")
_TICK: dict[str, Any] = {f"value_{n}": pl.Float64 for n in range(6)}


def second_rows(
    trades: pl.DataFrame | None = None,
    quotes: pl.DataFrame | None = None,
    bars: pl.DataFrame | None = None,
    *,
    patience: timedelta = PATIENCE,
    notations: Mapping[str, Notation] = NOTATIONS,
) -> pl.DataFrame:
    """One row for each symbol and second in which something was traded or quoted.

    A row is a function of the set of ticks, whatever their order and repetition. It is made of what was known
    `patience` after the second's end: what became known later (a late report, a cancel) enters no row. Its knowledge
    time is that of the last tick behind it or behind an earlier row of the symbol, since the book and the direction
    of the last trade come from there; of bars alone it is the bar's own. So it never exceeds the end of the second by
    more than `patience`.

    Prices, volume, vwap and count are those of `build_bars`. A trade that may set the last price is signed by the mid
    before it, and by the tick rule at the mid or where there are no quotes; other trades have no side. A quote with
    one side is that of its exchange, and the best is taken of all exchanges; a quote with both sides is the best of
    all exchanges already. Books begin empty each day, in New York.

    Args:
        trades: rows of the lake's trades table, accepted by `check_trades`.
        quotes: rows of the lake's quotes table, accepted by `check_quotes`.
        bars: rows of the lake's bars table, of which those of 1s are taken; instead of trades.
        patience: not more than the watermark of the stream, else it leaves rows out.
        notations: in whose codes a source writes its sale conditions.
    Returns:
        symbol, event_time (end of the second), knowledge_time, then the inputs of the second clock as Float64, NaN
        where not known: quote fields without quotes, signed volume without trades. Sorted by symbol and time.
    Raises:
        InputError: nothing was given, or trades and bars, or a symbol comes from two sources, which must not be counted
            twice.
        SchemaError: columns or types do not fit.
    """
    given = {"trades": trades, "quotes": quotes, "bars": bars}
    for name, frame in given.items():
        if frame is not None:
            _check(frame, name)
    if all(frame is None for frame in given.values()):
        raise InputError("Seconds are made of trades, quotes or second bars; none was given.")
    if trades is not None and bars is not None:
        raise InputError("Seconds are made of trades or of second bars; both were given. Pass one, or call twice.")
    wait = patience // timedelta(microseconds=1)
    traded = _traded(trades, wait, notations)
    quoted = _quoted(quotes, wait)
    priced = _priced(trades, bars, patience, notations)
    rows = _seconds_of(pl.concat([traded, quoted])).join(priced, on=_KEY, how="full", coalesce=True)
    # What was given decides, not what is in it: else a row would tell of trades to come.
    kinds = {"signed_volume": trades} | dict.fromkeys(_FOUND[1:], quotes)
    kinds |= dict.fromkeys(("volume", "trades"), trades if bars is None else bars)
    return _finished(rows, [name for name, frame in kinds.items() if frame is None])


def _check(frame: pl.DataFrame, name: str) -> None:
    needed = {"quotes": _QUOTE_COLUMNS, "bars": _BAR_COLUMNS}.get(name, _KEY)
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise SchemaError(f"The {name} lack column(s) {', '.join(missing)}; found {', '.join(frame.columns)}.")
    for column in ("event_time", "knowledge_time"):
        if frame.schema[column] != INSTANT:
            raise SchemaError(
                f"Column {column} of the {name} is {frame.schema[column]}; it must be {INSTANT}. Cast it."
            )
    rows = frame.filter(pl.col("interval") == "1s") if name == "bars" else frame
    several = rows.group_by("symbol").agg(pl.col("source").unique().sort()).filter(pl.col("source").list.len() > 1)
    if several.height:
        symbol, sources = several.sort("symbol").row(0)
        raise InputError(f"The {name} of {symbol} come from {', '.join(sources)}; pass those of one source.")


def _end() -> pl.Expr:
    """End of the second an instant lies in, microseconds; a second holds its start and not its end."""
    when = pl.col("event_time").to_physical()
    return when - when % SECOND + SECOND


def _traded(trades: pl.DataFrame | None, wait: int, notations: Mapping[str, Notation]) -> pl.DataFrame:
    """Trades that count `wait` microseconds after their second, as ticks."""
    if trades is None:
        return _ticks(pl.DataFrame(), 0)
    every = counting_rows(trades, SECOND, RevisionLimits()).rows
    in_time = pl.col("since") <= pl.col("end") + wait
    taken_out = pl.col("until") <= pl.col("end") + wait
    # That a trade was taken back is known from then on only, also by the second that has lost it.
    known = pl.when(taken_out).then("until").otherwise("since").max().over("symbol", "end")
    rows = every.filter(in_time).with_columns(known.alias("known"), taken_out.alias("taken_out"))
    rows = rows.filter(~pl.col("taken_out"))
    kinds = rows.select("source", "tape", "conditions").unique()
    allowed = [updates(codes, notation_of(source, tape, notations))[0] for source, tape, codes in kinds.rows()]
    kinds = kinds.with_columns(pl.Series("signs", [float(rule.last > 0 and rule.volume) for rule in allowed]))
    counted = kinds.filter(pl.Series([rule.code > 0 for rule in allowed], dtype=pl.Boolean))
    rows = rows.join(counted, on=["source", "tape", "conditions"], nulls_equal=True)
    return _ticks(rows.with_columns(value_0="price", value_1=pl.col("size").cast(pl.Float64), value_2="signs"), 0)


def _quoted(quotes: pl.DataFrame | None, wait: int) -> pl.DataFrame:
    """Quotes known in time, each once, as ticks."""
    if quotes is None:
        return _ticks(pl.DataFrame(), 1)
    rows = quotes.select(*_QUOTE_COLUMNS).with_columns(
        _end().alias("end"), pl.col("knowledge_time").to_physical().alias("known")
    )
    rows = rows.filter(pl.col("known") <= pl.col("end") + wait)
    again = rows.filter(pl.col("source_id").hash().is_duplicated())
    if again.height:
        # One id with other content is a vendor's error; which of them stands must not depend on their order.
        content = [name for name in rows.columns if name not in {"known", "knowledge_time"}]
        once = again.sort(*content, pl.col("known").neg()).unique(
            ["source", "source_id"], keep="last", maintain_order=True
        )
        rows = pl.concat([rows.filter(~pl.col("source_id").hash().is_duplicated()), once])
    names = pl.concat([rows["bid_exchange"], rows["ask_exchange"]]).fill_null("").unique().sort()
    numbers = {
        place: pl.col(name).fill_null("").replace_strict(names, pl.int_range(len(names), eager=True))
        for place, name in (("value_2", "bid_exchange"), ("value_5", "ask_exchange"))
    }
    return _ticks(rows.with_columns(value_0="bid", value_1="bid_size", value_3="ask", value_4="ask_size", **numbers), 1)


def _ticks(rows: pl.DataFrame, kind: int) -> pl.DataFrame:
    """Both kinds of tick in one form."""
    keys: dict[str, Any] = {
        "symbol": pl.String, "event_time": INSTANT, "source_id": pl.String, "sequence": pl.Int64, "end": pl.Int64,
        "known": pl.Int64,
    }  # fmt: skip
    form = keys | _TICK
    if not rows.width:
        return pl.DataFrame(schema=form | {"kind": pl.Int64})
    columns = [pl.col(name) if name in rows.columns else pl.lit(None).alias(name) for name in form]
    return rows.select(column.cast(form[name]) for column, name in zip(columns, form, strict=True)).with_columns(
        pl.lit(kind, pl.Int64).alias("kind")
    )


def _seconds_of(ticks: pl.DataFrame) -> pl.DataFrame:
    """Keys, `known` (microseconds) and what the kernel finds."""
    order = ["symbol", "event_time", "kind", "sequence"]
    rows = ticks.sort(order)
    tied = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in order)
    # Text takes long to sort, and sequence numbers hardly ever leave anything to decide.
    if rows.height > 1 and rows.select(tied.any()).item():
        rows = ticks.sort(*order, "source_id", *_TICK, "known")
    local = pl.col("event_time").dt.convert_time_zone(NEW_YORK).dt.date()
    numbers = rows.select(
        day=pl.struct("symbol", local).rle_id().cast(pl.Int64),
        second=pl.struct("symbol", "end").rle_id().cast(pl.Int64),
    )
    values = rows.select(pl.col(name).fill_null(np.nan) for name in _TICK).to_numpy().reshape(-1, 6)
    found = seconds_kernel.seconds_of(
        numbers["day"].to_numpy(),
        numbers["second"].to_numpy(),
        rows["kind"].to_numpy(),
        np.ascontiguousarray(values[:, :3]),
        np.ascontiguousarray(values[:, 3:]),
        int(np.nanmax(values[:, [2, 5]], initial=0.0)) + 1,
    )
    keys = rows.group_by("symbol", "end", maintain_order=True).agg(pl.col("known").max())
    return keys.select(
        "symbol",
        pl.col("end").cast(INSTANT).alias("event_time"),
        "known",
        *(pl.Series(name, found[:, place]) for place, name in enumerate(_FOUND)),
    )


def _priced(
    trades: pl.DataFrame | None, bars: pl.DataFrame | None, patience: timedelta, notations: Mapping[str, Notation]
) -> pl.DataFrame:
    """Bars of seconds as they stood after `patience`, our own from trades, else the vendor's."""
    form: dict[str, Any] = dict.fromkeys((*_PRICES, "volume", "trades"), pl.Float64)
    if trades is not None:
        rows = build_bars(trades, notations=notations).versions.select(_BAR_COLUMNS)
    elif bars is not None:
        rows = bars.filter(pl.col("interval") == "1s").select(_BAR_COLUMNS)
    else:
        return pl.DataFrame(schema=form | {"symbol": pl.String, "event_time": INSTANT, "bar_known": pl.Int64})
    rows = rows.with_columns(pl.col(name).cast(kind) for name, kind in form.items())
    in_time = rows.filter(pl.col("knowledge_time") - pl.col("event_time") <= patience)
    newest = in_time.sort(*_KEY, "knowledge_time", *form).unique(_KEY, keep="last", maintain_order=True)
    return newest.select(*_KEY, pl.col("knowledge_time").to_physical().alias("bar_known"), *form)


def _finished(rows: pl.DataFrame, unknown: Sequence[str]) -> pl.DataFrame:
    """With every input, missing where it is `unknown` as its kind of tick was not given, and the keys."""
    # A second without a bar had no trades; a bar without a count says nothing about them. Ticks alike.
    silent = {"bar_known": ("volume", "trades"), "known": ("signed_volume", "quotes", "order_flow_imbalance")}
    empty = (pl.col("trades").fill_null(0) == 0) & (pl.col("volume").fill_null(0) == 0) & pl.col("close").is_null()
    end = pl.col("event_time").to_physical()
    # A second that lost all its trades gives no row, but that it has none became known with the cancel.
    known = pl.max_horizontal("known", "bar_known", end)
    # A vendor's bar rests on itself alone; with the time of another, a stream would put it above its own correction.
    if not {"signed_volume", "quotes"} <= set(unknown):
        known = known.cum_max().over("symbol")
    rows = rows.sort(_KEY).with_columns(known.cast(INSTANT).alias("knowledge_time"))
    rows = rows.filter(~empty | (pl.col("quotes").fill_null(0) > 0))
    rows = rows.with_columns(
        *(
            pl.when(name not in unknown)
            .then(pl.coalesce(name, pl.when(pl.col(source).is_null()).then(0.0)))
            .alias(name)
            for source, names in silent.items()
            for name in names
        ),
        (end / SECOND).alias("time"),
        _session_start(rows["event_time"]).alias("session_start"),
    )
    return rows.select(*SECOND_KEYS, *(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in SECOND_INPUTS))


def _session_start(ends: pl.Series) -> pl.Series:
    """Seconds since 1970: the open of regular hours for seconds behind it, else New York's midnight."""
    start = pl.col("end").dt.offset_by("-1s")
    local = start.dt.convert_time_zone(NEW_YORK)
    opens = trading_calendar().as_frame().select(day="session", open_at="open_at")
    joined = pl.DataFrame({"end": ends}).with_columns(day=local.dt.date())
    joined = joined.join(opens, on="day", how="left", maintain_order="left")
    midnight = local.dt.truncate("1d").dt.convert_time_zone("UTC")
    chosen = pl.when(start >= pl.col("open_at")).then("open_at").otherwise(midnight)
    return joined.select((chosen.dt.epoch("us") / SECOND).alias("at"))["at"]
