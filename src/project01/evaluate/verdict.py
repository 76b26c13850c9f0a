"""One sentence computed by stated rules.

1. **not enough data**: fewer than 252 out-of-sample sessions, fewer than 5 symbols, or an excess without an error.
2. **edge**: all of these hold
   a. the 90 % interval of the net excess return over equal weight lies above zero (a one-sided test at 5 %);
   b. the deflated Sharpe ratio of that excess, over all trials, is at least 0.95;
   c. the excess is above that of the best naive rule;
   d. where at least 10 trials have returns: the probability of backtest overfitting is at most 0.5, what luck gives;
   e. where a sealed holdout was opened: its 90 % interval reaches up to the low end of the excess's.
3. **no edge after costs**: everything else.

Rule 2a alone keeps the rate of false "edge" at or below 5 % in a market without one; the others only lower it. 2d is
passed in about half of all markets without an edge, 2e in more: neither is evidence by itself. Below 10 trials the
probability in 2d has too large an error to decide anything.

No rule of 1 looks at the size of the excess, so a small one is never "not enough data". The sessions that a Sharpe
ratio of the size found would need for 95 % confidence are no rule either: a small excess needs many, and no excess
infinitely many, so "no edge" could never be said. They are given as a reason beside "no edge after costs", because
a track record too short to show such an edge is no proof that there is none.
"""

import math
from dataclasses import dataclass
from typing import Literal

from project01.evaluate.estimate import Estimate

FEWEST_SESSIONS_JUDGED = 252
FEWEST_SYMBOLS_JUDGED = 5
NEEDED_DEFLATED_SHARPE = 0.95
FEWEST_TRIALS_WITH_RETURNS = 10
HIGHEST_OVERFITTING = 0.5

Kind = Literal["edge", "no edge after costs", "not enough data"]


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Attributes:
        excess: net annual return above equal weight, as a fraction; None where there is too little data for one.
        deflated_sharpe: of the excess, in [0, 1].
        best_naive: name and annual excess of the best naive rule; None without one.
        trials: fits and back-tests scored.
        sessions: out of sample.
        symbols: traded.
        simulated: whether the data is made up.
        survivors_only: whether the data keeps only names that still traded at its end.
        effective_trials: independent trials that the trials amount to; said beside their number.
        overfitting: probability of backtest overfitting, in [0, 1]; None if it was not computed.
        trials_with_returns: distinct trials behind `overfitting`.
        sealed: the excess in the sealed holdout, in the units of `excess`; None while it is sealed.
        sessions_needed: for 95 % confidence at the Sharpe ratio found; infinite if that is not above zero.
    """

    excess: Estimate | None
    deflated_sharpe: float | None
    best_naive: tuple[str, float] | None
    trials: int
    sessions: int
    symbols: int
    simulated: bool
    survivors_only: bool
    effective_trials: float | None = None
    overfitting: float | None = None
    trials_with_returns: int = 0
    sealed: Estimate | None = None
    sessions_needed: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome, one sentence, and the numbers that decided it."""

    kind: Kind
    sentence: str
    reasons: tuple[str, ...]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _range(estimate: Estimate) -> str:
    return f"{_points(estimate.low)} to {_points(estimate.high)} % a year"


def _own_rules(evidence: Evidence, excess: Estimate) -> list[tuple[bool, str]]:
    """Rules 2a to 2c: whether each holds, and the numbers that decided it."""
    above = excess.low > 0
    interval = (
        f"The 90 % interval of the excess over equal weight, {_range(excess)}, is {'' if above else 'not '}above zero."
    )
    deflated = evidence.deflated_sharpe
    enough = deflated is not None and deflated >= NEEDED_DEFLATED_SHARPE
    shown = "unknown" if deflated is None else f"{deflated:.3f}"
    independent = "" if evidence.effective_trials is None else f" (about {evidence.effective_trials:.1f} independent)"
    luck = (
        f"The deflated Sharpe ratio of the excess is {shown}, {'at least' if enough else 'below'} "
        f"{NEEDED_DEFLATED_SHARPE}, after {evidence.trials} trials{independent}."
    )
    rules = [(above, interval), (enough, luck)]
    if evidence.best_naive is not None:
        name, naive = evidence.best_naive
        better = excess.value > naive
        earned = f"The naive rule {name} earned {_points(naive)} % a year above equal weight"
        rules.append((better, f"{earned}, {'less' if better else 'no less'}."))
    return rules


def _other_rules(evidence: Evidence, excess: Estimate) -> list[tuple[bool, str]]:
    """Rules 2d and 2e, where there is something to judge by."""
    rules = []
    if evidence.overfitting is not None and evidence.trials_with_returns >= FEWEST_TRIALS_WITH_RETURNS:
        lasting = evidence.overfitting <= HIGHEST_OVERFITTING
        picked = (
            f"The probability that the best of {evidence.trials_with_returns} trials is at or below their median out "
            f"of sample is {evidence.overfitting:.3f}, {'at most' if lasting else 'above'} {HIGHEST_OVERFITTING}."
        )
        rules.append((lasting, picked))
    sealed = evidence.sealed
    if sealed is not None and math.isfinite(sealed.high):
        agrees = sealed.high >= excess.low
        opened = (
            f"In the sealed holdout of {sealed.n} sessions the excess was {_points(sealed.value)} % a year (90 % "
            f"interval {_range(sealed)}), which {'does not contradict' if agrees else 'contradicts'} it."
        )
        rules.append((agrees, opened))
    return rules


def _track_record(evidence: Evidence) -> list[str]:
    """How long a track record would have shown an edge of the size found, where this one is shorter."""
    needed = evidence.sessions_needed
    if needed is None or not math.isfinite(needed) or needed <= evidence.sessions:
        return []
    reason = (
        f"A Sharpe ratio as found needs {math.ceil(needed)} sessions to be above zero with 95 % confidence; there are "
        f"{evidence.sessions}. That is no proof that there is no edge."
    )
    return [reason]


def _cautions(evidence: Evidence) -> list[str]:
    cautions = []
    if evidence.simulated:
        cautions.append("The data is simulated: this says nothing about a real market.")
    if evidence.survivors_only:
        cautions.append("The data keeps only names that survived to its end, which flatters every result.")
    if evidence.sealed is not None and not math.isfinite(evidence.sealed.high):
        cautions.append(f"The sealed holdout has no error ({evidence.sealed.method}), so it was not judged by.")
    return cautions


def judge(evidence: Evidence) -> Verdict:
    """The verdict by the rules in this module's docstring."""
    short = []
    if evidence.sessions < FEWEST_SESSIONS_JUDGED:
        short.append(f"{evidence.sessions} out-of-sample sessions; {FEWEST_SESSIONS_JUDGED} are needed.")
    if evidence.symbols < FEWEST_SYMBOLS_JUDGED:
        short.append(f"{evidence.symbols} symbols; {FEWEST_SYMBOLS_JUDGED} are needed.")
    excess = evidence.excess
    if short or excess is None or not math.isfinite(excess.low):
        sentence = f"Not enough data to judge: {' '.join(short) or 'no excess return could be computed.'}"
        return Verdict("not enough data", sentence, (*short, *_cautions(evidence)))
    range_ = f"{_points(excess.low)} to {_points(excess.high)}"
    size = (
        f"{_points(excess.value)} % a year against equal weight after costs (90 % interval {range_}) "
        f"over {evidence.sessions} sessions"
    )
    rules = _own_rules(evidence, excess) + _other_rules(evidence, excess)
    failed = [said for holds, said in rules if not holds]
    if failed:
        reasons = (*failed, *_track_record(evidence), *_cautions(evidence))
        return Verdict("no edge after costs", f"No edge after costs: {size}.", reasons)
    return Verdict("edge", f"Edge: {size}.", (*(said for _, said in rules), *_cautions(evidence)))
