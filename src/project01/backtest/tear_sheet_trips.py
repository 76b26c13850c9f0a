"""Round trips: each time a symbol was held on one side, from the fill that opened it to the one that closed it."""

import numpy as np
import polars as pl

from project01.backtest.tear_sheet_holdings import Holdings

ROUND_TRIP_SCHEMA = {
    "symbol": pl.String(), "side": pl.String(), "opened": pl.Date(), "closed": pl.Date(), "sessions": pl.Int64(),
    "profit_cents": pl.Int64(),
}  # fmt: skip


def round_trips(held: Holdings) -> pl.DataFrame:
    """One row for each time a symbol was held long or short without a break; buys and sales within it are its own.

    An order that turns a long into a short closes one and opens the other: what was held earned until the fill goes to
    the first, with costs shared by size, and the rest to the second.

    Returns:
        Columns symbol, side (``long`` or ``short``), opened (session of the first fill), closed (session of the last;
        null: still held), sessions (closes it was held over), profit_cents; sorted by opened, then symbol. The profits
        add up to the whole profit of the backtest.
    """
    count = len(held.sessions)
    side = np.sign(held.quantity).astype(np.int8)
    behind = np.concatenate([np.zeros_like(side[:1]), side[:-1]])
    changed = side != behind
    # Profit of a session that ends a stay goes to it; where the side is changed, only what was earned until the fill.
    leaving = np.where(changed & (behind != 0), np.where(side == 0, held.profit_cents, held.fill_profit_cents), 0)
    staying = np.cumsum(held.profit_cents - leaving, axis=0)
    column, begin = np.nonzero(changed.T)
    last_of_symbol = np.append(column[1:] != column[:-1], True) if len(column) else np.empty(0, dtype=np.bool_)
    end = np.where(last_of_symbol, count, np.append(begin[1:], count)[: len(begin)])
    entered = side[begin, column] != 0
    column, begin, end = column[entered], begin[entered], end[entered]
    open_still = end == count
    profit = staying[end - 1, column] - np.where(begin > 0, staying[begin - 1, column], 0)
    profit += np.where(open_still, 0, leaving[np.minimum(end, count - 1), column])
    closed = held.sessions[np.minimum(end, count - 1)]
    trips = {
        "symbol": np.array(held.symbols, dtype=np.str_)[column],
        "side": np.where(side[begin, column] > 0, "long", "short"),
        "opened": held.sessions[begin],
        "closed": np.where(open_still, np.datetime64("NaT", "D"), closed),
        "sessions": end - begin,
        "profit_cents": profit,
    }
    return pl.DataFrame({name: pl.Series(v).cast(ROUND_TRIP_SCHEMA[name]) for name, v in trips.items()}).sort(
        "opened", "symbol"
    )
