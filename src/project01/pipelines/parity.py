"""The same features from every engine, side by side: batch, increments, stream, Spark, table and online store."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    FACTS,
    MACRO,
    NEWS,
    TWEETS,
    InputError,
    NotEnoughDataError,
)  # fmt: skip
from project01.etl import (
    Context,
    Difference,
    Feature,
    FeatureBuild,
    KeptStates,
    StreamState,
    bar_inputs,
    compare,
    compute_features,
    compute_intraday,
    feature_set,
    usable,
)
from project01.ingest import INDEX_SOURCE
from project01.lake import Lake
from project01.pipelines.feature_build import FEATURES
from project01.pipelines.features import selected
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import read_market
from project01.pipelines.parity_seconds import day_of_seconds, seconds_on_spark, seconds_streamed
from project01.pipelines.place import Place
from project01.pipelines.progress import Progress
from project01.pipelines.run import Run
from project01.pipelines.second_bars import trading_day
from project01.pipelines.spark_features import build_on_spark, feature_session
from project01.pipelines.workspace import Workspace
from project01.settings import FeatureSettings
from project01.store import FeatureStore

DAILY_KEYS = ("symbol", "session")
SECOND_KEYS = ("symbol", "event_time")
Engine: TypeAlias = Callable[[], pl.DataFrame]


def parity_of_run(
    out: Path,
    sets: Sequence[str] | None,
    files: Sequence[Path],
    *,
    symbols: int,
    seed: int,
    spark: bool,
    progress: Progress,
) -> dict[str, Any]:
    """`audit_parity` of a run's folder; its own feature sets where none are named.

    Raises:
        InputError: nothing was ingested there, or a set or file cannot be used.
    """
    run = Run.open(out, None, {}, progress)
    run.workspace.require("ingest", "ingest")
    kept = run.settings.features
    wanted = kept.model_copy(update={"sets": tuple(sets or kept.sets), "files": (*kept.files, *files)})
    return audit_parity(run.workspace, wanted, symbols=symbols, seed=seed, progress=progress, spark=spark)


def parity_of_day(live: Path, day: str, *, seed: int, spark: bool, progress: Progress) -> dict[str, Any]:
    """`audit_parity_of_ticks` of a folder of landed live data.

    Raises:
        InputError: the day is no date.
    """
    try:
        asked = date.fromisoformat(day)
    except ValueError as error:
        raise InputError(f"--day {day!r} is no date; write it like 2013-10-07.") from error
    return audit_parity_of_ticks(Place(live).lake, asked, seed=seed, progress=progress, spark=spark)


def audit_parity(
    workspace: Workspace, settings: FeatureSettings, *, symbols: int, seed: int, progress: Progress, spark: bool
) -> dict[str, Any]:
    """Compute the daily features of a run by every engine and compare each with the batch.

    Args:
        workspace: of a run whose bars have landed.
        settings: the sets and files of features compared.
        symbols: compared at most.
        seed: of the symbols, and of where the history is cut.
        progress: told after each engine.
        spark: also on Spark, in a session of its own.
    Returns:
        results (a row for each engine and feature), engines, apart (number of features that do not agree), sentence.
    """
    market = read_market(workspace.lake, END_OF_TIME, settings.industries)
    random = np.random.default_rng(seed)
    every = market.bars["symbol"].unique().sort().to_list()
    chosen = sorted(random.choice(every, size=min(symbols, len(every)), replace=False).tolist())
    bars = market.bars.filter(pl.col("symbol").is_in(chosen))
    context = market.context()
    features, left_out = usable(selected(settings), bars, context)
    batch = compute_features(bars, features, context)
    cut = bars["session"].unique().sort()[int(random.integers(1, bars["session"].n_unique()))]
    series = tuple(feature for feature in features if feature.kind == "series")
    names, streamed = _names(features), _names(series)
    engines: dict[str, tuple[Engine, tuple[str, ...]]] = {
        "increments": (lambda: _in_two(bars, features, context, cut), names),
        "stream": (lambda: _streamed(bars, series, context), streamed),
        "online": (lambda: _online(batch, features, "features"), names),
    }
    if spark:
        engines["spark"] = (lambda: _on_spark(workspace.lake, settings, chosen), names)
    if workspace.lake.exists(FEATURES) and len(chosen) == len(every):
        held = set(workspace.lake.scan(FEATURES).collect_schema().names())
        engines["table"] = (lambda: workspace.lake.scan(FEATURES).collect(), tuple(n for n in names if n in held))
    return _report(batch, engines, DAILY_KEYS, progress) | {"left_out": left_out, "rows": batch.height}


def audit_parity_of_ticks(lake: Lake, day: date, *, seed: int, progress: Progress, spark: bool) -> dict[str, Any]:
    """Replay a day of the topic `ticks` as it landed, through batch, stream and online store.

    The streams get the seconds in the order in which they became known, disturbed by up to `DISORDER` and with every
    twentieth repeated.

    Args:
        lake: with landed trades and quotes, or bars of one second.
        day: in New York.
        seed: of the disorder.
        progress: told after each engine.
        spark: also on Spark Structured Streaming, in a session of its own.
    Returns:
        As `audit_parity`, and made_of (what has landed) and to_spark (what Spark was given; None without it).
    Raises:
        NotEnoughDataError: nothing landed that day, or nothing in time for its seconds.
        MissingExtraError, InputError: Spark or Java is missing.
    """
    found = day_of_seconds(lake, day)
    features = feature_set("intraday")
    names = _names(features)
    batch = compute_intraday(found.rows, features)
    if batch.is_empty():
        raise NotEnoughDataError(f"All that landed of {day} became known too late for any feature. Name another day.")
    engines: dict[str, tuple[Engine, tuple[str, ...]]] = {
        "stream": (lambda: seconds_streamed(found.rows, features, seed), names),
        "online": (lambda: _online(_with_session(batch), features, "features_intraday"), names),
    }
    if spark:
        engines["spark"] = (lambda: seconds_on_spark(found, features, seed), names)
    result = _report(batch, engines, SECOND_KEYS, progress)
    told = f" The seconds were made of {found.made_of}."
    told += f" Spark was given {found.to_spark}." if spark else ""
    return result | {
        "left_out": {}, "rows": batch.height, "sentence": result["sentence"] + told, "made_of": found.made_of,
        "to_spark": found.to_spark if spark else None,
    }  # fmt: skip


def _names(features: Sequence[Feature]) -> tuple[str, ...]:
    return tuple(feature.name for feature in features)


def _report(
    batch: pl.DataFrame,
    engines: dict[str, tuple[Engine, tuple[str, ...]]],
    keys: tuple[str, ...],
    progress: Progress,
) -> dict[str, Any]:
    progress.start("parity")
    found: list[dict[str, Any]] = []
    for done, (engine, (compute, names)) in enumerate(engines.items(), 1):
        other = compute()
        # What is served is the newest row of each symbol, and must not be an older one.
        reference = _newest(batch) if engine == "online" else batch
        found += [{"engine": engine, **_row(difference)} for difference in compare(reference, other, names, keys)]
        progress.advance(done, len(engines), engine)
    progress.close()
    apart = [row for row in found if not row["agrees"]]
    verdict = "all agree" if not apart else f"{len(apart)} do not agree"
    exact = sum(row["unequal"] == 0 for row in found)
    sentence = (
        f"{len(found)} comparisons of a feature of the batch with {', '.join(engines)} on {batch.height} rows: {exact} "
        f"equal in every bit, {verdict}."
    )
    return {"results": found, "engines": list(engines), "apart": len(apart), "sentence": sentence}


def _row(difference: Difference) -> dict[str, Any]:
    where = None if difference.where is None else [str(part) for part in difference.where]
    return asdict(difference) | {"agrees": difference.agrees, "where": where}


def _on_spark(lake: Lake, settings: FeatureSettings, symbols: Sequence[str]) -> pl.DataFrame:
    """A lake with these symbols alone, built on Spark on this machine."""
    # Instruments cut at a break (CSX#2) come with their symbol.
    wanted = [symbol.partition("#")[0] for symbol in symbols]
    session = feature_session("local[2]", "project01-parity")
    try:
        with tempfile.TemporaryDirectory(prefix="project01-parity-") as folder:
            copy = Lake(Path(folder) / "lake")
            for spec in (BARS, CORPORATE_ACTIONS, MACRO, FACTS, NEWS, TWEETS):
                if lake.exists(spec.name):
                    of_them = pl.col("symbol").is_in(wanted) | (pl.col("source") == INDEX_SOURCE)
                    rows = lake.scan(spec.name)
                    copy.replace(spec, (rows.filter(of_them) if spec is BARS else rows).collect())
            build_on_spark(
                copy.url, sets=settings.sets, files=settings.files, industries=settings.industries, session=session
            )
            return copy.scan(FEATURES).filter(pl.col("symbol").is_in(symbols)).collect()
    finally:
        session.stop()


def _in_two(bars: pl.DataFrame, features: Sequence[Feature], context: Context, cut: date) -> pl.DataFrame:
    """All sessions up to one first, then the rest from the states kept."""
    first = FeatureBuild(bars.filter(pl.col("session") < cut), features, context)
    early = list(first.blocks())
    kept = KeptStates(first.digest, first.states, first.rows)
    return pl.concat([*early, *FeatureBuild(bars, features, context, kept=kept).blocks()])


def _streamed(bars: pl.DataFrame, features: Sequence[Feature], context: Context) -> pl.DataFrame:
    """One bar at a time, each instrument's state kept and taken up again half way."""
    rows = bar_inputs(bars, features, context).rows()
    parts, done = [], 0
    for own in bars.partition_by("symbol", maintain_order=True):
        state, values = StreamState(features), np.empty((own.height, len(features)), np.float32)
        for place in range(own.height):
            if place == own.height // 2:
                kept, state = state.to_bytes(), StreamState(features)
                state.restore(kept)
            values[place] = state.update(rows[done + place])
        done += own.height
        parts.append(own.select(DAILY_KEYS).with_columns(pl.from_numpy(values, schema=list(_names(features)))))
    return pl.concat(parts)


def _with_session(batch: pl.DataFrame) -> pl.DataFrame:
    return batch.with_columns(session=trading_day())


def _newest(batch: pl.DataFrame) -> pl.DataFrame:
    return batch.sort("event_time").unique("symbol", keep="last", maintain_order=True)


def _online(batch: pl.DataFrame, features: Sequence[Feature], table: str) -> pl.DataFrame:
    """The newest row of each symbol, pushed in any order and read back."""
    rows = batch.sort("event_time").group_by("symbol", maintain_order=True).tail(3)
    newest = _newest(batch)
    with tempfile.TemporaryDirectory(prefix="project01-parity-") as folder:
        store = FeatureStore(Path(folder) / "feast", Path(folder) / "lake", table=table, time_to_live=timedelta(0))
        try:
            store.apply(features)
            names = _names(features)
            columns = ["symbol", "session", "event_time", "knowledge_time", *names]
            store.push(rows.select(columns).sample(fraction=1.0, shuffle=True, seed=1))
            read = store.online(newest["symbol"].to_list(), names).frame
        finally:
            store.close()
    keys = newest.select("symbol", "event_time")
    return read.drop("as_of", "event_time", strict=False).join(keys, on="symbol", how="inner")
