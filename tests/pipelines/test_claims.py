"""The claim ledger in the lake: appended, shared by writers, vouching for the series behind each score."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from project01.domain import DataError, HoldoutError, TableSpec
from project01.evaluate import LEDGER_SCHEMA, Trial, TrialLedger, deflated_by_trials, digest_of_returns
from project01.pipelines.claims import CLAIM_RETURNS, CLAIMS, Claim, enter, read_ledger, trial_returns
from project01.pipelines.holdout import holdout_in, open_holdout, read_labels, readable_until, seal
from project01.pipelines.instants import END_OF_TIME
from project01.pipelines.ledger_view import ledger_rows
from project01.pipelines.workspace import Workspace

SESSIONS = np.datetime64("2015-01-01") + np.arange(300)
TRIAL = Trial(
    model="ridge", purpose="back-test", fold=-1, seed=7, settings_hash="s", data_digest="d", code_hash="c",
    rows=300, score=0.02, score_name="net_sharpe_per_session",
)  # fmt: skip


def claim(seed: int, first: int = 0) -> Claim:
    days = SESSIONS[first:]
    returns = np.random.default_rng(seed).normal(0, 0.01, len(days))
    return Claim(replace(TRIAL, seed=seed, returns_digest=digest_of_returns(days, returns)), days, returns)


def test_claims_are_appended_and_never_rewritten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = enter(workspace, [claim(1), claim(2)])
    assert workspace.lake.version(CLAIMS.name) == 1
    assert enter(workspace, [claim(2), claim(1)]).head == first.head
    assert workspace.lake.version(CLAIMS.name) == 1
    second = enter(workspace, [claim(1), claim(3)])
    assert [trial.seed for trial in second.trials] == [1, 2, 3]
    history = workspace.lake.history(CLAIMS.name)
    assert set(history["operation"]) <= {"WRITE", "CREATE TABLE"}
    assert read_ledger(workspace).head == second.head
    shown = ledger_rows(tmp_path)
    assert (shown["head"], shown["trials"], len(shown["rows"])) == (second.head, 3, 3)
    returns = claim(3).returns
    luck = deflated_by_trials(returns, np.empty((0, 0)), np.full(3, 0.02))
    assert (shown["rows"][2]["trials"], shown["rows"][2]["deflated_sharpe"]) == (3, luck.deflated)


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    enter(workspace, [claim(0)])

    def write(numbers: range) -> None:
        for number in numbers:
            enter(workspace, [claim(number)])

    writers = [threading.Thread(target=write, args=(range(first, first + 5),)) for first in (1, 6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ledger = read_ledger(workspace)
    assert sorted(trial.seed for trial in ledger.trials) == list(range(11))
    _, returns = trial_returns(workspace, ledger.trials, SESSIONS)
    assert returns.shape == (300, 11)


def test_an_earlier_ledger_is_carried_over_whole(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    old = TrialLedger(replace(TRIAL, seed=seed) for seed in range(4))
    columns = [name for name in LEDGER_SCHEMA if name not in {"returns_digest", "note"}]
    schema = pa.schema([CLAIMS.schema.field(name) for name in columns])
    workspace.lake.replace(TableSpec("trials", schema, CLAIMS.key), old.to_frame().select(columns))
    assert read_ledger(workspace).head == old.head
    ledger = enter(workspace, [claim(9)])
    assert [trial.seed for trial in ledger.trials] == [0, 1, 2, 3, 9]
    assert workspace.lake.scan(CLAIMS.name).collect().height == 5
    assert read_ledger(workspace).head == ledger.head


def test_series_are_those_the_ledger_vouches_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    ledger = enter(workspace, [claim(1), claim(2, first=100)])
    found, returns = trial_returns(workspace, ledger.trials, SESSIONS)
    # The second does not cover all of the sessions asked for.
    assert ([trial.seed for trial in found], returns.shape) == ([1], (300, 1))
    assert np.array_equal(returns[:, 0], claim(1).returns)
    both, later = trial_returns(workspace, ledger.trials, SESSIONS[150:])
    assert ([trial.seed for trial in both], later.shape) == ([1, 2], (150, 2))
    rows = workspace.lake.scan(CLAIM_RETURNS.name).collect()
    flattered = rows.with_columns(pl.col("value") + 0.001)
    workspace.lake.replace(CLAIM_RETURNS, flattered)
    with pytest.raises(DataError, match="not those the claim ledger vouches for"):
        trial_returns(workspace, ledger.trials, SESSIONS)


def test_outcomes_inside_the_holdout_cannot_be_asked_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert readable_until(workspace) == END_OF_TIME
    sealed = seal(workspace, SESSIONS, 252, "d")
    assert sealed is not None
    assert sealed.first_session == SESSIONS[-30]
    # More data later does not move it, fewer wanted neither.
    later = np.datetime64("2015-01-01") + np.arange(600)
    assert seal(workspace, later, 0, "e") == sealed
    with pytest.raises(HoldoutError):
        read_labels(workspace, END_OF_TIME)
    open_holdout(tmp_path, "final test")
    assert readable_until(workspace) == END_OF_TIME
    assert seal(workspace, later, 252, "e") == holdout_in(workspace)
