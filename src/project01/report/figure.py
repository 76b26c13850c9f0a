"""A number with its error: what every figure of a run is made of."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A piece of `figures.json`: frozen, no field but those named, their docstrings in the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Figure(Part):
    """A number with its own error."""

    value: float | None
    """The estimate; null when it could not be computed."""
    standard_error: float | None = None
    low: float | None = None
    """Lower end of the 90 % interval."""
    high: float | None = None
    """Upper end of the 90 % interval."""
    n: int = 0
    """Observations behind it."""
    method: str = ""
    """How the error was found."""


class SharpeFigure(Figure):
    """A Sharpe ratio a year over cash at zero, never without what luck alone would give after as many trials."""

    trials: int
    """Back-tests scored in this folder so far, all of them in the claim ledger."""
    effective_trials: float
    """Independent trials they amount to, by the mean correlation of those whose returns are kept; the deflated value
    allows for all `trials`: their correlation is in the spread of their ratios already."""
    deflated_sharpe: float | None
    """Probability that the true ratio is above `expected_best_by_luck`; null for a series that does not move."""
    expected_best_by_luck: float | None
    """Ratio a year that the best of that many trials would show without any skill."""
    probabilistic_sharpe: float | None
    """Probability that the true ratio is above zero, trials not allowed for."""
    min_track_record_sessions: float | None
    """Sessions until a ratio of this size is above zero with 95 % confidence; null if it is not above zero."""
