"""The sealed holdout: read off the ledger, opened once, never forgotten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import HoldoutError, InputError
from project01.evaluate import Trial, TrialLedger, first_sealed, holdout_of, opening, sealing

FIRST = np.datetime64("2016-03-01")
TRIAL = Trial(
    model="ridge", purpose="back-test", fold=-1, seed=7, settings_hash="s", data_digest="d", code_hash="c",
    rows=1000, score=0.02, score_name="net_sharpe_per_session",
)  # fmt: skip


def trials(first: int, count: int) -> list[Trial]:
    return [replace(TRIAL, seed=seed) for seed in range(first, first + count)]


def test_nothing_sealed_is_no_holdout() -> None:
    assert holdout_of(TrialLedger(trials(0, 3))) is None


def test_the_ledger_tells_when_in_the_course_of_trials_it_was_opened() -> None:
    ledger = TrialLedger([*trials(0, 2), sealing(FIRST, "d"), *trials(2, 3)])
    sealed = holdout_of(ledger)
    assert sealed is not None
    assert (sealed.sealed, sealed.first_session, sealed.trials_before) == (True, FIRST, None)
    ledger.add([opening("final test", sealed)])
    ledger.add(trials(5, 4))
    opened = holdout_of(ledger)
    assert opened is not None
    assert (opened.reason, opened.trials_before, opened.trials_since) == ("final test", 5, 4)
    # And it stays so in a ledger read back.
    assert holdout_of(TrialLedger.from_frame(ledger.to_frame(), [ledger.head])) == opened


def test_opens_once_with_a_reason_and_only_what_was_sealed() -> None:
    ledger = TrialLedger([sealing(FIRST, "d")])
    with pytest.raises(InputError, match="Say why"):
        opening("  ", holdout_of(ledger))
    with pytest.raises(InputError, match="Nothing is sealed"):
        opening("why", None)
    ledger.add([opening("why", holdout_of(ledger))])
    with pytest.raises(InputError, match=r"was opened before \('why'\)"):
        opening("again", holdout_of(ledger))


@given(st.integers(-3, 3))
def test_refuses_to_reach_past_the_seal_and_not_before_it(hours: int) -> None:
    sealed = holdout_of(TrialLedger([sealing(FIRST, "d")]))
    assert sealed is not None
    asked = datetime(2016, 3, 1, tzinfo=UTC) + timedelta(hours=hours)
    if hours > 0:
        with pytest.raises(HoldoutError, match="everything from 2016-03-01 on is sealed"):
            sealed.refuse(asked, "Outcomes")
    else:
        sealed.refuse(asked, "Outcomes")
    ledger = TrialLedger([sealing(FIRST, "d")])
    ledger.add([opening("why", sealed)])
    opened = holdout_of(ledger)
    assert opened is not None
    opened.refuse(asked, "Outcomes")


@pytest.mark.parametrize(("history", "wanted", "sealed"), [(5000, 252, 252), (500, 252, 50), (500, 0, 0), (9, 252, 0)])
def test_seals_what_is_asked_but_a_tenth_of_the_history_at_most(history: int, wanted: int, sealed: int) -> None:
    sessions = np.datetime64("2000-01-03") + np.arange(history)
    first = first_sealed(sessions, wanted)
    assert (0 if first is None else int((sessions >= first).sum())) == sealed
