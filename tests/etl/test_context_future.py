"""What becomes known beside the bars after a moment changes nothing at it or before: facts, macro, news, tweets."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from tests.etl.conftest import make_bars, make_context

from project01.etl import Context, compute_features, feature_set, prepare_bars

SET_OF = {"facts": "fundamental", "macro": "economy", "news": "attention", "tweets": "attention"}


@pytest.fixture(scope="module")
def market() -> tuple[pl.DataFrame, Context]:
    raw = make_bars(seed=53, symbols=4, sessions=300)
    return prepare_bars(raw), make_context(raw, 53)


def noisy(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Other numbers, texts and names at the same times."""
    random = np.random.default_rng(seed)
    changed = {}
    for name, kind in rows.schema.items():
        if name in ("value", "novelty", "relevance"):
            changed[name] = pl.Series(random.uniform(-1e9, 1e9, rows.height))
        elif name in ("headline", "text", "author", "symbols", "source_id", "reposts", "action"):
            changed[name] = rows[name].shuffle(seed)
        elif kind == pl.Int64:
            changed[name] = pl.Series(random.integers(0, 10**6, rows.height))
    return rows.with_columns(**changed)


@pytest.mark.parametrize("how", ["nothing", "noise", "again", "soon"])
@pytest.mark.parametrize("name", list(SET_OF))
def test_what_becomes_known_later_changes_nothing(market, name: str, how: str) -> None:
    bars, context = market
    features = feature_set(SET_OF[name])
    before = compute_features(bars, features, context)
    rows = getattr(context, name)
    sessions = bars["knowledge_time"].unique().sort()
    for place, shift in ((120, timedelta(0)), (201, timedelta(hours=-3)), (260, timedelta(microseconds=-1))):
        instant = sessions[place] + shift
        early = rows.filter(pl.col("knowledge_time") <= instant)
        late = rows.filter(pl.col("knowledge_time") > instant)
        soon = pl.lit(instant + timedelta(microseconds=1)).alias("knowledge_time")
        others = {
            "nothing": late.clear(),
            "noise": noisy(late, place),
            # All of the past told again in other numbers, and all of the future at once: both just after the moment.
            "again": noisy(early, place).with_columns(soon),
            "soon": late.with_columns(soon),
        }  # fmt: skip
        changed = pl.concat([early, others[how].cast(dict(early.schema))])
        found = compute_features(bars, features, replace(context, **{name: changed}))
        known = pl.col("knowledge_time") <= instant
        unequal = [f.name for f in features if not found.filter(known)[f.name].equals(before.filter(known)[f.name])]
        assert unequal == []
        assert not found.equals(before), "the change must show later, else this test shows nothing"
