"""What a backtest found: equity, returns, costs, trades and what went wrong, in cents and as Polars frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from project01.backtest.costs import CostModel
from project01.backtest.ledger_orders import charge
from project01.backtest.ledger_tables import CUT_TO_CASH, CUT_TO_VOLUME, Book, CostTerms, Tape
from project01.backtest.market import FillKind, Market
from project01.domain import FloatArray

TRADE_REASONS = ("target", "target, cut to volume", "target, cut to cash", "delisted")
REFUSAL_REASONS = ("no bar", "no price yet", "no volume")


@dataclass(frozen=True)
class Written:
    """What the ledger wrote down, from which tables and notes are made.

    Attributes:
        symbols: the market's names, which the tape numbers.
        tape: only the rows that were written.
        costs: what the tape's trades were charged by.
        book: what is held after the last session.
        last_close: shape (N,), closes of the last session, NaN: no bar.
    """

    symbols: tuple[str, ...]
    tape: Tape
    costs: tuple[CostTerms, ...]
    book: Book
    last_close: FloatArray


@dataclass(frozen=True)
class BacktestResult:
    """A backtest from the first decision's session on; T sessions, the first one before any fill.

    Tables and notes are made when first asked for, and kept: a search over many backtests looks at few of them.

    Attributes:
        sessions: shape (T,), datetime64[D].
        equity_cents: shape (T,), int64, cash plus positions at the last close known.
        cash_cents: shape (T,), int64, after the session's fills.
        cost_cents: shape (T, n_costs), int64, by part.
        traded_cents: shape (T,), int64, sum of absolute traded value.
        cost_names: the parts.
        fill_kind: what orders filled at.
        written: what the tables are made of.
    """

    sessions: NDArray[np.datetime64]
    equity_cents: NDArray[np.int64]
    cash_cents: NDArray[np.int64]
    cost_cents: NDArray[np.int64]
    traded_cents: NDArray[np.int64]
    cost_names: tuple[str, ...]
    fill_kind: FillKind
    written: Written = field(repr=False)

    @cached_property
    def trades(self) -> pl.DataFrame:
        """Fills, sorted by session, then symbol's place in the market.

        Columns session, symbol, quantity (adjusted shares, sales negative), price, value (USD, sales negative), one
        column ``cost_<part>`` a part (USD), reason.
        """
        return _trades(self.sessions, self.written, self.cost_names)

    @cached_property
    def refused(self) -> pl.DataFrame:
        """Orders that could not be sent and were dropped until the next decision: session, symbol, reason."""
        return _refused(self.sessions, self.written)

    @cached_property
    def positions(self) -> pl.DataFrame:
        """What is held after the last session: symbol, quantity, price (last close known), value."""
        written = self.written
        return positions_frame(written.symbols, written.book.quantity, written.book.mark)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing a reader should know."""
        return _notes(self)

    @property
    def equity(self) -> FloatArray:
        """Shape (T,), USD."""
        return self.equity_cents / 100.0

    @property
    def net_returns(self) -> FloatArray:
        """Shape (T - 1,), return of each session after the first, costs taken off; NaN once equity is not positive."""
        return growth(self.equity_cents[1:], self.equity_cents[:-1])

    @property
    def gross_returns(self) -> FloatArray:
        """Shape (T - 1,), the same with that session's costs given back (earlier costs stay spent)."""
        return growth(self.equity_cents[1:] + self.cost_cents[1:].sum(axis=1), self.equity_cents[:-1])

    @property
    def turnover(self) -> FloatArray:
        """Shape (T - 1,), one-way: half the sum of absolute traded value over the equity of the session before."""
        return growth(self.traded_cents[1:] / 2 + self.equity_cents[:-1], self.equity_cents[:-1])

    def frame(self) -> pl.DataFrame:
        """One row a session: session, equity, cash, net_return, gross_return, turnover, cost_<part>; first row null."""

        def late(values: FloatArray) -> pl.Series:
            return pl.Series([None, *values.tolist()], dtype=pl.Float64)

        return pl.DataFrame(
            {
                "session": pl.Series(self.sessions).cast(pl.Date),
                "equity": self.equity,
                "cash": self.cash_cents / 100.0,
                "net_return": late(self.net_returns),
                "gross_return": late(self.gross_returns),
                "turnover": late(self.turnover),
                **{f"cost_{name}": self.cost_cents[:, i] / 100.0 for i, name in enumerate(self.cost_names)},
            }
        )


def growth(now: NDArray[np.generic], before: NDArray[np.int64]) -> FloatArray:
    """`now / before - 1`, NaN where `before` is not positive."""
    base = np.where(before > 0, before, np.nan)
    return np.asarray(now / base - 1.0, dtype=np.float64)


def build_result(market: Market, first: int, tape: Tape, book: Book, costs: Sequence[CostModel]) -> BacktestResult:
    """What the ledger wrote down of `market` from its session `first` on."""
    trades, refused = (int(count) for count in tape.written)
    kept = tape._replace(
        name=tape.name[:trades], reason=tape.reason[:trades], quantity=tape.quantity[:trades],
        price=tape.price[:trades], refused=tape.refused[:refused],
    )  # fmt: skip
    terms = tuple(model.terms() for model in costs)
    return BacktestResult(
        sessions=market.sessions[first:],
        equity_cents=tape.days["equity"],
        cash_cents=tape.days["cash"],
        cost_cents=tape.day_cost,
        traded_cents=tape.days["traded"],
        cost_names=tuple(model.name for model in costs),
        fill_kind=market.fill_kind,
        written=Written(market.symbols, kept, terms, book, market.close[-1].copy()),
    )


def _trades(sessions: NDArray[np.datetime64], written: Written, cost_names: tuple[str, ...]) -> pl.DataFrame:
    tape = written.tape
    # An order worth nothing is worth 0.0, also where it sells.
    size, value = np.abs(tape.quantity), np.rint(tape.quantity * tape.price / 1e4) + 0.0
    frame = pl.DataFrame(
        {
            "session": pl.Series(sessions.repeat(tape.days["trades"])).cast(pl.Date),
            "place": tape.name,
            "symbol": gather(written.symbols, tape.name),
            "quantity": tape.quantity / 1e6,
            "price": tape.price,
            "value": value / 100.0,
            **{
                f"cost_{name}": np.rint(charge(terms, size, np.abs(value))) / 100.0  # type: ignore[arg-type]
                for name, terms in zip(cost_names, written.costs, strict=True)
            },
            "reason": gather(TRADE_REASONS, tape.reason),
        }
    )
    return frame.sort("session", "place").drop("place")


def _refused(sessions: NDArray[np.datetime64], written: Written) -> pl.DataFrame:
    rows = written.tape.refused
    frame = pl.DataFrame(
        {
            "session": pl.Series(sessions[rows[:, 0]]).cast(pl.Date),
            "place": rows[:, 1],
            "symbol": gather(written.symbols, rows[:, 1]),
            "reason": gather(REFUSAL_REASONS, rows[:, 2]),
        }
    )
    return frame.sort("session", "place", "reason").drop("place")


def positions_frame(symbols: tuple[str, ...], quantity: NDArray[np.number], mark: FloatArray) -> pl.DataFrame:
    """What is held: symbol, quantity, price (last close known), value.

    Args:
        symbols: N names.
        quantity: shape (N,), millionths of a share.
        mark: shape (N,), USD.
    """
    held = np.flatnonzero(quantity)
    return pl.DataFrame(
        {
            "symbol": gather(symbols, held),
            "quantity": quantity[held] / 1e6,
            "price": mark[held],
            "value": np.rint(quantity[held] * mark[held] / 1e4) / 100.0,
        }
    )


def gather(names: tuple[str, ...], index: NDArray[np.signedinteger]) -> pl.Series:
    """The names at `index`, also where there are none."""
    return pl.Series(names, dtype=pl.String)[index] if len(index) else pl.Series([], dtype=pl.String)


def _notes(result: BacktestResult) -> tuple[str, ...]:
    trades, refused = result.trades, result.refused
    notes = [
        f"{row['symbol']} had no more bars: position of {row['value']:+,.2f} USD closed on {row['session']} "
        f"at its last close, {row['price']:.4f}."
        for row in trades.filter(pl.col("reason") == "delisted").with_columns(-pl.col("value")).iter_rows(named=True)
    ]
    for (reason,), rows in refused.group_by("reason", maintain_order=True):
        notes.append(f"{rows.height} order(s) refused, {reason}: dropped until the next decision.")
    capped = trades.filter(pl.col("reason") == TRADE_REASONS[CUT_TO_VOLUME]).height
    if capped:
        notes.append(f"{capped} order(s) cut to the share of volume allowed.")
    short_of_cash = trades.filter(pl.col("reason") == TRADE_REASONS[CUT_TO_CASH])["session"].n_unique()
    if short_of_cash:
        notes.append(
            f"In {short_of_cash} of {trades['session'].n_unique()} sessions with trades, buys were cut to the cash at "
            "hand: shares are counted at the close of the decision and paid at the fill, costs on top."
        )
    held = np.flatnonzero(result.written.book.quantity)
    stale = [result.written.symbols[i] for i in held if np.isnan(result.written.last_close[i])]
    if stale:
        notes.append(
            f"Held at the end without a bar in the last session, valued at the last close: {', '.join(stale)}."
        )
    broke = np.flatnonzero(result.equity_cents <= 0)
    if len(broke):
        notes.append(f"Equity fell to zero or below on {result.sessions[broke[0]]}; everything was closed after it.")
    if bool((result.written.book.quantity < 0).any()) or _went_short(trades):
        notes.append("Short positions paid no borrowing fee, and cash earned no interest.")
    if result.fill_kind == "close":
        notes.append("The series carry closes only: orders filled at closes, from the session after the decision on.")
    return tuple(notes)


def _went_short(trades: pl.DataFrame) -> bool:
    held = trades.select((pl.col("quantity").cum_sum().over("symbol") < -5e-7).any())
    return bool(held.item()) if trades.height else False
