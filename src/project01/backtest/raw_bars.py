"""A raw market from tables of bars and corporate actions as the lake keeps them."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.raw_market import ACTIONS, RawMarket
from project01.domain import FloatArray, InputError, SchemaError

_NEEDED = ("symbol", "session", "open", "high", "low", "close", "volume")
_HALTS = ("halt", "resume")


def raw_market_from_bars(bars: pl.DataFrame, actions: pl.DataFrame | None = None) -> RawMarket:
    """Dense arrays from bars as quoted; nothing is adjusted.

    Args:
        bars: one row a symbol and bar with columns symbol, session (a date, or a time for shorter bars), open, high,
            low, close and volume; null or NaN where unknown, a close on every row. Further columns are left alone.
        actions: columns as `RawMarket.actions`. Besides its kinds ``halt`` and ``resume``: no fills on dates from the
            first to before the second; and ``listing``, which changes nothing for a holder.
    Raises:
        InputError: no bars; what `RawMarket` refuses.
        SchemaError: a column is missing, a (symbol, session) comes twice, a close is missing.
    """
    absent = [name for name in _NEEDED if name not in bars.columns]
    if absent:
        raise SchemaError(f"Bars lack column(s) {', '.join(absent)}; found {', '.join(bars.columns)}.")
    if bars.is_empty():
        raise InputError("No bars; a market needs at least one. Check the symbols and dates asked for.")
    rows = bars.select(
        pl.col("symbol"),
        pl.col("session").cast(pl.Datetime("us")),
        *(pl.col(name).cast(pl.Float64).fill_null(np.nan) for name in _NEEDED[2:]),
    )
    stamps, row = np.unique(rows["session"].to_numpy(), return_inverse=True)
    symbols = rows["symbol"].unique().sort()
    column = rows["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy().astype(np.int64)
    cells = row * len(symbols) + column
    if len(np.unique(cells)) != len(cells) or bool(rows["close"].is_nan().any()):
        raise SchemaError("Bars hold a (symbol, session) twice or a missing close; expected one whole bar each.")

    def dense(name: str) -> FloatArray:
        grid = np.full(len(stamps) * len(symbols), np.nan)
        grid[cells] = rows[name].to_numpy()
        return grid.reshape(len(stamps), len(symbols))

    volume = dense("volume")
    given = pl.DataFrame(schema=ACTIONS) if actions is None else actions
    return RawMarket(
        stamps,
        tuple(symbols.to_list()),
        open=dense("open"),
        high=dense("high"),
        low=dense("low"),
        close=dense("close"),
        volume=volume if bool(np.isfinite(volume).any()) else None,
        halted=_halted(stamps, symbols.to_list(), given),
        actions=given.filter(~pl.col("kind").is_in([*_HALTS, "listing"])),
    )


def _halted(stamps: NDArray[np.datetime64], symbols: list[str], actions: pl.DataFrame) -> NDArray[np.bool_]:
    """Shape (T, N); a halt that is never resumed lasts to the end."""
    found = np.zeros((len(stamps), len(symbols)), dtype=np.bool_)
    rows = actions.filter(pl.col("kind").is_in(_HALTS), pl.col("symbol").is_in(symbols)).sort("effective")
    for symbol, kind, effective in rows.select("symbol", "kind", "effective").iter_rows():
        first = np.searchsorted(stamps.astype("datetime64[D]"), np.datetime64(effective, "D"))
        found[first:, symbols.index(symbol)] = kind == "halt"
    return found
