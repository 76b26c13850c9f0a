"""The gate every bar passes before it enters the lake: accept it, or refuse it whole with a reason."""

import numpy as np
import polars as pl

from project01.domain import BARS, CORPORATE_ACTIONS, TradingCalendar
from project01.ingest.dead_letters import dead_letters
from project01.ingest.gate_rules import EXPLANATIONS, GateOutcome, GateRules, Reason
from project01.ingest.jumps import Jumps, find_jumps
from project01.ingest.source import Batch, batch_schema

PRICES = ("open", "high", "low", "close", "adj_close")
SERIES = ("source", "symbol", "interval")
VERSION = (*BARS.key, "knowledge_time")
_ROW, _REASON, _DETAIL = "__row", "__reason", "__detail"


def gate_bars(rows: pl.DataFrame, calendar: TradingCalendar, rules: GateRules) -> GateOutcome:
    """Judge bars one by one; the verdict on a bar rests on it and on earlier bars only.

    A later version of a bar (same key, later knowledge_time) is judged like the first, against the bar before it.
    Whole rows that repeat another are dropped and counted; a row of the same key and knowledge_time with other values
    is refused. Nothing is filled, mended or rounded.

    Args:
        rows: bars in the form of `batch_schema(BARS)`, in any order.
        calendar: the sessions of the exchange they come from.
        rules: the limits, and the instant of taking in.
    Raises:
        SchemaError: `rows` has other columns or types.
    """
    rows = Batch(BARS, rows).rows
    judged = _without_repeats(rows.with_row_index(_ROW).sort(*VERSION, _ROW))
    judged = judged.with_columns(_row_verdict(judged, calendar, rules).alias(_REASON))
    judged = judged.with_columns(_explanation().alias(_DETAIL))
    jumps, candidates = _judge_jumps(judged, rules)
    judged = _mark_jumps(judged, candidates, jumps)
    refused = judged.filter(pl.col(_REASON).is_not_null())
    accepted = judged.filter(pl.col(_REASON).is_null()).select(rows.columns)
    letters = dead_letters(refused.select(rows.columns), refused[_REASON], refused[_DETAIL], table=BARS.name)
    breaks = _break_rows(candidates[jumps.breaks])
    counts = {"read": rows.height, "accepted": accepted.height, "duplicates": rows.height - judged.height}
    counts |= {"refused": refused.height, "breaks": breaks.height, "spikes": jumps.spikes}
    counts |= _reason_counts(refused) | _quality_counts(accepted) | _gap_counts(accepted, calendar, rules)
    return GateOutcome(accepted, letters, breaks, counts)


def _without_repeats(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows`, sorted, without those that repeat an earlier one of the same key and knowledge_time."""
    content = [*VERSION, "session", *PRICES, "volume"]
    doubled = rows.select(VERSION).is_duplicated()
    if not doubled.any():
        return rows
    kept = rows.filter(doubled).unique(subset=content, keep="first", maintain_order=True)
    return pl.concat([rows.filter(~doubled), kept]).sort(*VERSION, _ROW)


def _row_verdict(rows: pl.DataFrame, calendar: TradingCalendar, rules: GateRules) -> pl.Series:
    """The first rule each row breaks by itself, or null."""
    session = pl.Series(calendar.is_session(rows["session"].to_numpy().astype("datetime64[D]")))
    first_of_key = pl.Series(_first_in_run(rows.select(VERSION)))
    slack = rules.rounding
    low, high = pl.col("low") * (1 - slack), pl.col("high") * (1 + slack)
    numbers = (*PRICES, "volume")
    checks: dict[Reason, pl.Expr | pl.Series] = {
        Reason.MISSING_SYMBOL: pl.col("symbol") == "",
        Reason.MISSING_CLOSE: pl.col("close").is_null(),
        Reason.NOT_FINITE: pl.any_horizontal(pl.col(name).is_finite().not_() for name in numbers),
        Reason.UNKNOWN_OPEN: pl.col("open") == 0,
        Reason.NOT_POSITIVE_PRICE: pl.any_horizontal(pl.col(name) <= 0 for name in PRICES),
        Reason.NEGATIVE_VOLUME: pl.col("volume") < 0,
        Reason.HIGH_BELOW_LOW: high < low,
        Reason.OPEN_OUTSIDE_RANGE: (pl.col("open") < low) | (pl.col("open") > high),
        Reason.CLOSE_OUTSIDE_RANGE: (pl.col("close") < low) | (pl.col("close") > high),
        Reason.CLOCKS_OUT_OF_ORDER: pl.col("knowledge_time") < pl.col("event_time"),
        Reason.IN_FUTURE: pl.col("knowledge_time") > rules.as_of,
        Reason.NOT_A_SESSION: ~session,
        Reason.DUPLICATE_CONFLICT: ~first_of_key,
    }
    verdicts = [pl.when(failed).then(pl.lit(str(reason))) for reason, failed in checks.items()]
    return rows.select(pl.coalesce(verdicts)).to_series()


def _first_in_run(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows of a sorted frame differ from the row before."""
    same = rows.select(pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))).to_series().to_numpy().copy()
    if len(same):
        same[0] = False
    first: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~same
    return first


def _judge_jumps(judged: pl.DataFrame, rules: GateRules) -> tuple[Jumps, pl.DataFrame]:
    """Jumps among the rows that stand so far. A series is walked over the first version of each bar."""
    standing = judged.filter(pl.col(_REASON).is_null())
    first = pl.Series(_first_in_run(standing.select(BARS.key)))
    candidates = standing.filter(first)
    number = np.cumsum(_first_in_run(candidates.select(SERIES))).astype(np.int64)
    jumps = find_jumps(candidates, number, rules)
    return jumps, candidates


def _mark_jumps(judged: pl.DataFrame, candidates: pl.DataFrame, jumps: Jumps) -> pl.DataFrame:
    """`judged` with the reason and the size of the move on every bar that jumped."""
    positions = list(jumps.refused)
    marks = pl.DataFrame(
        {
            _ROW: candidates[_ROW].gather(positions),
            "jump": [str(reason) for reason in jumps.refused.values()],
            "move": [
                f"{EXPLANATIONS[reason]}: {jumps.gross[row] - 1:+.1%} against the last accepted bar"
                for row, reason in jumps.refused.items()
            ],
        },
        schema={_ROW: pl.UInt32, "jump": pl.String, "move": pl.String},
    )
    joined = judged.join(marks, on=_ROW, how="left", maintain_order="left")
    return joined.with_columns(
        pl.coalesce(_REASON, "jump").alias(_REASON), pl.coalesce(_DETAIL, "move").alias(_DETAIL)
    ).drop("jump", "move")


def _explanation() -> pl.Expr:
    words = {str(reason): text for reason, text in EXPLANATIONS.items()}
    return pl.col(_REASON).replace_strict(words, default=None, return_dtype=pl.String)


def _break_rows(first: pl.DataFrame) -> pl.DataFrame:
    """One row of kind "break" for each first bar of a new level."""
    rows = first.with_columns(
        pl.concat_str("source_id", pl.lit(":break")).alias("source_id"),
        pl.lit("break").alias("kind"),
        pl.col("session").alias("effective"),
    )
    return Batch.of(
        CORPORATE_ACTIONS, rows.select(c for c in batch_schema(CORPORATE_ACTIONS) if c in rows.columns)
    ).rows


def _reason_counts(refused: pl.DataFrame) -> dict[str, int]:
    met = refused[_REASON].value_counts().rows()
    return {f"refused.{reason}": count for reason, count in sorted(met)}


def _quality_counts(accepted: pl.DataFrame) -> dict[str, int]:
    """Accepted bars without trades, and bars without an open in series that carry opens."""
    carries_opens = pl.col("open").is_not_null().any().over(SERIES)
    found = accepted.select(
        (pl.col("volume") == 0).sum().alias("zero_volume"),
        (pl.col("open").is_null() & carries_opens).sum().alias("missing_open"),
    )
    return {name: int(found[name][0] or 0) for name in found.columns}


def _gap_counts(accepted: pl.DataFrame, calendar: TradingCalendar, rules: GateRules) -> dict[str, int]:
    """Sessions without an accepted bar inside the lives of the series."""
    position = calendar.index_of(accepted["session"].to_numpy().astype("datetime64[D]"))
    steps = accepted.select(*SERIES, pl.Series("position", position)).select(
        (pl.col("position").diff().over(SERIES) - 1).alias("missing")
    )
    missing = steps.filter(pl.col("missing") > 0)["missing"]
    return {
        "missing_sessions": int(missing.sum()),
        "long_gaps": int((missing > rules.long_gap).sum()),
        "longest_gap": int(missing.max() or 0),  # type: ignore[arg-type]
    }
