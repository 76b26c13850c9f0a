"""The market a backtest trades in: dense arrays of total-return prices, NaN where there is no bar."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.domain import FloatArray, InputError, SchemaError

FillKind = Literal["open", "close"]
_NEEDED = ("symbol", "session", "open", "close", "volume", "factor")


@dataclass(frozen=True)
class Market:
    """Prices by session and symbol.

    Prices are total-return adjusted (price x factor, the factor chained forward from each symbol's first bar): a
    dividend counts as reinvested in the name that paid it on its ex-date, a split cannot be seen, and quantities are
    in adjusted shares, of which one is one real share at the symbol's first bar.

    Attributes:
        sessions: shape (T,), datetime64[D], ascending, each a session the exchange was open.
        symbols: N distinct names, in the order of the columns.
        fill_price: shape (T, N), USD; what an order of that session fills at. NaN: it cannot be traded then.
        close: shape (T, N), USD; what positions are valued at. NaN: no bar.
        volume: shape (T, N), adjusted shares, NaN where unknown; None if the source has none at all.
        fill_kind: ``open``, or ``close`` for series that carry closes only.
    Raises:
        InputError: shapes do not fit, a price is not positive, a fill price without a bar, names repeat.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    fill_price: FloatArray
    close: FloatArray
    volume: FloatArray | None = None
    fill_kind: FillKind = "open"

    def __post_init__(self) -> None:
        shape = (len(self.sessions), len(self.symbols))
        arrays = [("fill_price", self.fill_price), ("close", self.close)]
        arrays += [("volume", self.volume)] if self.volume is not None else []
        for name, values in arrays:
            if values.shape != shape:
                raise InputError(f"Market.{name} has shape {values.shape}; expected (sessions, symbols) = {shape}.")
        if len(set(self.symbols)) != len(self.symbols):
            raise InputError("Market.symbols repeat a name; expected each once. Give each instrument its own name.")
        if not bool(np.all(np.diff(self.sessions) > np.timedelta64(0, "D"))):
            raise InputError("Market.sessions must ascend without repeats. Sort them and drop duplicates.")
        for name, values in arrays[:2]:
            if bool(np.any(values <= 0)) or bool(np.any(np.isinf(values))):
                raise InputError(f"Market.{name} holds a price that is not positive and finite. Gate the bars first.")
        if bool(np.any(np.isfinite(self.fill_price) & np.isnan(self.close))):
            raise InputError("Market.fill_price has a price where close has none; a bar needs a close.")

    @property
    def first_session(self) -> NDArray[np.datetime64]:
        """Shape (N,): each symbol's first session with a bar; NaT if it has none."""
        return self._edge(self.sessions, self.close)

    @property
    def last_session(self) -> NDArray[np.datetime64]:
        """Shape (N,): each symbol's last session with a bar. Known only afterwards: for reports, never for orders."""
        return self._edge(self.sessions[::-1], self.close[::-1])

    @staticmethod
    def _edge(sessions: NDArray[np.datetime64], close: FloatArray) -> NDArray[np.datetime64]:
        present = ~np.isnan(close)
        edge = sessions[np.argmax(present, axis=0)]
        return np.where(present.any(axis=0), edge, np.datetime64("NaT", "D"))

    def index_of(self, sessions: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Position of each of `sessions`, shape as given.

        Raises:
            InputError: one of them is no session of this market.
        """
        position = np.minimum(np.searchsorted(self.sessions, sessions), len(self.sessions) - 1)
        strangers = self.sessions[position] != sessions
        if bool(np.any(strangers)):
            raise InputError(
                f"{sessions[strangers][0]} is no session of the market, which runs from {self.sessions[0]} to "
                f"{self.sessions[-1]}. Use sessions the market has bars for."
            )
        return position.astype(np.int64)


def market_from_bars(prepared_bars: pl.DataFrame) -> Market:
    """Dense arrays from prepared bars; prices become total-return prices, volume adjusted shares.

    Args:
        prepared_bars: one row a symbol and session with columns symbol, session, open, high, low, close, volume and
            factor (chained forward from 1 at each symbol's first bar; total-return price = price x factor).
            Null or NaN open: the bar carries a close only and cannot be filled at the open. If no bar has an open,
            orders fill at the close instead and `fill_kind` says so.
    Raises:
        InputError: no bars.
        SchemaError: a column is missing, a (symbol, session) comes twice, a close or factor is missing.
    """
    absent = [name for name in _NEEDED if name not in prepared_bars.columns]
    if absent:
        raise SchemaError(
            f"Prepared bars lack column(s) {', '.join(absent)}; found {', '.join(prepared_bars.columns)}."
        )
    if prepared_bars.is_empty():
        raise InputError("No prepared bars; a market needs at least one. Check the symbols and dates asked for.")
    rows = prepared_bars.select(
        "symbol", "session", *(pl.col(c).cast(pl.Float64).fill_null(np.nan) for c in _NEEDED[2:])
    )
    if bool(rows.select((pl.col("close").is_nan() | pl.col("factor").is_nan()).any()).item()):
        raise SchemaError("Prepared bars hold a missing close or factor; every bar needs both. Run prepare_bars.")
    sessions, session_index = np.unique(rows["session"].to_numpy().astype("datetime64[D]"), return_inverse=True)
    symbols = rows["symbol"].unique().sort()
    symbol_index = rows["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy().astype(np.int64)
    cells = session_index * len(symbols) + symbol_index
    if len(np.unique(cells)) != len(cells):
        raise SchemaError(
            "Prepared bars hold a (symbol, session) twice; expected one bar each. Read them as_of a time."
        )

    def dense(expression: pl.Expr) -> FloatArray:
        grid = np.full(len(sessions) * len(symbols), np.nan)
        grid[cells] = rows.select(expression.alias("value"))["value"].to_numpy()
        return grid.reshape(len(sessions), len(symbols))

    close = dense(pl.col("close") * pl.col("factor"))
    opens = dense(pl.col("open") * pl.col("factor"))
    volume = dense(pl.col("volume") / pl.col("factor"))
    has_opens = bool(np.isfinite(opens).any())
    return Market(
        sessions=sessions,
        symbols=tuple(symbols.to_list()),
        fill_price=opens if has_opens else close,
        close=close,
        volume=volume if bool(np.isfinite(volume).any()) else None,
        fill_kind="open" if has_opens else "close",
    )


def index_market(
    name: str, days: NDArray[np.datetime64], level: FloatArray, sessions: NDArray[np.datetime64]
) -> Market:
    """A market of one close-only series on the sessions of a backtest, to compare with.

    Args:
        name: what the series is; say whether dividends are in it.
        days: shape (M,), datetime64[D], ascending without repeats.
        level: shape (M,), index points or USD, NaN where missing.
        sessions: shape (T,), those of the backtest; a session the series does not have has no bar.
    Raises:
        InputError: the series has no level on the first of `sessions`, so nothing could be bought.
    """
    place = np.minimum(np.searchsorted(days, sessions), len(days) - 1)
    column = np.where(days[place] == sessions, np.asarray(level, dtype=np.float64)[place], np.nan)[:, None]
    if np.isnan(column[0, 0]):
        raise InputError(
            f"{name} has no level on {sessions[0]}, the first session to compare; it runs from {days[0]} to "
            f"{days[-1]}. Compare from a session it has, or leave it out."
        )
    return Market(sessions, (name,), column, column, None, "close")
