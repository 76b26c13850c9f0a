"""One sentence computed by stated rules.

1. **not enough data**: fewer than 252 out-of-sample sessions, fewer than 5 symbols, or an excess without an error.
2. **edge**: all of these hold
   a. the 90 % interval of the net excess return over equal weight lies above zero (a one-sided test at 5 %);
   b. the deflated Sharpe ratio of that excess, over all trials, is at least 0.95;
   c. the excess is above that of the best naive rule.
3. **no edge after costs**: everything else.

Rule 2a alone keeps the rate of false "edge" at or below 5 % in a market without one; 2b and 2c only lower it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from project01.evaluate.estimate import Estimate

FEWEST_SESSIONS_JUDGED = 252
FEWEST_SYMBOLS_JUDGED = 5
NEEDED_DEFLATED_SHARPE = 0.95

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
    """

    excess: Estimate | None
    deflated_sharpe: float | None
    best_naive: tuple[str, float] | None
    trials: int
    sessions: int
    symbols: int
    simulated: bool
    survivors_only: bool


@dataclass(frozen=True)
class Verdict:
    """The outcome, one sentence, and the numbers that decided it."""

    kind: Kind
    sentence: str
    reasons: tuple[str, ...]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _failures(evidence: Evidence, excess: Estimate) -> list[str]:
    failed = []
    if not excess.low > 0:
        failed.append(
            f"The 90 % interval of the excess over equal weight, {_points(excess.low)} to "
            f"{_points(excess.high)} % a year, is not above zero."
        )
    deflated = evidence.deflated_sharpe
    if deflated is None or not deflated >= NEEDED_DEFLATED_SHARPE:
        shown = "unknown" if deflated is None else f"{deflated:.3f}"
        failed.append(
            f"The deflated Sharpe ratio of the excess is {shown}, below {NEEDED_DEFLATED_SHARPE}, after "
            f"{evidence.trials} trials."
        )
    if evidence.best_naive is not None and not excess.value > evidence.best_naive[1]:
        name, naive = evidence.best_naive
        failed.append(f"The naive rule {name} earned {_points(naive)} % a year above equal weight, no less.")
    return failed


def _cautions(evidence: Evidence) -> list[str]:
    cautions = []
    if evidence.simulated:
        cautions.append("The data is simulated: this says nothing about a real market.")
    if evidence.survivors_only:
        cautions.append("The data keeps only names that survived to its end, which flatters every result.")
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
    failed = _failures(evidence, excess)
    if failed:
        return Verdict("no edge after costs", f"No edge after costs: {size}.", (*failed, *_cautions(evidence)))
    passed = (
        f"The deflated Sharpe ratio of the excess is {evidence.deflated_sharpe:.3f} after {evidence.trials} trials.",
    )
    return Verdict("edge", f"Edge: {size}.", (*passed, *_cautions(evidence)))
