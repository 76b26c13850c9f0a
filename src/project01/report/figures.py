"""Every figure of a run, with a documented schema: what `figures.json` holds and the HTML report shows.

Returns, costs and weights are fractions (0.01 is 1 %) unless a name says bps or usd. No wall-clock time, path or
machine name is in here, so two runs on the same data give the same bytes.
"""

from typing import Literal

import msgspec
from pydantic import Field

from project01.report.figure import Figure, Part, SharpeFigure
from project01.report.tear_sheet import FrontierPart, TearSheetPart

SCHEMA_VERSION = 2


class VerdictPart(Part):
    """The answer first."""

    kind: Literal["edge", "no edge after costs", "not enough data"]
    sentence: str
    reasons: list[str]


class DataPart(Part):
    """What was read, refused and left out."""

    label: str
    """Name of the data as the user gave it, without its folder."""
    simulated: bool
    fill_price: str
    """What orders fill at: `open`, or `close` where the source carries no opens."""
    symbols: int
    sessions: int
    first_session: str
    last_session: str
    rows_read: int
    rows_accepted: int
    rows_refused: int
    refused_by_reason: dict[str, int]
    read_as: list[str]
    """How the user's files were read: which column as what, and what was left out; empty for other sources."""
    notes: list[str]
    """Gaps, breaks, survivorship and other cautions, one sentence each."""
    features_used: list[str]
    features_left_out: dict[str, str]
    """Feature -> why."""
    delisted: list[str]
    """Symbols whose bars end before the data does."""


class ForecastRow(Part):
    """One forecast return over the horizon, less the mean of all symbols."""

    rank: int
    symbol: str
    mean: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    drivers: dict[str, float]
    """The features that moved this forecast most: SHAP value in return units."""


class ForecastPart(Part):
    """Newest forecasts, best first."""

    as_of: str
    horizon: int
    model: str
    rows: list[ForecastRow]


class ModelPart(Part):
    """One forecaster, out of sample."""

    name: str
    traded: bool
    """The model chosen before any result was seen; its back-test is the run's result."""
    baseline: bool
    rank_ic: Figure
    ic: Figure
    hit_rate: Figure
    pinball_loss: float | None
    """Mean over the five quantiles, in return units."""
    coverage_50: Figure
    """Share of outcomes inside q25..q75; 0.5 is right."""
    coverage_90: Figure
    """Share of outcomes inside q05..q95; 0.9 is right."""
    net_sharpe: SharpeFigure
    net_annual_return: Figure
    excess_annual: Figure
    """Net return above equal weight, a year."""


class SeriesPart(Part):
    """Equity through time, starting at 1."""

    sessions: list[str]
    strategy: list[float]
    equal_weight: list[float]
    index: list[float | None] | None
    """The index, where there is one."""
    drawdown: list[float]
    """Fall of the strategy from its running peak, zero or negative."""


class OverfittingPart(Part):
    """How likely it is that picking the best of the trials picked luck (CSCV over their kept daily excess returns)."""

    probability: Figure
    """That the best trial of one half of the sessions is at or below the median of all in the other; luck gives 0.5."""
    slope: Figure
    """Sharpe ratio a session, out of sample, lost for one gained in sample by the trial picked."""
    loss: Figure
    """Share of halves in which the trial picked lost to equal weight in the other."""
    trials: int
    """Distinct trials compared."""
    copies: int
    """Trials that equal another in every session."""


class BacktestPart(Part):
    """The traded model's back-test, net of costs."""

    rule: str
    """How forecasts became positions, in words."""
    costs: list[str]
    """Each part of the cost model, in words."""
    sessions: int
    annual_return: Figure
    volatility: Figure
    sharpe: SharpeFigure
    sortino: Figure
    max_drawdown: float
    drawdown_from: str
    drawdown_to: str
    turnover_annual: float
    """One-way, multiples of equity a year."""
    costs_annual: float
    """Costs as a fraction of equity a year."""
    excess_annual: Figure
    """Net return above equal weight, a year."""
    excess_sharpe: SharpeFigure
    """Sharpe ratio of the excess over equal weight (information ratio)."""
    equal_weight_annual: Figure
    index_annual: Figure | None
    trials: int
    """Back-tests scored in this folder, all of them in the claim ledger; the deflated values allow for them."""
    overfitting: OverfittingPart
    fits: int
    """Model fits scored on the way, in the same ledger."""
    orders_refused: int
    notes: list[str]
    series: SeriesPart


class CalibrationPoint(Part):
    """How often outcomes fell below a forecast quantile."""

    level: float
    observed: Figure


class Discovery(Part):
    """A symbol in which the traded model's forecasts rank outcomes through time."""

    symbol: str
    ic: Figure
    q_value: float
    """False discovery rate among all symbols at which it would just count."""


class EvidencePart(Part):
    """Plots of the traded model's evidence."""

    ic_sessions: list[str]
    ic_by_session: list[float | None]
    """Rank IC of each forecast time."""
    ic_rolling: list[float | None]
    """Mean rank IC of the last 63 forecast times."""
    decile_returns: list[Figure]
    """Mean realised return by forecast decile (fewer groups with few symbols), lowest first."""
    symbols_tested: int
    discoveries: list[Discovery]
    """Symbols whose IC is a discovery at a false discovery rate of 5 % (Benjamini-Hochberg), surest first."""
    calibration: list[CalibrationPoint]
    importance: dict[str, float]
    """Feature -> mean absolute SHAP value in return units, largest first."""


class HoldoutPart(Part):
    """The newest part of the data, kept from all research until it is opened, once."""

    state: Literal["none", "sealed", "opened"]
    first_session: str | None
    """From this session on nothing was read by training, tuning or back-tests before it was opened."""
    reason: str | None
    """Why it was opened; null while it is sealed."""
    trials_before: int | None
    trials_since: int | None
    """Trials made after it was opened: with each of them it proves less."""
    sessions: int
    """Sessions of the back-test inside it."""
    excess_annual: Figure | None
    """Net return above equal weight a year, inside it alone; null while it is sealed."""
    rank_ic: Figure | None
    """Of the traded model, inside it alone."""


class ManifestPart(Part):
    """What it takes to reproduce the run."""

    command: str
    seed: int
    settings_hash: str
    code_hash: str
    lock_hash: str
    data_digest: str
    feature_hash: str
    libraries: dict[str, str]
    trial_chain: str
    """Last hash of the claim ledger's chain."""


class Figures(Part):
    """Everything the report shows."""

    schema_version: int = Field(SCHEMA_VERSION, description="Raised when a field changes meaning.")
    verdict: VerdictPart
    data: DataPart
    forecasts: ForecastPart
    models: list[ModelPart]
    backtest: BacktestPart
    evidence: EvidencePart
    frontier: FrontierPart
    tear_sheet: TearSheetPart
    holdout: HoldoutPart
    manifest: ManifestPart

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, not-a-number as null, newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self.model_dump(mode="json"), order="sorted")) + b"\n"
