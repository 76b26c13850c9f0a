"""The compiled order ledger against a slow one in exact fractions: no cent lost on a thousand SIMULATED markets.

Prices are multiples of 1/64 USD and rates sums of few powers of two, so both meet the same ties.
"""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from tests.backtest.fraction_ledger import COSTS, WHOLE, FractionLedger
from tests.effort import slowly

from project01.backtest import Account, OrderBook, OrderExecution, RawMarket, run_orders

BARS, NAMES, ORDERS = 14, ("A", "B", "C", "D"), 24


def drawn_market(random) -> RawMarket:
    shape = (BARS, len(NAMES))
    opens, close = random.integers(5 * 64, 40 * 64, (2, *shape)) / 64
    high = np.maximum(opens, close) + random.integers(0, 128, shape) / 64
    low = np.minimum(opens, close) - random.integers(0, 128, shape) / 64
    close[random.random(shape) < 0.06] = np.nan
    days = np.busday_offset(np.datetime64("2024-05-20"), np.arange(BARS)).astype("datetime64[D]")
    bars = days.astype("datetime64[h]") + 16
    if random.random() < 1 / 3:  # two bars a date
        bars = np.repeat(days, 2)[:BARS].astype("datetime64[h]") + np.tile([10, 16], BARS)[:BARS]
    dates = bars.astype("datetime64[D]")
    ratio, paid = float(random.choice([2.0, 1 / 3, 0.1, 1.5, 2 / 3])), random.integers(1, 32, 2) / 16
    ex = random.integers(1, BARS, 3)
    actions = [
        ("A", "split", dates[ex[0]], ratio, None, None, None, None),
        ("B", "dividend", dates[ex[1]], None, paid[0], dates[min(ex[1] + 3, BARS - 1)], None, None),
        ("A", "dividend", dates[ex[2]], None, paid[1], None, None, None),
    ]
    renamed, gone = dates[random.integers(4, BARS)], dates[random.integers(4, BARS)]
    close[dates < renamed, 3] = np.nan
    close[dates >= renamed, 0] = np.nan
    actions.append(("A", "rename", renamed, None, None, None, "D", None))
    if random.random() < 0.5:
        close[dates >= gone, 2] = np.nan
        actions.append(("C", "delisting", gone, None, None, None, None, random.choice([None, -0.5, 0.125, -1.0])))
    for grid in (opens, high, low):
        grid[np.isnan(close)] = np.nan
    opens[random.random(shape) < 0.03] = np.nan
    frame = pl.DataFrame(
        [[None if v is None else v.item() if isinstance(v, np.generic) else v for v in row] for row in actions],
        schema={"symbol": pl.String, "kind": pl.String, "effective": pl.Date, "ratio": pl.Float64, "amount": pl.Float64,
                "paid": pl.Date, "new_symbol": pl.String, "delisting_return": pl.Float64},
        orient="row",
    )  # fmt: skip
    volume = random.integers(0, 400, shape).astype(float)
    volume[random.random(shape) < 0.1] = np.nan
    return RawMarket(bars, NAMES, opens, high, low, close, volume, random.random(shape) < 0.05, frame)


def drawn_orders(random, market: RawMarket) -> OrderBook:
    kind = random.choice(["market", "limit", "limit", "market_on_open", "market_on_close"], ORDERS)
    size = random.choice([1e-6, 0.25, 1.0, 3.000001], ORDERS) * random.integers(1, 120, ORDERS)
    limit = random.integers(5 * 64, 40 * 64, ORDERS) / 64
    return OrderBook(
        pl.DataFrame(
            {
                "decided": market.bars.astype("datetime64[us]")[np.sort(random.integers(0, BARS, ORDERS))],
                "symbol": random.choice(NAMES, ORDERS, p=[0.4, 0.25, 0.25, 0.1]),
                "quantity": size * random.choice([1.0, 1.0, -1.0], ORDERS),
                "kind": kind,
                "limit": [float(x) if k == "limit" else None for x, k in zip(limit, kind, strict=True)],
                "time_in_force": random.choice(["day", "good_till_cancelled"], ORDERS),
                "rest": random.choice(["wait", "cancel"], ORDERS),
            },
            schema_overrides={"limit": pl.Float64},
        )
    )


def as_given(market: RawMarket, book: OrderBook) -> list[dict]:
    stamps, dates = market.bars.astype("datetime64[us]"), market.dates
    found = []
    for row in book.rows.to_dicts():
        bar = int(np.flatnonzero(stamps >= np.datetime64(row["decided"]))[0])
        same = np.flatnonzero(dates == dates[bar + 1])[-1] if bar + 1 < BARS else BARS
        found.append({
            "decided": bar, "name": NAMES.index(row["symbol"]), "left": round(row["quantity"] * WHOLE),
            "kind": row["kind"], "limit": None if row["limit"] is None else Fraction(row["limit"]),
            "expires": BARS if row["time_in_force"] != "day" else int(same), "cancel": row["rest"] == "cancel",
            "alive": True,
        })  # fmt: skip
    return found


def check(seed: int) -> tuple[int, int]:
    random = np.random.default_rng(seed)
    market = drawn_market(random)
    book = drawn_orders(random, market)
    account = Account(("margin", "cash", "netting")[seed % 3], int(random.integers(0, 3)), credit_bps=75.0,
                      debit_bps=500.0, borrow_bps=300.0)  # fmt: skip
    execution = OrderExecution(0.25 if seed % 2 else None, [2, None][seed // 2 % 2], -0.25)
    cash = int(random.integers(50_000, 500_000))
    exact = FractionLedger(market, as_given(market, book), account, execution, cash).run()
    found = run_orders(market, book, COSTS, initial_cash=cash / 100, account=account, execution=execution)
    for name, values in {
        "equity": found.equity_cents, "cash": found.cash_cents, "settled": found.settled_cents,
        "receivable": found.receivable_cents, "borrow": found.borrow_cents, "interest": found.interest_cents,
        "dividends": found.dividend_cents, "in_lieu": found.in_lieu_cents,
    }.items():  # fmt: skip
        assert values.tolist() == [row[name] for row in exact.rows], (seed, name)
    assert found.cost_cents.tolist() == [row["costs"] for row in exact.rows], seed
    stamps = market.bars.astype("datetime64[us]")
    at = np.searchsorted(stamps, found.fills["bar"].to_numpy())
    fills = found.fills.select("order", "symbol", "quantity", "value", "price").rows()
    assert [(t, *row) for t, row in zip(at.tolist(), fills, strict=True)] == [
        (t, number, NAMES[i], quantity / 1e6, value / 100, float(price))
        for t, number, i, quantity, value, price in exact.fills
    ], seed
    assert found.unfilled.select("order", "remaining").rows() == [(n, left / 1e6) for _, n, left in exact.ends], seed
    accounts_add_up(found, cash)
    no_fill_outside_its_bar(market, found, at)
    no_more_than_the_share_of_volume(market, found, at, execution)
    return found.fills.height, len(found.margin_calls)


def accounts_add_up(found, cash: int) -> None:
    """Of the compiled run alone: equity is its parts, and all that leaves cash has a name."""
    parts = found.cash_cents + found.receivable_cents + found.long_cents - found.short_cents
    assert found.equity_cents.tolist() == parts.tolist()
    value = np.rint(found.fills["value"].to_numpy() * 100).astype(np.int64)
    at = np.searchsorted(found.bars.astype("datetime64[us]"), found.fills["bar"].to_numpy())
    bought = np.zeros(len(found.bars), dtype=np.int64)
    np.add.at(bought, at, value)
    flows = found.dividend_cents + found.in_lieu_cents - found.borrow_cents - found.interest_cents
    moved = np.diff(np.append(cash, found.cash_cents))
    assert moved.tolist() == (flows - bought - found.cost_cents.sum(axis=1)).tolist()


def no_fill_outside_its_bar(market, found, at) -> None:
    forced = found.fills["reason"].to_numpy() == "delisted"
    column = np.array([market.symbols.index(name) for name in found.fills["symbol"]], dtype=np.int64)
    price = found.fills["price"].to_numpy()
    inside = (market.low[at, column] <= price) & (price <= market.high[at, column])
    assert (inside | forced).all()
    assert not market.halted[at, column][~forced].any()


def no_more_than_the_share_of_volume(market, found, at, execution) -> None:
    ours = found.fills["reason"].to_numpy() != "delisted"
    column = np.array([market.symbols.index(name) for name in found.fills["symbol"]], dtype=np.int64)
    traded = np.zeros(market.close.shape)
    np.add.at(traded, (at[ours], column[ours]), np.abs(found.fills["quantity"].to_numpy()[ours]))
    most = np.inf if execution.volume_share is None else market.volume * execution.volume_share
    assert not (traded > np.where(np.isnan(most), np.inf, most) + 1e-9).any()


@pytest.mark.parametrize("first", [0, *(slowly(batch) for batch in range(40, 1000, 240))])
def test_no_cent_is_lost(first):
    found = [check(seed) for seed in range(first, first + (40 if first == 0 else 240))]
    fills, calls = zip(*found, strict=True)
    assert sum(fills) > 5 * len(found)  # the draws do trade, and do breach margins
    assert sum(calls) > 0
