"""Backtests in libraries that want an environment of their own; run by `backtest.py` and `backtest_agreement.py`.

Run: python benchmarks/backtest_peer.py LIBRARY TASK GIVEN RESULT

LIBRARY is `vectorbt`, `backtrader` or `bt`. GIVEN is an .npz file of `open` and `close`, shape (T, N), with either
`weights`, shape (T, N), decided at each close (TASK `weights`), or `quantity`, shape (T, N), shares traded at each
open, sales negative (TASK `orders`); besides `cash` and `rate`, the cost as a share of value. RESULT gets `equity`,
shape (T,), at each close. Prints one line of JSON: the version, bars, fills, seconds of the first call, which may
compile, and the least seconds of the next ones.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

Given = dict[str, np.ndarray]
Found = tuple[np.ndarray, int]


def frames(given: Given) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Opens and closes by business day."""
    days = pd.bdate_range("2008-01-01", periods=len(given["close"]))
    names = [f"S{i:03}" for i in range(given["close"].shape[1])]
    return pd.DataFrame(given["open"], days, names), pd.DataFrame(given["close"], days, names)


def vectorbt_orders(given: Given) -> Found:
    """Amounts at the open, one account."""
    return _vectorbt(given, size=given["quantity"], size_type="amount")


def vectorbt_weights(given: Given) -> Found:
    """Target percent of the account's value at the opens, sales first."""
    late = np.full(given["weights"].shape, np.nan)
    late[1:] = given["weights"][:-1]
    return _vectorbt(given, size=late, size_type="targetpercent", call_seq="auto")


def _vectorbt(given: Given, **orders: Any) -> Found:
    vbt = importlib.import_module("vectorbt")
    opened, close = frames(given)
    book = vbt.Portfolio.from_orders(
        close, price=opened, fees=float(given["rate"]), init_cash=float(given["cash"]), cash_sharing=True,
        group_by=True, freq="1D", **orders,
    )  # fmt: skip
    return np.asarray(book.value()), len(book.order_records)


def backtrader_orders(given: Given) -> Found:
    """Market orders sent at the close before; they fill at the open."""
    late = np.zeros_like(given["quantity"])
    late[:-1] = given["quantity"][1:]

    def send(strategy: Any, session: int) -> None:
        for place in np.flatnonzero(late[session]):
            size = float(late[session, place])
            (strategy.buy if size > 0 else strategy.sell)(data=strategy.datas[place], size=abs(size))

    return _backtrader(given, send)


def backtrader_weights(given: Given) -> Found:
    """Target percent at each close, filled at the next open, the names to sell first."""

    def send(strategy: Any, session: int) -> None:
        wanted = given["weights"][session]
        for place in np.argsort(wanted, kind="stable"):
            strategy.order_target_percent(strategy.datas[place], float(wanted[place]))

    return _backtrader(given, send)


def _backtrader(given: Given, send: Callable[[Any, int], None]) -> Found:
    backtrader = importlib.import_module("backtrader")
    opened, close = frames(given)
    equity: list[float] = []
    fills: list[int] = []

    class Rule(backtrader.Strategy):  # type: ignore[misc, name-defined]
        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                fills.append(1)

        def next(self) -> None:
            equity.append(self.broker.getvalue())
            send(self, len(self) - 1)

    engine = backtrader.Cerebro(stdstats=False)
    for name in close:
        bars = pd.DataFrame({"open": opened[name], "close": close[name], "volume": 0.0})
        bars["high"], bars["low"] = bars.max(axis=1), bars[["open", "close"]].min(axis=1)
        engine.adddata(backtrader.feeds.PandasData(dataname=bars))
    engine.broker.setcash(float(given["cash"]))
    engine.broker.setcommission(commission=float(given["rate"]))
    engine.addstrategy(Rule)
    engine.run()
    return np.array(equity), len(fills)


def bt_weights(given: Given) -> Found:
    """Rebalanced to the weights at the close itself: bt has no open, so its fills are a little early."""
    bt = importlib.import_module("bt")
    close = frames(given)[1]
    wanted = pd.DataFrame(given["weights"], close.index, close.columns)
    rule = bt.Strategy("rule", [bt.algos.WeighTarget(wanted), bt.algos.Rebalance()])
    rate = float(given["rate"])
    run = bt.Backtest(
        rule, close, initial_capital=float(given["cash"]), integer_positions=False,
        commissions=lambda quantity, price: abs(quantity) * price * rate,
    )  # fmt: skip
    found = bt.run(run)
    return np.asarray(run.strategy.values)[-len(close) :], len(found.get_transactions())


# Calls after the first: the slow ones are not repeated.
TASKS: dict[tuple[str, str], tuple[Callable[[Given], Found], int]] = {
    ("vectorbt", "weights"): (vectorbt_weights, 5),
    ("vectorbt", "orders"): (vectorbt_orders, 0),
    ("backtrader", "weights"): (backtrader_weights, 0),
    ("backtrader", "orders"): (backtrader_orders, 0),
    ("bt", "weights"): (bt_weights, 0),
}


def main() -> None:
    library, task, path, result = sys.argv[1:]
    work, more = TASKS[library, task]
    importlib.import_module(library)
    with np.load(path) as file:
        given = {name: file[name] for name in file.files}
    seconds = []
    for _ in range(1 + more):
        started = time.perf_counter()
        equity, fills = work(given)
        seconds.append(time.perf_counter() - started)
    np.savez(result, equity=equity)
    told = {"version": version(library), "bars": given["close"].size, "fills": fills, "first_s": seconds[0]}
    print(json.dumps(told | {"seconds": min(seconds[1:] or seconds)}), flush=True)


if __name__ == "__main__":
    main()
