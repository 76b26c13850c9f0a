"""What trading costs: small models that add up, each a row of coefficients the compiled ledger can read.

A model says its cost in two ways that are one formula: `cost` for arrays, `terms` for the ledger. The ledger rounds
each part of each order to the cent, half to even.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from project01.backtest.ledger import NO_CAP_BPS, CostTerms, charge
from project01.domain import FloatArray, InputError


class CostModel(Protocol):
    """One part of the cost of trading."""

    @property
    def name(self) -> str:
        """Column name of this part in the trades."""
        ...

    def terms(self) -> CostTerms:
        """The coefficients the ledger charges by."""
        ...

    def cost(self, quantity: FloatArray, price: FloatArray) -> FloatArray:
        """USD, never negative, zero for a zero quantity; shape as given. `quantity` in shares, sales negative."""
        ...


def _cost_of(terms: CostTerms, quantity: FloatArray, price: FloatArray) -> FloatArray:
    shares = np.abs(np.asarray(quantity, dtype=np.float64))
    cents = shares * np.asarray(price, dtype=np.float64) * 100.0
    return np.where(shares == 0, 0.0, charge(terms, shares * 1e6, cents) / 100.0)  # type: ignore[arg-type]


def _refuse_negative(model: object, **values: float) -> None:
    for field, value in values.items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"{type(model).__name__}.{field} is {value}; a cost is finite and never negative.")


@dataclass(frozen=True)
class Commission:
    """What the broker charges for an order: per share plus a share of value, with a least and a most.

    The most wins where both bind, as at Interactive Brokers.

    Attributes:
        per_share: USD a share. Shares are adjusted shares (see `Market`), so after splits this is an approximation.
        bps: basis points of traded value.
        minimum: USD an order.
        maximum_bps: basis points of traded value; None: no cap.
    """

    per_share: float = 0.0
    bps: float = 0.0
    minimum: float = 0.0
    maximum_bps: float | None = None
    name: str = "commission"

    def __post_init__(self) -> None:
        _refuse_negative(self, per_share=self.per_share, bps=self.bps, minimum=self.minimum)
        _refuse_negative(self, maximum_bps=self.maximum_bps or 0.0)

    def terms(self) -> CostTerms:
        """The coefficients the ledger charges by."""
        cap = NO_CAP_BPS if self.maximum_bps is None else self.maximum_bps
        return CostTerms(per_share=self.per_share, bps=self.bps, minimum=self.minimum, maximum_bps=cap)

    def cost(self, quantity: FloatArray, price: FloatArray) -> FloatArray:
        """USD of each order."""
        return _cost_of(self.terms(), quantity, price)


@dataclass(frozen=True)
class Slippage:
    """Distance between the recorded price and what a small order gets: half the spread and the wait.

    Attributes:
        bps: basis points of traded value, paid on buys and sales alike.
    """

    bps: float
    name: str = "slippage"

    def __post_init__(self) -> None:
        _refuse_negative(self, bps=self.bps)

    def terms(self) -> CostTerms:
        """The coefficients the ledger charges by."""
        return CostTerms(bps=self.bps)

    def cost(self, quantity: FloatArray, price: FloatArray) -> FloatArray:
        """USD of each order."""
        return _cost_of(self.terms(), quantity, price)


@dataclass(frozen=True)
class Impact:
    """How far a large order moves its own price; no volume needed, so it is one curve for all names.

    Attributes:
        bps: basis points paid by an order worth `at_value`.
        at_value: USD.
        shape: ``square_root``: bps grow with the root of the order's value; ``linear``: in proportion to it.
    Source:
        Almgren, Thum, Hauptmann and Li, Direct estimation of equity market impact (2005), for a power between the two.
    """

    bps: float
    at_value: float
    shape: Literal["square_root", "linear"] = "square_root"
    name: str = "impact"

    def __post_init__(self) -> None:
        _refuse_negative(self, bps=self.bps, at_value=self.at_value)
        if self.at_value == 0:
            raise InputError("Impact.at_value is 0; expected the USD value of the order that pays `bps`.")

    def terms(self) -> CostTerms:
        """The coefficients the ledger charges by."""
        root = 1.0 if self.shape == "square_root" else 0.0
        return CostTerms(impact_bps=self.bps, impact_at=self.at_value, square_root=root)

    def cost(self, quantity: FloatArray, price: FloatArray) -> FloatArray:
        """USD of each order."""
        return _cost_of(self.terms(), quantity, price)


def total_cost(costs: Sequence[CostModel], quantity: FloatArray, price: FloatArray) -> FloatArray:
    """USD of each order over all `costs`; shape as given, no costs: zeros."""
    nothing = np.zeros(np.broadcast(quantity, price).shape)
    return sum((model.cost(quantity, price) for model in costs), start=nothing)


def terms_table(costs: Sequence[CostModel]) -> FloatArray:
    """Shape (n_costs, n_coefficients), for the ledger.

    Raises:
        InputError: two parts of one name; their columns in the trades could not be told apart.
    """
    names = [model.name for model in costs]
    if len(set(names)) != len(names):
        raise InputError(f"Cost models are named {names}; expected distinct names. Pass name=... to one of them.")
    return np.array([model.terms() for model in costs], dtype=np.float64).reshape(len(costs), len(CostTerms._fields))


def retail_costs() -> tuple[CostModel, ...]:
    """A small account at a US retail broker: Interactive Brokers Pro fixed, and 5 bps of half-spread and wait.

    Source:
        Interactive Brokers, US stocks, IBKR Pro fixed: USD 0.005 a share, at least USD 1.00 and at most 1 % of the
        trade's value an order, the most winning. Half-spread: a round figure for S&P 500 names traded at the open,
        where spreads are several times the 1-2 bps of midday; an assumption, not a measurement. Exchange and SEC fees
        on sales (under 0.3 bps) are left out.
    """
    return (Commission(per_share=0.005, minimum=1.0, maximum_bps=100.0), Slippage(bps=5.0))
