"""The trial ledger: idempotent, and no row can be changed, moved or removed unseen."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import DataError
from project01.evaluate import LEDGER_SCHEMA, Trial, TrialLedger

TRIAL = Trial(
    model="ridge", purpose="walk-forward", fold=0, seed=7, settings_hash="s", data_digest="d", code_hash="c",
    rows=1000, score=0.02, score_name="rank_ic",
)  # fmt: skip


def ledger_of(rows: int) -> TrialLedger:
    return TrialLedger(replace(TRIAL, fold=fold, score=None if fold == 2 else fold / 7) for fold in range(rows))


def test_the_same_trial_again_is_not_a_new_one() -> None:
    ledger = TrialLedger()
    assert ledger.add([TRIAL, TRIAL]) == 1
    head = ledger.head
    assert ledger.add([replace(TRIAL)]) == 0
    # What was tried names a trial, not how it came out; the first score stands.
    assert ledger.add([replace(TRIAL, score=0.9)]) == 0
    assert ledger.trials[0].score == 0.02
    assert (len(ledger), ledger.head) == (1, head)
    assert ledger.add([replace(TRIAL, seed=8), replace(TRIAL, settings_hash="t"), replace(TRIAL, data_digest="e")]) == 3


def test_reads_back_equal_in_any_row_order() -> None:
    ledger = ledger_of(6)
    frame = ledger.to_frame()
    assert dict(frame.schema) == LEDGER_SCHEMA
    back = TrialLedger.from_frame(frame.reverse(), heads=[ledger_of(3).head, ledger.head])
    assert (back.trials, back.head) == (ledger.trials, ledger.head)
    assert len(TrialLedger.from_frame(TrialLedger().to_frame(), heads=[TrialLedger().head])) == 0


@given(st.integers(0, 5), st.sampled_from([name for name in LEDGER_SCHEMA if name not in {"position", "trial_id"}]))
def test_any_changed_field_is_found(row: int, column: str) -> None:
    frame = ledger_of(6).to_frame()
    other = pl.lit("x") if frame.schema[column] == pl.String else pl.lit(99, frame.schema[column])
    changed = frame.with_columns(pl.when(pl.col("position") == row).then(other).otherwise(column).alias(column))
    with pytest.raises(DataError, match="chain is broken"):
        TrialLedger.from_frame(changed)


@given(st.integers(0, 4))
def test_a_row_removed_from_within_is_found_even_if_the_rest_is_renumbered(row: int) -> None:
    frame = ledger_of(6).to_frame().filter(pl.col("position") != row)
    for rest in (frame, frame.with_columns(pl.int_range(pl.len()).alias("position"))):
        with pytest.raises(DataError, match="chain is broken"):
            TrialLedger.from_frame(rest)


def test_newest_rows_cut_off_are_found_by_a_head_noted_earlier() -> None:
    ledger = ledger_of(6)
    with pytest.raises(DataError, match="newest rows were removed"):
        TrialLedger.from_frame(ledger.to_frame().head(4), heads=[ledger.head])
