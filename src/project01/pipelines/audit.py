"""The look-ahead audit over the chain: adjustment, features, labels' side, every forecaster."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from project01.domain import FORECAST_SCHEMA, FeatureFrame, NotEnoughDataError, TrainingSet
from project01.etl import Feature, compute_features, feature_set, forward_returns, prepare_bars, usable
from project01.evaluate import Leak, WalkForward, cut_times
from project01.evaluate import audit_lookahead as audit
from project01.models import POINT_MODELS, make_forecaster, walk_forward
from project01.pipelines.features import selected
from project01.pipelines.ingest import DAILY, _collect, open_sources
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.market import first_published
from project01.pipelines.progress import Progress
from project01.pipelines.sources import SourceChoice
from project01.pipelines.workspace import Workspace
from project01.settings import DataSettings, FeatureSettings

HORIZON = 5
SPLIT = WalkForward(train_sessions=252, test_sessions=126, purge=HORIZON + 1, horizon=HORIZON)


def _bars(out: Path | None, symbols: int, sessions: int) -> pl.DataFrame:
    """Rows to audit: of a run's lake, or the sample prices; the newest sessions of the first symbols."""
    if out is not None:
        rows = Workspace(out).lake.scan("bars").filter(pl.col("interval") == DAILY, pl.col("source") != "benchmark")
        bars = rows.collect()
    else:
        source = open_sources(SourceChoice.from_options(sample="ohlcv"), DataSettings(), 0)[0]
        bars, _ = _collect(source.read())
    names = sorted(bars["symbol"].unique())[:symbols]
    first = np.sort(bars["session"].unique().to_numpy())[-sessions:][0]
    return bars.filter(pl.col("symbol").is_in(names), pl.col("session") >= pl.lit(first))


def features_of(rows: pl.DataFrame, features: tuple[Feature, ...]) -> pl.DataFrame:
    """What the features step computes from bars, keyed by symbol and as_of."""
    first = first_published(rows.lazy(), END_OF_TIME)
    frame = compute_features(prepare_bars(first), features)
    return frame.rename({"knowledge_time": "as_of"}).drop("event_time")


def _no_forecasts() -> pl.DataFrame:
    return pl.DataFrame(schema={"model": pl.String(), **FORECAST_SCHEMA})


def forecasts_of(rows: pl.DataFrame, features: tuple[Feature, ...], seed: int) -> pl.DataFrame:
    """What the train step forecasts walk-forward from bars: mean and quantiles of every forecaster."""
    bars = prepare_bars(first_published(rows.lazy(), END_OF_TIME))
    names = tuple(feature.name for feature in features)
    frame = compute_features(bars, features).rename({"knowledge_time": "as_of"})
    labels = forward_returns(bars, HORIZON)
    # Rows whose outcome is not known yet are forecast all the same: their label is missing, never trained on.
    joined = frame.join(labels.drop("session"), on=["symbol", "as_of"], how="left").sort("as_of", "symbol")
    never = pl.lit(END_OF_TIME).cast(pl.Datetime("us", "UTC"))
    known = joined.select(pl.coalesce("label_known_at", never).dt.replace_time_zone(None)).to_series()
    training = TrainingSet(
        FeatureFrame(joined.select("symbol", "as_of", "session", *names), names),
        joined["label"].fill_null(np.nan).to_numpy().astype(np.float64),
        joined["raw_label"].fill_null(np.nan).to_numpy().astype(np.float64),
        known.to_numpy().astype("datetime64[us]"),
        HORIZON,
    )
    as_of = joined["as_of"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    models = [name for name in POINT_MODELS if name != "momentum" or "mom_12_1" in names]
    makers = [partial(make_forecaster, name, seed) for name in models]
    try:
        folds = list(SPLIT.split(as_of, training.label_known_at))
    except NotEnoughDataError:
        # Cut so early that nobody could train yet: no forecasts, and there must be none with the true future either.
        folds = []
    found = walk_forward(training, folds, makers).forecasts if folds else _no_forecasts()
    values = ["mean", "q05", "q25", "q50", "q75", "q95"]
    wide = [
        found.filter(pl.col("model") == name).select("symbol", "as_of", pl.col(values).name.prefix(f"{name}."))
        for name in models
    ]
    result = wide[0]
    for other in wide[1:]:
        result = result.join(other, on=["symbol", "as_of"], how="inner")
    return result


def _rows(names: list[str], kind: str, leaks: list[Leak], cuts: int) -> list[dict[str, Any]]:
    first: dict[str, Leak] = {}
    for leak in leaks:
        first.setdefault(leak.output, leak)
    return [
        {"name": name, "kind": kind, "cuts": cuts, "found": str(first[name]) if name in first else ""}
        for name in [*names, *(n for n in first if n not in names)]
    ]


def audit_lookahead(
    out: Path | None,
    times: int,
    seed: int,
    symbols: int,
    sessions: int,
    progress: Progress,
    wanted: FeatureSettings | None = None,
) -> dict[str, Any]:
    """Audit every feature and every forecaster.

    Args:
        out: run whose bars are audited; None: the sample with open, high, low, close and volume.
        times: random times to cut at.
        seed: of the times and of the noise.
        symbols: audited at most.
        sessions: newest sessions audited at most.
        progress: told after each cut.
        wanted: sets and files of features to audit; None: the core set. Forecasters are audited on the core set.
    Returns:
        results (name, kind, cuts, found), leaks (number), sentence.
    """
    rows = _bars(out, symbols, sessions)
    bars = prepare_bars(first_published(rows.lazy(), END_OF_TIME))
    kept, left_out = usable(selected(wanted or FeatureSettings()), bars)
    core, _ = usable(feature_set("core"), bars)
    cuts = cut_times(rows, times, seed)
    names = [feature.name for feature in kept]
    progress.start("features")
    found = audit(
        lambda r: features_of(r, kept), rows, cuts, seed, on_cut=lambda d, t: progress.advance(d, t, "features")
    )
    progress.close()
    progress.start("models")
    later = audit(
        lambda r: forecasts_of(r, core, seed), rows, cuts, seed, on_cut=lambda d, t: progress.advance(d, t, "models")
    )
    progress.close()
    results = _rows(names, "feature", found, len(cuts)) + _rows(list(POINT_MODELS), "forecaster", later, len(cuts))
    leaks = len({leak.output for leak in [*found, *later]})
    verdict = "no value at or before a cut changed" if not leaks else f"{leaks} outputs depend on the future"
    sentence = (
        f"{len(kept)} features and {len(POINT_MODELS)} forecasters at {len(cuts)} times, what was known later replaced "
        f"by noise, by nothing and by restated values: {verdict}."
    )
    return {"results": results, "leaks": leaks, "sentence": sentence, "left_out": left_out, "rows": rows.height}
