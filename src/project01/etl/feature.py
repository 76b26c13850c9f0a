"""What a feature is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from project01.domain import InputError
from project01.etl.inputs import Clock, step_inputs

# rank: place among the instruments, -0.5 to 0.5; demean, z_score: against the mean of the instruments; the industry
# forms do the same within each industry.
Across: TypeAlias = Literal["rank", "demean", "z_score", "industry_rank", "industry_demean"]
# What a column of a shared window gives a step: the sum over the window, its greatest value, or the value before it.
Column: TypeAlias = Literal["sum", "highest", "former"]
COLUMN_KINDS: tuple[Column, ...] = ("sum", "highest", "former")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def seldom(function: _Function) -> _Function:
    """Mark a function of steps that few events need: it is compiled as a call, not into each of its callers."""
    return function


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature, defined once for batch, stream and Spark.

    Attributes:
        name: column name.
        group: family it is shown under.
        clock: ``session``: one value a daily bar; ``second``: one value a second.
        kind: ``series``: a step function over one instrument's events; ``cross_section``: another feature set against
            those of the other instruments of one session.
        across: how a cross-section compares.
        inputs: names out of `step_inputs(clock)`, in the order the step takes them; for a cross-section the one feature
            compared.
        window: events (of the second clock: seconds) the value looks back over, the present one included; 1 looks at
            the present event alone.
        warm_up: events with all inputs needed up to and with the first value; before, the value is NaN. For smoothed
            features it is long enough that where the series began no longer matters (1e-6 relative).
        unit: unit of the value.
        missing: what happens at an event that lacks an input.
        scale_free: multiplying all prices by one number leaves the value as it is.
        source: paper or manual of the definition.
        description: one sentence.
        step: the step function; None for a cross-section.
        parameters: whole numbers the step takes before its inputs.
        state_size: numbers of state the step keeps.
        columns: kinds of the columns it keeps in the window of `window` seconds that the features of the second clock
            share, see `steps_window`; all of one kind. The step is then given their places instead of a state of its
            own, only at events of the session that have all inputs, and its value stands once the session has been
            seen for the window.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    window: int
    warm_up: int
    unit: str
    source: str
    description: str
    clock: Clock = "session"
    kind: Literal["series", "cross_section"] = "series"
    across: Across = "rank"
    missing: str = "NaN at a bar that lacks an input; the bar is skipped and does not count in the window"
    scale_free: bool = True
    step: Callable[..., float] | None = None
    parameters: tuple[int, ...] = ()
    state_size: int = 0
    columns: tuple[Column, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"Feature name {self.name!r} cannot be a column name; use letters, digits and _.")
        if (self.kind == "series") != (self.step is not None):
            raise InputError(f"Feature {self.name}: a series feature needs a step function, a cross-section none.")
        known = step_inputs(self.clock)
        unknown = [name for name in self.inputs if name not in known]
        if self.kind == "series" and unknown:
            raise InputError(
                f"Feature {self.name}: unknown input(s) {', '.join(unknown)}; known to the clock {self.clock!r} are "
                f"{', '.join(known)}."
            )
        if self.columns and (self.clock != "second" or self.state_size or len(set(self.columns)) > 1):
            raise InputError(
                f"Feature {self.name}: columns belong to the second clock, are of one kind and leave no state_size; "
                "make two features, or keep everything in the step's own state."
            )
        if self.kind == "cross_section" and len(self.inputs) != 1:
            raise InputError(f"Feature {self.name} compares {len(self.inputs)} features; name exactly one.")

    @property
    def step_name(self) -> str:
        """Name of the step function; empty for a cross-section."""
        return self.step.__name__ if self.step is not None else ""
