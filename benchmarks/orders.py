"""Speed of the order ledger: 500 symbols x 2,520 sessions, the top decile rebalanced daily at the open, 10 bps.

Run: python benchmarks/orders.py
A bar-event is one symbol in one session. SIMULATED prices, with quarterly dividends and a split a symbol. Beside it
stands the least an event loop in Python could do, marking every symbol at every bar and adding up the same orders
without corporate actions, rounding, limits, settlement, volume or records, timed in the same run on the first tenth of
the sessions. One thread. Prints one JSON object.
"""

import json
import sys
import time

import numpy as np
import polars as pl

from project01.backtest import (
    Account,
    OrderBook,
    OrderExecution,
    RawMarket,
    Slippage,
    TargetWeights,
    orders_from_targets,
    run_orders,
)

SYMBOLS, SESSIONS, REPEATS, BARE_SHARE = 500, 2520, 5, 10
CASH, COSTS = 1e7, [Slippage(10.0)]
ACCOUNT, EXECUTION = Account("cash", settlement_days=0), OrderExecution(volume_share=0.1)


def drawn_market(sessions: int, symbols: int) -> tuple[RawMarket, TargetWeights]:
    random = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0003, 0.02, (sessions, symbols)), axis=0))
    split_at = (np.arange(symbols) * 5 + 1) % sessions
    close = np.where(np.arange(sessions)[:, None] >= split_at, close / 2, close)
    opens = close * np.exp(random.normal(0.0, 0.005, close.shape))
    high, low = np.maximum(opens, close) * 1.002, np.minimum(opens, close) * 0.998
    days = np.busday_offset(np.datetime64("2008-01-01"), np.arange(sessions), roll="forward").astype("datetime64[D]")
    names = tuple(f"S{i:03}" for i in range(symbols))
    actions = []
    for i, name in enumerate(names):
        actions += [(name, "dividend", days[t], None, 0.25, days[min(t + 15, sessions - 1)])
                    for t in range(i % 63, sessions, 63)]  # fmt: skip
        actions.append((name, "split", days[split_at[i]], 2.0, None, None))
    frame = pl.DataFrame(
        [(name, kind, day.item(), ratio, amount, None if paid is None else paid.item())
         for name, kind, day, ratio, amount, paid in actions],
        schema={"symbol": pl.String, "kind": pl.String, "effective": pl.Date, "ratio": pl.Float64,
                "amount": pl.Float64, "paid": pl.Date},
        orient="row",
    )  # fmt: skip
    volume = random.uniform(1e6, 1e7, close.shape)
    market = RawMarket(days, names, opens, high, low, close, volume, actions=frame)
    score = random.normal(size=close.shape)
    top = score >= np.quantile(score, 0.9, axis=1, keepdims=True)
    return market, TargetWeights(days, names, top / top.sum(axis=1, keepdims=True))


def bare_loop(market: RawMarket, orders: OrderBook, sessions: int) -> float:
    """The least an event loop does: fill the session's orders, mark every symbol, add up."""
    stamps = {stamp: t for t, stamp in enumerate(market.bars.astype("datetime64[us]").tolist())}
    column = {name: i for i, name in enumerate(market.symbols)}
    by_bar: dict[int, list[tuple[int, float]]] = {}
    for decided, symbol, quantity in orders.rows.select("decided", "symbol", "quantity").iter_rows():
        by_bar.setdefault(stamps[decided] + 1, []).append((column[symbol], quantity))
    opens, close = market.open[:sessions].tolist(), market.close[:sessions].tolist()
    held, cash, equity = [0.0] * len(column), CASH, 0.0
    start = time.perf_counter()
    for t in range(sessions):
        for i, quantity in by_bar.get(t, []):
            value = quantity * opens[t][i]
            cash -= value + abs(value) * 0.001
            held[i] += quantity
        equity = cash
        for i, price in enumerate(close[t]):
            equity += held[i] * price
    return time.perf_counter() - start


def main() -> int:
    market, targets = drawn_market(SESSIONS, SYMBOLS)
    arguments = {"initial_cash": CASH, "account": ACCOUNT, "execution": EXECUTION}
    start = time.perf_counter()
    orders = orders_from_targets(market, targets, COSTS, **arguments)  # type: ignore[arg-type]
    sizing_s = time.perf_counter() - start
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = run_orders(market, orders, COSTS, **arguments)  # type: ignore[arg-type]
        seconds.append(time.perf_counter() - start)
    bare_sessions = SESSIONS // BARE_SHARE
    bare_s = min(bare_loop(market, orders, bare_sessions) for _ in range(REPEATS))
    events, best = SYMBOLS * SESSIONS, min(seconds)
    figures = {
        "bar_events": events,
        "orders": orders.rows.height,
        "fills": result.fills.height,
        "corporate_actions": market.actions.height,
        "run_s": round(best, 4),
        "slowest_run_s": round(max(seconds), 4),
        "bar_events_per_s": round(events / best),
        "orders_per_s": round(orders.rows.height / best),
        "bare_python_bar_events_per_s": round(SYMBOLS * bare_sessions / bare_s),
        "ratio_to_bare_python": round((events / best) / (SYMBOLS * bare_sessions / bare_s), 2),
        "first_run_with_sizing_s": round(sizing_s, 3),
        "final_equity": round(float(result.equity[-1]), 2),
    }
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
