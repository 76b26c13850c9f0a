"""Orders: what was decided when, in which symbol, how many shares, at what terms."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import polars as pl

from project01.domain import InputError, SchemaError

OrderKind = Literal["market", "limit", "market_on_open", "market_on_close"]
ORDER_KINDS: tuple[OrderKind, ...] = ("market", "limit", "market_on_open", "market_on_close")
MOST_SHARES = 4e9
TERMS = {
    "symbol": pl.String,
    "quantity": pl.Float64,
    "kind": pl.String,
    "limit": pl.Float64,
    "time_in_force": pl.String,
    "rest": pl.String,
}
_DEFAULTS = {"kind": "market", "limit": None, "time_in_force": "day", "rest": "cancel"}
_CHOICES = {"kind": ORDER_KINDS, "time_in_force": ("day", "good_till_cancelled"), "rest": ("wait", "cancel")}


@dataclass(frozen=True)
class Order:
    """One order.

    Attributes:
        decided: when it was decided, at the latest with the close of the bar it falls in: it can fill from the next bar
            on, never in the same.
        symbol: one of the market's.
        quantity: shares, sales negative, rounded to 1e-6.
        kind: ``market``: the next open. ``limit``: at `limit` or better once the bar trades through it; a touch does
            not fill, since others stood in the queue before, and a bar without an open gives no better than its worst
            price. ``market_on_open``, ``market_on_close``: the first open, the last close of a date.
        limit: USD, for limit orders only.
        time_in_force: ``day``: to the end of the date of its first bar; ``good_till_cancelled``.
        rest: what becomes of shares the volume or the cash did not allow: ``wait`` within the time in force, or
            ``cancel``.
    """

    decided: np.datetime64
    symbol: str
    quantity: float
    kind: OrderKind = "market"
    limit: float | None = None
    time_in_force: Literal["day", "good_till_cancelled"] = "day"
    rest: Literal["wait", "cancel"] = "cancel"


@dataclass(frozen=True)
class OrderBook:
    """Orders as columns; within one bar an earlier row comes first where volume is short.

    Attributes:
        rows: columns decided (Datetime or Date) and those of `TERMS`, as the fields of `Order`; kind, limit,
            time_in_force and rest may be absent and then are the defaults of `Order`. Kept sorted by decided.
    Raises:
        SchemaError: a needed column is missing.
        InputError: a quantity of zero or beyond 4 billion shares, an unknown word, a limit where none belongs or none
            where one does.
    """

    rows: pl.DataFrame

    def __post_init__(self) -> None:
        absent = [name for name in ("decided", "symbol", "quantity") if name not in self.rows.columns]
        if absent:
            raise SchemaError(f"Orders lack column(s) {', '.join(absent)}; found {', '.join(self.rows.columns)}.")
        given = self.rows.lazy().with_columns(
            pl.lit(value).alias(name) for name, value in _DEFAULTS.items() if name not in self.rows.columns
        )
        rows = given.select(pl.col("decided").cast(pl.Datetime("us")), *(pl.col(c).cast(t) for c, t in TERMS.items()))
        sorted_rows = rows.sort("decided", maintain_order=True).collect()
        _refuse_terms(sorted_rows)
        object.__setattr__(self, "rows", sorted_rows)

    @classmethod
    def of(cls, orders: Iterable[Order]) -> "OrderBook":
        """The book of single orders."""
        rows = [asdict(order) | {"decided": order.decided.astype("datetime64[us]").item()} for order in orders]
        return cls(pl.DataFrame(rows, schema={"decided": pl.Datetime("us"), **TERMS}))


def _refuse_terms(rows: pl.DataFrame) -> None:
    size, limit = pl.col("quantity").abs(), pl.col("limit")
    rules = {
        f"{name} is one of {', '.join(choices)}": pl.col(name).is_in(choices) for name, choices in _CHOICES.items()
    }
    rules[f"the quantity is at least 1e-6 and at most {MOST_SHARES:g} shares, sales negative"] = size.is_between(
        5e-7, MOST_SHARES
    )
    rules["a limit order has a limit above 0, and no other order has one"] = (
        pl.when(pl.col("kind") == "limit").then((limit > 0) & limit.is_finite()).otherwise(limit.is_null())
    )
    rules["symbol and time decided are known"] = pl.col("symbol").is_not_null() & pl.col("decided").is_not_null()
    kept = {name: rule.fill_null(value=False) for name, rule in rules.items()}
    held = rows.select(rule.all().alias(name) for name, rule in kept.items()).to_dicts()[0]
    for name, holds in held.items():
        if not holds:
            raise InputError(f"Order {rows.filter(~kept[name]).to_dicts()[0]}; expected that {name}.")
