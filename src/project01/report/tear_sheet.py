"""The tear sheet: a back-test by month, fall, window, position, cost, symbol and kind of market.

Returns, weights and shares of equity are fractions; profits are whole cents, so that they add up exactly.
"""

from pydantic import Field

from project01.report.figure import Figure, Part


class YearRow(Part):
    """Net returns of one calendar year, compounded from sessions."""

    year: int
    months: list[float | None]
    """Twelve, January first; null for a month without a session. The first and last may be parts of a month."""
    total: float
    equal_weight: float
    """Equal weight of all symbols, net, over the same sessions."""


class Extremes(Part):
    """The best and the worst month, year or session."""

    period: str
    best_when: str
    best: float
    worst_when: str
    worst: float


class DrawdownRow(Part):
    """One time under water, by closes."""

    depth: float
    """Trough over peak less 1."""
    peak: str
    """Session of the last close at the running peak."""
    trough: str
    recovered: str | None
    """Session of the first close back at the peak; null: not by the end."""
    sessions_down: int
    """From peak to trough."""
    sessions_up: int | None
    """From trough to recovery."""
    sessions: int
    """From peak to recovery, or to the end."""


class Band(Part):
    """A figure by window, with the ends of its 90 % interval."""

    value: list[float | None]
    low: list[float | None]
    high: list[float | None]


class RollingPart(Part):
    """Figures of a moving window. A band holds for one window alone, and neighbours share nearly all sessions."""

    window: int
    """Sessions in each window."""
    sessions: list[str]
    """Last session of each window shown, every fifth, the newest included."""
    sharpe: Band
    """Net Sharpe ratio a year over cash at zero; the interval allows for skew and fat tails (Mertens 2002)."""
    deflated_sharpe: list[float | None]
    """Probability that the window's true ratio is above the best of `trials` by luck."""
    trials: int
    expected_best_by_luck: float | None
    """Sharpe ratio a year, of the best of that many trials without skill."""
    beta_equal_weight: Band
    """Least-squares slope on equal weight's net returns, Newey-West."""
    beta_index: Band | None
    """The same on the index; null without one."""


class ExposurePart(Part):
    """How much was invested, as shares of equity at each close shown."""

    sessions: list[str]
    """Every fifth, the newest included."""
    gross: list[float | None]
    net: list[float | None]
    names: list[int]
    """Symbols held."""
    largest: list[float | None]
    """Largest position."""
    mean_gross: Figure
    mean_net: Figure
    largest_ever: float | None
    """Largest position at any close, also those not shown."""


class CostRow(Part):
    """One part of the costs."""

    name: str
    total_cents: int
    usd_a_year: float
    bps_of_equity: Figure
    """Basis points of equity a year."""
    bps_of_traded: float | None
    """Basis points of traded value."""


class Contribution(Part):
    """What one symbol or industry earned, costs taken off."""

    name: str
    profit_cents: int
    of_initial_cash: float
    """Share of the cash at the start."""


class ContributionsPart(Part):
    """Where the profit came from; each list adds up to `profit_cents` exactly."""

    initial_cash_cents: int
    profit_cents: int
    """Final equity less the cash at the start."""
    by_symbol: list[Contribution]
    """Every symbol ever held, largest first."""
    by_industry: list[Contribution] | None
    """By the industry known in each session; null where no industries were given."""


class RegimeRow(Part):
    """Results in one kind of market."""

    kind: str
    name: str
    known_before: bool
    """Whether the kind was known before the session began; if not, no one could have traded by it."""
    sessions: int
    net_annual: Figure
    """Mean net return times 252."""
    excess_annual: Figure
    """The same above equal weight."""


class RoundTripsPart(Part):
    """Positions from the fill that opened them to the one that closed them; the profits of both kinds add up to all."""

    closed: int
    open: int
    """Still held at the end."""
    hit_rate: Figure
    """Share of closed positions with a profit after costs; those closed in one session count as a cluster."""
    mean_profit_usd: Figure
    """Of closed positions."""
    mean_sessions: Figure
    """Closes a closed position was held over."""
    closed_profit_cents: int
    open_profit_cents: int


class TearSheetPart(Part):
    """The traded back-test, looked at from all sides."""

    years: list[YearRow]
    extremes: list[Extremes]
    positive_months: Figure
    """Share of months with a gain."""
    drawdowns: list[DrawdownRow]
    """The five deepest, deepest first."""
    rolling: RollingPart | None
    """Null with fewer than 126 sessions."""
    exposure: ExposurePart
    turnover: Figure
    """One-way, multiples of equity a year."""
    costs: list[CostRow]
    contributions: ContributionsPart
    regimes: list[RegimeRow]
    round_trips: RoundTripsPart


class FrontierPart(Part):
    """The net result over costs, delay and share of volume. Grids are [share of volume][delay][cost].

    The cells are not counted as trials: the traded rule was fixed before they were run. Picking one would be a choice.
    """

    break_even_bps: Figure
    """Cost, one way, at which the excess over equal weight reaches zero without delay or cap; null value or ends: see
    the sentence."""
    break_even_sentence: str
    cost_bps: list[float]
    delay_bars: list[int]
    volume_share: list[float | None]
    """Most of a session's volume an order may take; null: no cap."""
    initial_cash_usd: float
    """The capital all cells start with; the same share of volume binds a larger book more."""
    annual_net: list[list[list[float | None]]]
    annual_excess: list[list[list[float | None]]]
    """Above equal weight at the same cost, without delay or cap."""
    excess_low: list[list[list[float | None]]]
    excess_high: list[list[list[float | None]]]
    sharpe: list[list[list[float | None]]]
    """Net, a year."""
    deflated_sharpe: list[list[list[float | None]]]
    """Probability that the cell's true ratio is above the best of `trials` by luck."""
    trials: int
    break_even_grid: list[list[float | None]]
    """[share of volume][delay], bps; null: the excess is not above zero at the lowest cost, or is at the highest."""
    orders_cut: list[list[float]]
    """[share of volume][delay]: share of filled orders that were cut to the volume allowed, at the lowest cost."""
    note: str = Field(description="What the grid leaves out, and how the capital enters.")
