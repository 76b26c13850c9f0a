"""What a feature is, and what a step function may be given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from project01.domain import InputError

# What comes with each bar from outside, in the order the compiled functions take it; NaN where it is missing.
# Prices and volume as the bar has them, `factor` from `prepare_bars`, the rest known with the bar.
BAR_INPUTS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "factor",
    "market_return",
    "vix",
    "us10y",
    "weekday",
    "month_share",
    "month_left",
)

# What a step may ask for -> the columns of the bars it rests on. Prices in steps are total-return prices
# (price x factor), volume is in shares of the first bar's size (volume / factor), dollar_volume is as traded.
STEP_INPUTS: dict[str, tuple[str, ...]] = {
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "dollar_volume": ("volume",),
    "previous": ("close",),
    "log_return": ("close",),
    "simple_return": ("close",),
    "market_return": (),
    "vix": (),
    "us10y": (),
    "weekday": (),
    "month_share": (),
    "month_left": (),
}

MACRO_SERIES = {"vix": "VIX", "us10y": "DGS10"}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature, defined once for batch, stream and Spark.

    Attributes:
        name: column name.
        group: family it is shown under.
        kind: ``series``: a step function over one instrument's bars; ``cross_section``: the rank of another feature
            among the instruments of one session, in [-0.5, 0.5].
        inputs: names out of `STEP_INPUTS`, in the order the step takes them; for a cross-section the ranked feature.
        window: bars the value looks back over, the present one included; 1 looks at the present bar alone.
        warm_up: bars with all inputs needed up to and with the first value; before, the value is NaN. For smoothed
            features it is long enough that where the series began no longer matters (1e-6 relative).
        unit: unit of the value.
        missing: what happens at a bar that lacks an input.
        scale_free: multiplying all prices by one number leaves the value as it is.
        source: paper or manual of the definition.
        description: one sentence.
        step: the step function out of `steps`; None for a cross-section.
        parameters: whole numbers the step takes before its inputs.
        state_size: numbers of state the step keeps.
    """

    name: str
    group: str
    inputs: tuple[str, ...]
    window: int
    warm_up: int
    unit: str
    source: str
    description: str
    kind: Literal["series", "cross_section"] = "series"
    missing: str = "NaN at a bar that lacks an input; the bar is skipped and does not count in the window"
    scale_free: bool = True
    step: Callable[..., float] | None = None
    parameters: tuple[int, ...] = ()
    state_size: int = 0

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InputError(f"Feature name {self.name!r} cannot be a column name; use letters, digits and _.")
        if (self.kind == "series") != (self.step is not None):
            raise InputError(f"Feature {self.name}: a series feature needs a step function, a cross-section none.")
        unknown = [name for name in self.inputs if name not in STEP_INPUTS]
        if self.kind == "series" and unknown:
            raise InputError(
                f"Feature {self.name}: unknown input(s) {', '.join(unknown)}; known are {', '.join(STEP_INPUTS)}."
            )

    @property
    def step_name(self) -> str:
        """Name of the step function; empty for a cross-section."""
        return self.step.__name__ if self.step is not None else ""
