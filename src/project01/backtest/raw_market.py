"""The market as it was quoted: raw prices by bar, and the corporate actions that happened to the holders."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, SchemaError

ActionKind = Literal["rename", "split", "dividend", "delisting"]
KINDS: tuple[ActionKind, ...] = ("rename", "split", "dividend", "delisting")  # in this order on one bar
ACTIONS = {
    "symbol": pl.String,
    "kind": pl.String,
    "effective": pl.Date,
    "ratio": pl.Float64,
    "amount": pl.Float64,
    "new_symbol": pl.String,
    "paid": pl.Date,
    "delisting_return": pl.Float64,
}
_DATED = ("effective", "paid")
_MOST_RATIO, _MOST_SIDE = 1000, 100


class Action(NamedTuple):
    """One corporate action, in the market's own numbering.

    Attributes:
        bar: the first bar on or after the effective date.
        kind: see `KINDS`.
        name: column of the holder's symbol.
        other: column of the new symbol (rename); bar of the payment, T if after the last (dividend); else -1.
        ratio: new shares for one old (split), else 1.
        amount: USD a share (dividend); return from the last close (delisting), NaN: unknown; else 0.
    """

    bar: int
    kind: ActionKind
    name: int
    other: int
    ratio: Fraction
    amount: float


@dataclass(frozen=True)
class RawMarket:
    """Prices as quoted, by bar and symbol; nothing is adjusted, so what happens to a holder stands in `actions`.

    A column is one instrument under one symbol; a bar is any interval, stamped at its close, and bars of one date form
    a session (daily bars: one a date).

    Attributes:
        bars: shape (T,), datetime64, ascending.
        symbols: N distinct names, in the order of the columns.
        open, high, low, close: shape (T, N), USD. NaN close: no bar. NaN elsewhere: that price is not known, and orders
            that need it do not fill.
        volume: shape (T, N), shares, NaN where unknown; None if the source has none.
        halted: shape (T, N), bars in which nothing could be traded though a close is quoted; None: none.
        actions: columns of `ACTIONS`, absent ones are null. ``split``: `ratio` new shares for one old. ``dividend``:
            `amount` USD a share, `effective` the ex-date, `paid` the payment (null: on the ex-date). ``rename``:
            `new_symbol`, whose bars start on the effective date. ``delisting``: `delisting_return` from the last close
            to what holders got (null: unknown); effective on the first date without trading. A further column is left
            alone. Actions before the first bar's date or after the last's touch nothing.
    Raises:
        InputError: shapes do not fit, prices not positive or outside the bar's range, actions that contradict the bars.
        SchemaError: a needed column of `actions` is missing.
    """

    bars: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray | None = None
    halted: NDArray[np.bool_] | None = None
    actions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACTIONS))

    def __post_init__(self) -> None:
        shape = (len(self.bars), len(self.symbols))
        for name in ("open", "high", "low", "close", "volume", "halted"):
            values = getattr(self, name)
            if values is not None and values.shape != shape:
                raise InputError(f"RawMarket.{name} has shape {values.shape}; expected (bars, symbols) = {shape}.")
        if len(set(self.symbols)) != len(self.symbols):
            raise InputError("RawMarket.symbols repeat a name; expected each once. Give each instrument its own name.")
        if not bool(np.all(np.diff(self.bars) > np.timedelta64(0))):
            raise InputError("RawMarket.bars must ascend without repeats. Sort them and drop duplicates.")
        self._refuse_prices()
        _ = self.events

    def _refuse_prices(self) -> None:
        for name in ("open", "high", "low", "close"):
            values = getattr(self, name)
            if bool(np.any(values <= 0)) or bool(np.any(np.isinf(values))):
                raise InputError(
                    f"RawMarket.{name} holds a price that is not positive and finite. Gate the bars first."
                )
            if bool(np.any(~np.isnan(values) & np.isnan(self.close))):
                raise InputError(f"RawMarket.{name} has a price where close has none; a bar needs a close.")
            if bool(np.any((values > self.high) | (values < self.low))):
                raise InputError(
                    f"RawMarket.{name} lies outside the bar's low and high, so a fill there could not have happened. "
                    "Gate the bars first."
                )

    @property
    def dates(self) -> NDArray[np.datetime64]:
        """Shape (T,), datetime64[D]."""
        return self.bars.astype("datetime64[D]")

    def column_of(self, symbols: pl.Series, where: str) -> NDArray[np.int64]:
        """Place of each symbol, shape as given.

        Raises:
            InputError: a symbol the market does not have; `where` it stood is named.
        """
        known = pl.Series(self.symbols, dtype=pl.String)
        column = symbols.replace_strict(known, pl.Series(range(len(known)), dtype=pl.Int64), default=-1)
        strangers = symbols.filter(column.fill_null(-1) < 0)
        if strangers.len():
            raise InputError(f"{where} name {strangers[0]!r}, which the market has no bars for. Use its symbols.")
        return column.to_numpy()

    @cached_property
    def events(self) -> tuple[Action, ...]:
        """The corporate actions that fall on a bar, by bar, then in the order of `KINDS`, then as given."""
        return _read_actions(self)


def _read_actions(market: RawMarket) -> tuple[Action, ...]:
    absent = [name for name in ("symbol", "kind", "effective") if name not in market.actions.columns]
    if absent:
        raise SchemaError(f"Corporate actions lack column(s) {', '.join(absent)}; see `ACTIONS` for what they hold.")
    columns = [
        (pl.col(name) if name in market.actions.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in ACTIONS.items()
    ]
    rows = market.actions.lazy().select(columns).with_columns(pl.col("paid").fill_null(pl.col("effective"))).collect()
    unknown = rows.filter(~pl.col("kind").is_in(KINDS) | pl.col("kind").is_null())
    if unknown.height:
        raise InputError(
            f"Corporate action of kind {unknown['kind'][0]!r} on {unknown['symbol'][0]}; expected one of "
            f"{', '.join(KINDS)}. Halts go into `halted`."
        )
    dates = market.dates
    bar, paid = (np.searchsorted(dates, rows[name].to_numpy().astype("datetime64[D]")) for name in _DATED)
    rows = rows.with_columns(
        bar=pl.Series(bar), paid_bar=pl.Series(paid), name=market.column_of(rows["symbol"], "Corporate actions")
    ).filter(pl.col("bar") < len(dates), pl.col("effective") >= dates[0].item())
    found = [_READ[row["kind"]](market, row) for row in rows.to_dicts()]
    return tuple(sorted(found, key=lambda action: (action.bar, KINDS.index(action.kind))))


def _split(market: RawMarket, row: dict[str, Any]) -> Action:
    name, given = row["name"], row["ratio"]
    sane = given is not None and 1 / _MOST_RATIO <= given <= _MOST_RATIO
    exact = Fraction(given) if sane else Fraction(1)
    grows = exact >= 1  # 3 for 2, or 1 for 250: the smaller side is a small number
    ratio = exact.limit_denominator(_MOST_SIDE) if grows else 1 / (1 / exact).limit_denominator(_MOST_SIDE)
    if not sane or abs(ratio / exact - 1) > 2e-6:
        raise InputError(
            f"Split of {market.symbols[name]} at {given}; expected new shares for one old as a ratio of whole numbers, "
            "such as 2, 1.5 or 0.1."
        )
    return Action(row["bar"], "split", name, -1, ratio, 0.0)


def _dividend(market: RawMarket, row: dict[str, Any]) -> Action:
    name, amount, paid = row["name"], row["amount"], row["paid"]
    if amount is None or not 0 < amount < np.inf or paid < row["effective"]:
        raise InputError(
            f"Dividend of {amount} USD on {market.symbols[name]}, ex {row['effective']}, paid {paid}; expected an "
            "amount above 0 and a payment on the ex-date or later."
        )
    return Action(row["bar"], "dividend", name, row["paid_bar"], Fraction(1), amount)


def _rename(market: RawMarket, row: dict[str, Any]) -> Action:
    name, bar = row["name"], row["bar"]
    new = int(market.column_of(pl.Series([row["new_symbol"]], dtype=pl.String), "Renames")[0])
    if new == name or not bool(np.isnan(market.close[:bar, new]).all()):
        raise InputError(
            f"{market.symbols[name]} is renamed {market.symbols[new]} from {row['effective']} on, but that symbol has "
            "bars before. Give each instrument its own name."
        )
    return Action(bar, "rename", name, new, Fraction(1), 0.0)


def _delisting(market: RawMarket, row: dict[str, Any]) -> Action:
    name, bar = row["name"], row["bar"]
    amount = np.nan if row["delisting_return"] is None else row["delisting_return"]
    if amount < -1 or np.isinf(amount) or not bool(np.isnan(market.close[bar:, name]).all()):
        raise InputError(
            f"Delisting of {market.symbols[name]} from {row['effective']} on with a return of {amount}; expected -1 or "
            "more, and no bar from that date on."
        )
    return Action(bar, "delisting", name, -1, Fraction(1), amount)


_READ = {"split": _split, "dividend": _dividend, "rename": _rename, "delisting": _delisting}
