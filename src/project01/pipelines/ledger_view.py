"""The claim ledger as people look at it: no Sharpe ratio without the trials and the luck behind it."""

from pathlib import Path
from typing import Any

import numpy as np

from project01.evaluate import TrialLedger, deflated_by_trials
from project01.pipelines.claims import kept_returns, read_ledger
from project01.pipelines.evidence import EXCESS, NET, plain
from project01.pipelines.workspace import Workspace, open_workspace


def ledger_rows(out: Path) -> dict[str, Any]:
    """The ledger of a run's folder, verified, for showing.

    Returns:
        head (hash of the chain), trials (fits and back-tests), rows (one an entry, in order; those with a Sharpe ratio
        also with the number of trials and the deflated value, over all trials to date).
    Raises:
        DataError: the chain is broken.
    """
    workspace = open_workspace(out)
    ledger = read_ledger(workspace)
    beside = _luck(workspace, ledger)
    rows = [{**row, **beside.get(row["trial_id"], {})} for row in ledger.to_frame().drop("chain").iter_rows(named=True)]
    trials = sum(bool(trial.score_name) for trial in ledger.trials)
    return {"head": ledger.head, "trials": trials, "rows": rows}


def _luck(workspace: Workspace, ledger: TrialLedger) -> dict[str, dict[str, Any]]:
    """Trials and deflated value of every entry that is a Sharpe ratio."""
    found: dict[str, dict[str, Any]] = {}
    for name in (NET, EXCESS):
        trials = {t.trial_id(): t for t in ledger.trials if t.score_name == name and t.score is not None}
        scores = np.array([trial.score for trial in trials.values()], dtype=np.float64)
        returns = {t.trial_id(): values for t, _, values in kept_returns(workspace, list(trials.values()))}
        for key in trials:
            deflated = None
            if key in returns and float(returns[key].std()) > 0:
                deflated = plain(deflated_by_trials(returns[key], np.empty((0, 0)), scores).deflated)
            found[key] = {"trials": len(scores), "deflated_sharpe": deflated}
    return found
