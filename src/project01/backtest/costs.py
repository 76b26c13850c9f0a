"""What trading costs: small models that add up, each a row of coefficients the compiled ledger can read.

A model says its cost in two ways that are one formula: `cost` for arrays, `terms` for the ledger. The ledger rounds
each part of each order to the cent, half to even.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from project01.backtest.ledger_orders import charge
from project01.backtest.ledger_tables import NO_CAP_BPS, CostTerms
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


@dataclass(frozen=True)
class Levy:
    """A tax or fee on one side of trading: stamp duty on buys, the regulators' fees on sales.

    Only `run_orders` knows sides; `run_backtest` refuses a levy rather than charge the wrong side.

    Attributes:
        side: which fills pay.
        bps: basis points of traded value.
        per_share: USD a share.
        maximum: most USD a fill pays; None: no limit.
    """

    side: Literal["buy", "sale", "both"]
    bps: float = 0.0
    per_share: float = 0.0
    maximum: float | None = None
    name: str = "levy"

    def __post_init__(self) -> None:
        if self.side not in {"buy", "sale", "both"}:
            raise InputError(f"Levy.side is {self.side!r}; expected buy, sale or both.")
        _refuse_negative(self, bps=self.bps, per_share=self.per_share, maximum=self.maximum or 0.0)

    def terms(self) -> CostTerms:
        """The coefficients, without side and maximum."""
        return CostTerms(per_share=self.per_share, bps=self.bps)

    def cost(self, quantity: FloatArray, price: FloatArray) -> FloatArray:
        """USD of each order, zero on the other side."""
        full = _cost_of(self.terms(), quantity, price)
        capped = full if self.maximum is None else np.minimum(full, self.maximum)
        sales = np.asarray(quantity) < 0
        return np.where((sales & (self.side == "buy")) | (~sales & (self.side == "sale")), 0.0, capped)


def total_cost(costs: Sequence[CostModel], quantity: FloatArray, price: FloatArray) -> FloatArray:
    """USD of each order over all `costs`; shape as given, no costs: zeros."""
    nothing = np.zeros(np.broadcast(quantity, price).shape)
    return sum((model.cost(quantity, price) for model in costs), start=nothing)


def terms_table(costs: Sequence[CostModel]) -> FloatArray:
    """Shape (n_costs, n_coefficients), for the ledger.

    Raises:
        InputError: two parts of one name; their columns in the trades could not be told apart. A levy: it has a side.
    """
    levies = [model.name for model in costs if isinstance(model, Levy)]
    if levies:
        raise InputError(f"{', '.join(levies)} is charged on one side, which weights do not know. Use run_orders.")
    return _terms_rows(costs)


def side_terms_table(costs: Sequence[CostModel]) -> FloatArray:
    """Shape (n_costs, n_coefficients + 3), for the ledger of orders: 1 or 0 for buys, for sales, and the most USD.

    Raises:
        InputError: two parts of one name.
    """
    rows = np.hstack([_terms_rows(costs), np.tile([1.0, 1.0, 0.0], (len(costs), 1))])
    for row, model in zip(rows, costs, strict=True):
        if isinstance(model, Levy):
            row[-3:] = (model.side != "sale", model.side != "buy", model.maximum or 0.0)
    return rows


def _terms_rows(costs: Sequence[CostModel]) -> FloatArray:
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


def institutional_costs(daily_volume: float = 250e6) -> tuple[CostModel, ...]:
    """A large account that pays a tiered commission and moves prices; small orders are cheap, large ones are not.

    Args:
        daily_volume: USD traded a day in the names held; impact is one curve for all of them.

    Source:
        Commission: Interactive Brokers, US stocks, IBKR Pro tiered, up to 300,000 shares a month: USD 0.0035 a share,
        at least 0.35 and at most 1 % of the trade's value an order (exchange fees left out).
        Half-spread: 1 bp, a round figure for large US names away from the open; an assumption, not a measurement.
        Impact: 15 bps for an order of a tenth of a day's volume, growing with the root of its size. Almgren, Thum,
        Hauptmann and Li, Direct estimation of equity market impact (2005), give for it, worked through a day at 1.57 %
        daily volatility and a turnover of 1/263 of the shares: 0.142 x 157 x 0.1^0.6 = 5.6 bps while trading, and half
        of 0.314 x 157 x 0.1 x 263^0.25 = 19.9 bps that stay: 15.5. They find a power of 3/5 for the first and 1 for the
        second; one root is a middle that is too dear for small orders. Frazzini, Israel and Moskowitz, Trading costs
        (2018), find a root of the share of volume in a large manager's live trades.
    """
    return (
        Commission(per_share=0.0035, minimum=0.35, maximum_bps=100.0),
        Slippage(bps=1.0, name="half_spread"),
        Impact(bps=15.0, at_value=0.1 * daily_volume),
    )


def us_sale_levies() -> tuple[CostModel, ...]:
    """The two regulators' fees on sales of US shares, at the rates of 2026; earlier years paid others.

    Source:
        SEC, Section 31 of the Exchange Act: USD 20.60 per million from 4 April 2026 (Release 34-104909); before,
        nothing from 14 May 2025 and 27.80 until then. FINRA Trading Activity Fee of 2026: USD 0.000195 a share, at
        most 9.79 a trade (SR-FINRA-2024-019); 0.000166 and 8.30 before.
    """
    return (
        Levy(side="sale", bps=0.206, name="sec_fee"),
        Levy(side="sale", per_share=0.000195, maximum=9.79, name="finra_taf"),
    )
