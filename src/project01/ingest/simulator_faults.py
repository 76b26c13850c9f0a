"""Corporate actions and feed faults laid over a clean simulated market, with a record of each."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import CORPORATE_ACTIONS, FloatArray
from project01.ingest.simulator_market import DailyMarket
from project01.ingest.simulator_settings import (
    SESSIONS_PER_YEAR,
    SOURCE_NAME,
    Faults,
    MarketSettings,
    Stream,
    exchange,
)
from project01.ingest.source import Batch

BoolArray = NDArray[np.bool_]

SPLIT_RATIOS = (2.0, 3.0, 1.5, 0.1)  # new shares for one old
DIVIDEND_YIELDS = (0.002, 0.012)
FIRST_DELISTING = 21  # sessions a symbol trades at least
ANNOUNCED_AHEAD = 10  # sessions between a split's or dividend's announcement and its first session
CORRECTED_WITHIN = 10  # sessions
FURTHEST_JUMP = 500.0  # rows that a displaced row moves at most


@dataclass(frozen=True)
class CorporateHistory:
    """What happens to the symbols; arrays (n_sessions, n_symbols).

    Attributes:
        ratio: new shares for one old, effective from that session's open; 1 where there is no split.
        payout: dividend as a share of the last close before; 0 where there is none.
        halted: no bar, the symbol still listed.
        delisted: from this session on the symbol trades no more.
    """

    ratio: FloatArray
    payout: FloatArray
    halted: BoolArray
    delisted: BoolArray

    @property
    def absent(self) -> BoolArray:
        """Where there is no bar."""
        return self.halted | self.delisted


@dataclass(frozen=True)
class RowFaults:
    """Bars the feed got wrong, each frame with columns symbol and session, sorted.

    Attributes:
        duplicates: delivered twice, identical.
        conflicts: delivered twice with equal knowledge_time; close is the true one, wrong_close the other.
        corrections: first published as wrong_close, later as close, with corrected_at.
        displaced: rows delivered out of order, with source_id.
    """

    duplicates: pl.DataFrame
    conflicts: pl.DataFrame
    corrections: pl.DataFrame
    displaced: pl.DataFrame


def draw_history(settings: MarketSettings, faults: Faults) -> CorporateHistory:
    """Splits, dividends, halts and delistings of a market, independent of its prices."""
    shape = (settings.sessions, settings.symbols)
    delisted = _draw_delisted(settings, faults, shape)
    halted = _draw_halted(settings, faults, shape) & ~delisted
    # A halt that ran into the delisting would make the last session ambiguous.
    halted &= ~_within_next(delisted & ~_shift(delisted), faults.halt_sessions_max)
    generator = settings.generator(Stream.ACTIONS)
    absent = halted | delisted
    # Only between two bars, so that each action shows in the ratio of two neighbouring closes.
    possible = ~absent & ~_shift(absent)
    possible[0] = False
    chance, kind, size = (generator.random((settings.sessions, 3, settings.symbols))[:, part] for part in range(3))
    split_chance = faults.splits_per_symbol_year / SESSIONS_PER_YEAR
    dividend_chance = faults.dividends_per_symbol_year / SESSIONS_PER_YEAR
    split = possible & (chance < split_chance)
    dividend = possible & ~split & (chance < split_chance + dividend_chance)
    ratios = np.asarray(SPLIT_RATIOS)[(kind * len(SPLIT_RATIOS)).astype(np.int64)]
    low, high = DIVIDEND_YIELDS
    return CorporateHistory(
        ratio=np.where(split, ratios, 1.0),
        payout=np.where(dividend, low + (high - low) * size, 0.0),
        halted=halted,
        delisted=delisted,
    )


def publish(market: DailyMarket, history: CorporateHistory) -> DailyMarket:
    """`market` as an exchange would publish it: raw prices and shares, NaN where there is no bar.

    `adj_close` stays the clean close, so a split or dividend moves `close` but not the ratio of two adj_closes.
    """
    shares = np.cumprod(history.ratio, axis=0)
    scale = shares / np.cumprod(1 - history.payout, axis=0)
    gap = np.where(history.absent, np.nan, 1.0)
    prices = {name: getattr(market, name) / scale * gap for name in ("open", "high", "low", "close")}
    return replace(
        market, **prices, adj_close=market.adj_close * gap, volume=np.maximum(np.round(market.volume * shares), 1) * gap
    )


def action_rows(published: DailyMarket, history: CorporateHistory) -> pl.DataFrame:
    """Rows of the table corporate_actions without `ingested_at`, sorted by its key.

    A split or dividend is known 10 sessions ahead (at the first close at the earliest), a halt at the open of its
    first session, a delisting at the last close; `effective` is the first session concerned.
    """
    halt_starts = history.halted & ~_shift(history.halted)
    delistings = history.delisted & ~_shift(history.delisted)
    before = np.vstack([np.full_like(published.close[:1], np.nan), published.close[:-1]])
    frames = [
        _actions(published, "split", history.ratio != 1, ratio=history.ratio),
        _actions(published, "dividend", history.payout > 0, amount=history.payout * before),
        _actions(published, "halt", halt_starts),
        _actions(published, "delisting", delistings),
    ]
    return Batch.of(CORPORATE_ACTIONS, pl.concat(frames).sort("symbol", "kind", "effective")).rows


def disturb(rows: pl.DataFrame, settings: MarketSettings, faults: Faults) -> tuple[pl.DataFrame, RowFaults]:
    """Daily bars as a bad feed delivers them: some twice, some wrong at first, some out of order.

    Args:
        rows: clean rows of the table bars, sorted by symbol and session.
        settings: of the market the rows come from.
        faults: how often.
    """
    generator = settings.generator(Stream.ROWS)
    fate, blend, delay = generator.random((3, rows.height))
    limits = np.cumsum([faults.duplicate_share, faults.conflict_share, faults.correction_share])
    duplicate, conflict = fate < limits[0], (limits[0] <= fate) & (fate < limits[1])
    known = exchange()
    place = known.index_of(rows["session"].to_numpy())
    later = place + 1 + (delay * CORRECTED_WITHIN).astype(np.int64)
    corrected = (limits[1] <= fate) & (fate < limits[2]) & (later <= settings.session_rows()[-1])
    # Anywhere between low and high, so that the wrong bar passes every check a bar can pass by itself.
    wrong = rows.with_columns(
        (pl.col("low") + (pl.col("high") - pl.col("low")) * pl.Series(blend)).alias("wrong_close"),
        pl.Series(known.opens[np.minimum(later, len(known.opens) - 1)]).dt.replace_time_zone("UTC").alias("fixed_at"),
    )
    twins = [
        rows.filter(duplicate),
        _as_wrong(wrong.filter(conflict), ":b"),
        rows.filter(corrected).with_columns(
            wrong.filter(corrected)["fixed_at"].alias("knowledge_time"), pl.col("source_id") + ":c"
        ),
    ]
    first = pl.when(pl.Series(corrected)).then("wrong_close").otherwise("close").alias("wrong_close")
    delivered = pl.concat([_as_wrong(wrong.with_columns(first), ""), *[t.select(rows.columns) for t in twins]])
    delivered = delivered.sort("symbol", "event_time", "knowledge_time", "source_id", maintain_order=True)
    shuffled, displaced = _displace(delivered, settings, faults.disorder_share)
    told = wrong.select("symbol", "session", "close", "wrong_close", pl.col("fixed_at").alias("corrected_at"))
    return shuffled, RowFaults(
        duplicates=told.filter(duplicate).select("symbol", "session"),
        conflicts=told.filter(conflict).drop("corrected_at"),
        corrections=told.filter(corrected),
        displaced=displaced,
    )


def _as_wrong(rows: pl.DataFrame, mark: str) -> pl.DataFrame:
    """`rows` with their wrong_close as close; adj_close follows, as it would at a vendor."""
    return rows.with_columns(
        pl.col("wrong_close").alias("close"),
        (pl.col("adj_close") * (pl.col("wrong_close") / pl.col("close"))).alias("adj_close"),
        pl.col("source_id") + mark,
    ).drop("wrong_close", "fixed_at")


def _displace(rows: pl.DataFrame, settings: MarketSettings, share: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    generator = settings.generator(Stream.ORDER)
    chosen = generator.random(rows.height) < share
    # Half a row on top, so that a displaced row never ties with one that kept its place.
    jump = np.round(generator.uniform(2, FURTHEST_JUMP, rows.height)) + 0.5
    place = np.arange(rows.height) + np.where(chosen, jump, 0.0)
    order = np.argsort(place, kind="stable")
    moved = rows.filter(chosen).select("symbol", "session", "source_id", "knowledge_time")
    return rows[order], moved.sort("symbol", "session", "source_id", "knowledge_time")


def _draw_delisted(settings: MarketSettings, faults: Faults, shape: tuple[int, int]) -> BoolArray:
    strikes = settings.generator(Stream.DELISTINGS).random(shape) < (
        faults.delistings_per_symbol_year / SESSIONS_PER_YEAR
    )
    strikes[:FIRST_DELISTING] = False
    gone: BoolArray = np.logical_or.accumulate(strikes, axis=0)
    return gone


def _draw_halted(settings: MarketSettings, faults: Faults, shape: tuple[int, int]) -> BoolArray:
    start, length = (settings.generator(Stream.HALTS).random((shape[0], 2, shape[1]))[:, part] for part in range(2))
    starts = start < faults.halts_per_symbol_year / SESSIONS_PER_YEAR
    starts[0] = False
    lengths = np.where(starts, 1 + (length * faults.halt_sessions_max).astype(np.int64), 0)
    halted = np.zeros(shape, dtype=np.bool_)
    for day in range(faults.halt_sessions_max):
        halted[day:] |= lengths[: shape[0] - day] > day
    return halted


def _shift(flags: BoolArray) -> BoolArray:
    """`flags` one session later; false in the first."""
    return np.vstack([np.zeros_like(flags[:1]), flags[:-1]])


def _within_next(flags: BoolArray, sessions: int) -> BoolArray:
    """Where one of the next `sessions` sessions is flagged."""
    found = np.zeros_like(flags)
    for ahead in range(1, min(sessions, len(flags) - 1) + 1):
        found[:-ahead] |= flags[ahead:]
    return found


def _actions(
    market: DailyMarket,
    kind: str,
    where: BoolArray,
    *,
    ratio: FloatArray | None = None,
    amount: FloatArray | None = None,
) -> pl.DataFrame:
    session, symbol = np.nonzero(where)
    known = exchange()
    place = known.index_of(market.sessions)
    if kind == "halt":
        told = known.opens[place[session]]
    else:
        told = known.closes[place[np.maximum(session - (1 if kind == "delisting" else ANNOUNCED_AHEAD), 0)]]
    effective = pl.Series(market.sessions[session]).cast(pl.Date)
    at = pl.Series(told).dt.replace_time_zone("UTC")
    return pl.DataFrame(
        {
            "symbol": pl.Series(market.symbols, dtype=pl.String).gather(symbol),
            "effective": effective,
            "event_time": at,
            "knowledge_time": at,
            "ratio": _values(ratio, where),
            "amount": _values(amount, where),
        }
    ).with_columns(
        pl.lit(SOURCE_NAME).alias("source"),
        pl.lit(value=True).alias("simulated"),
        pl.lit(kind).alias("kind"),
        pl.concat_str(pl.col("symbol"), pl.lit(f":{kind}:"), pl.col("effective").cast(pl.String)).alias("source_id"),
    )


def _values(values: FloatArray | None, where: BoolArray) -> pl.Series:
    return pl.Series(np.full(where.sum(), np.nan) if values is None else values[where]).fill_nan(None)
