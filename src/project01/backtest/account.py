"""The account orders are charged to: what it may buy, when sales are paid, what borrowing costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from project01.domain import FloatArray, InputError

AccountKind = Literal["margin", "cash", "netting"]
ACCOUNT_KINDS: tuple[AccountKind, ...] = ("netting", "cash", "margin")


@dataclass(frozen=True)
class Account:
    """How a broker keeps the account.

    ``cash``: nothing is borrowed. Buys are paid from settled cash alone, so a sale can be spent once it settled and no
    good-faith violation can happen; a sale beyond what is held is cut to it.

    ``margin``: what opens a position, long or short, must leave equity of `initial_margin` of the book: what is held
    counts at the last close before, what trades at its fill. If at a close equity is below the maintenance margin, all
    orders are cancelled and at the next open each position is cut by one fraction, to where the maintenance margin
    would just hold at that close.

    ``netting``: the rules of `run_backtest`: sales pay for buys of the same moment, buys never take cash below zero,
    and shorts need no collateral.

    Attributes:
        kind: one of the three.
        settlement_days: dates with bars from a sale to its cash; 1 in the US since 28 May 2024, 2 before.
        initial_margin: Regulation T, 12 CFR 220.12: half of the value, long and short alike.
        maintenance_long: FINRA Rule 4210(c): a quarter of the value.
        maintenance_short: FINRA Rule 4210(c): 30 % for shares above 5 USD; its flat amounts a cheap share are left out.
        credit_bps: a year, earned on cash less the value of shorts where that is positive. Zero: cash earns nothing.
        debit_bps: a year, paid where it is negative. Zero by default: a loan that costs nothing flatters.
        borrow_bps: a year, paid on the value of each short; one number or one a symbol (absent: 0).
            Interest and fees count calendar nights over 360 days, at the close before the nights.
    Raises:
        InputError: a number out of range.
    """

    kind: AccountKind = "margin"
    settlement_days: int = 1
    initial_margin: float = 0.5
    maintenance_long: float = 0.25
    maintenance_short: float = 0.3
    credit_bps: float = 0.0
    debit_bps: float = 0.0
    borrow_bps: float | Mapping[str, float] = field(default=0.0)

    def __post_init__(self) -> None:
        if self.kind not in ACCOUNT_KINDS:
            raise InputError(f"Account.kind is {self.kind!r}; expected one of {', '.join(ACCOUNT_KINDS)}.")
        if not 0 <= self.settlement_days <= 10:
            raise InputError(f"Account.settlement_days is {self.settlement_days}; expected 0 to 10.")
        margins = (self.initial_margin, self.maintenance_long, self.maintenance_short)
        if not all(0 < margin <= 10 and round(margin * 10_000) / 10_000 == margin for margin in margins):
            raise InputError(f"Account margins are {margins}; expected above 0 and whole basis points, e.g. 0.5.")
        fees = [self.borrow_bps] if not isinstance(self.borrow_bps, Mapping) else list(self.borrow_bps.values())
        rates = (self.credit_bps, self.debit_bps, *fees)
        if not all(np.isfinite(rate) and rate >= 0 for rate in rates):
            raise InputError("Account interest and borrow rates are basis points a year, finite and never negative.")

    def borrow_rates(self, symbols: tuple[str, ...]) -> FloatArray:
        """Shape (N,), basis points a year.

        Raises:
            InputError: a rate for a symbol that is not among `symbols`.
        """
        if not isinstance(self.borrow_bps, Mapping):
            return np.full(len(symbols), float(self.borrow_bps))
        strangers = set(self.borrow_bps) - set(symbols)
        if strangers:
            raise InputError(f"Account.borrow_bps names {min(strangers)!r}, which the market has no bars for.")
        return np.array([float(self.borrow_bps.get(name, 0.0)) for name in symbols])


@dataclass(frozen=True)
class OrderExecution:
    """How orders and positions meet the market.

    Attributes:
        volume_share: most of a bar's volume that all orders in a name may take together; None: no cap. Not applied to a
            bar of unknown volume.
        bars_until_delisted: a position whose name had no bar for this many bars, while others had, is sold like a
            delisted one; None: it is held at its last close for ever.
        delisting_return: from the last close, where the delisting's own return is not known; -30 %, for poor
            performance on NYSE and AMEX. On Nasdaq it is -55 %. A merger pays about the last close: give such a
            delisting its own return, 0.0. For shorts the loss is a gain.
    Raises:
        InputError: a number out of range.
    Source:
        Shumway, The delisting bias in CRSP data, Journal of Finance 52 (1997); Shumway and Warther, The delisting bias
        in CRSP's Nasdaq data, Journal of Finance 54 (1999).
    """

    volume_share: float | None = None
    bars_until_delisted: int | None = 10
    delisting_return: float = -0.3

    def __post_init__(self) -> None:
        if self.volume_share is not None and not 0 < self.volume_share <= 1:
            raise InputError(f"volume_share is {self.volume_share}; expected above 0 and at most 1, or None: no cap.")
        if self.bars_until_delisted is not None and self.bars_until_delisted < 1:
            raise InputError(f"bars_until_delisted is {self.bars_until_delisted}; expected 1 or more, or None: never.")
        if not -1 <= self.delisting_return < np.inf:
            raise InputError(f"delisting_return is {self.delisting_return}; expected -1 (all lost) or more.")
