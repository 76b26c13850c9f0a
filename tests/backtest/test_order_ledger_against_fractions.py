"""The compiled order ledger against a slow one in exact fractions: no cent lost on a thousand SIMULATED markets.

Prices are multiples of 1/64 USD and rates sums of few powers of two, so both meet the same ties. Written from the
descriptions of `run_orders` and `Account`, not from the compiled code.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from tests.effort import slowly

from project01.backtest import Account, Commission, Levy, OrderBook, OrderExecution, RawMarket, Slippage, run_orders

COSTS = [
    Commission(per_share=5 / 1024, minimum=1.0, maximum_bps=100.0),
    Slippage(7.5),
    Levy("sale", bps=2.5, name="duty"),
    Levy("buy", per_share=1 / 256, maximum=0.25, name="stamp"),
]
WHOLE = 10**6


def cents(micro: int, price: Fraction) -> int:
    return round(micro * price / 10**4)


def fees(micro: int, value: int) -> list[int]:
    shares, worth = Fraction(abs(micro), WHOLE), Fraction(abs(value), 100)
    if value == 0:
        return [0] * len(COSTS)
    commission = min(max(shares * Fraction(5, 1024), 1), worth / 100)
    slippage = worth * Fraction(75, 100_000)
    duty = worth * Fraction(25, 100_000) if micro < 0 else Fraction(0)
    stamp = min(shares / 256, Fraction(1, 4)) if micro > 0 else Fraction(0)
    return [round(100 * part) for part in (commission, slippage, duty, stamp)]


@dataclass
class FractionLedger:
    market: RawMarket
    orders: list
    account: Account
    execution: OrderExecution
    settled: int
    receivable: int = 0
    call: Fraction | None = None  # the part of each position that stays
    due: dict = field(default_factory=dict)
    payments: dict = field(default_factory=dict)
    held: dict = field(default_factory=dict)
    mark: dict = field(default_factory=dict)
    missing: dict = field(default_factory=dict)
    gone: set = field(default_factory=set)
    rows: list = field(default_factory=list)
    fills: list = field(default_factory=list)
    ends: list = field(default_factory=list)

    def has_bar(self, t, i):
        return not np.isnan(self.market.close[t, i])

    def price(self, grid, t, i):
        return None if np.isnan(grid[t, i]) else Fraction(float(grid[t, i]))

    def end(self, t, number):
        order = self.orders[number]
        order["alive"] = False
        self.ends.append((t, number, order["left"]))

    def waiting(self, t):
        return [n for n, order in enumerate(self.orders) if order["alive"] and order["decided"] < t]

    def happen(self, t, action):
        i, row = action.name, self.rows[t]
        quantity = self.held.get(i, 0)
        if action.kind == "dividend":
            owed = round(quantity * Fraction(action.amount) / 10**4)
            self.receivable += owed
            self.payments[action.other] = self.payments.get(action.other, 0) + owed
        if action.kind == "rename":
            self.held[action.other], self.held[i] = quantity, 0
            self.missing[action.other] = self.missing.get(i, 0)
            if i in self.mark:
                self.mark[action.other] = self.mark.pop(i)
        if action.kind == "delisting":
            self.gone.add(i)
            if i in self.mark:
                lost = self.execution.delisting_return if math.isnan(action.amount) else action.amount
                self.mark[i] *= 1 + Fraction(lost)
        if action.kind == "split" and i in self.mark:
            exact = quantity * action.ratio
            self.held[i], self.mark[i] = int(exact), self.mark[i] / action.ratio
            row["in_lieu"] += cents(exact - int(exact), self.mark[i])
            self.settled += cents(exact - int(exact), self.mark[i])
        for number in self.waiting(t):
            if self.orders[number]["name"] == i:
                self.happen_to_order(t, action, number)

    def happen_to_order(self, t, action, number):
        order = self.orders[number]
        if action.kind == "rename":
            order["name"] = action.other
        if action.kind == "delisting":
            self.end(t, number)
        if action.kind == "split":
            if int(order["left"] * action.ratio) == 0:
                self.end(t, number)
            order["left"] = int(order["left"] * action.ratio)
            order["limit"] = None if order["limit"] is None else order["limit"] / action.ratio

    def nights(self, t):
        dates = self.market.dates
        nights = int((dates[t] - dates[t - 1]).astype(int)) if t else 0
        if not nights:
            return
        self.settled += self.due.pop(int(self.date_number[t]), 0)
        base = self.settled + sum(self.due.values())
        for i, quantity in self.held.items():
            if quantity < 0:
                owed = -cents(quantity, self.mark[i])
                base -= owed
                self.rows[t]["borrow"] += round(Fraction(owed) * Fraction(self.account.borrow_bps) * nights / 3_600_000)
        rate = self.account.credit_bps if base > 0 else self.account.debit_bps
        self.rows[t]["interest"] = -round(Fraction(base) * Fraction(rate) * nights / 3_600_000)
        self.settled -= self.rows[t]["borrow"] + self.rows[t]["interest"]

    def power(self):
        cash = self.settled + sum(self.due.values())
        if self.account.kind == "cash":
            return self.settled
        if self.account.kind == "netting":
            return cash
        values = [cents(quantity, self.mark[i]) for i, quantity in self.held.items() if quantity]
        return cash + self.receivable + sum(value - math.ceil(Fraction(abs(value), 2)) for value in values)

    def priced(self, step, scale):
        done, need, opening_need = [], 0, 0
        for row in step:
            cut = int(Fraction(row["opening"] * scale, WHOLE))
            quantity = row["wanted"] - row["opening"] + cut
            value = cents(quantity, row["price"])
            paid = fees(quantity, value)
            if self.account.kind == "margin":
                opened = math.ceil(Fraction(abs(cents(cut, row["price"])), 2))
                need += sum(paid) + opened - abs(cents(quantity - cut, row["price"])) // 2
                opening_need += sum(paid) + opened if cut else 0
            elif self.account.kind == "cash" and quantity < 0:
                need += max(value + sum(paid), 0)
            else:
                need += value + sum(paid)
                opening_need += cents(cut, row["price"]) + sum(paid) if cut > 0 else 0
            done.append((quantity, value, paid))
        return done, need, opening_need

    def settle(self, t, step):
        power, scale = self.power(), WHOLE
        for tried in range(1, 65):
            done, need, opening_need = self.priced(step, scale)
            short = need - power
            if short <= 0 or opening_need == 0 or scale == 0:
                break
            scale = min(scale - 1, scale * max(opening_need - short - len(step), 0) // opening_need)
            scale = 0 if tried == 63 else scale
        for row, (quantity, value, paid) in zip(step, done, strict=True):
            if quantity:
                flow = value + sum(paid)
                day = int(self.date_number[t]) + self.account.settlement_days
                if flow < 0 and self.account.settlement_days:
                    self.due[day] = self.due.get(day, 0) - flow
                else:
                    self.settled -= flow
                self.mark.setdefault(row["name"], row["price"])  # bought in its first bar, before any close
                self.held[row["name"]] = self.held.get(row["name"], 0) + quantity
                self.taken[row["name"]] = self.taken.get(row["name"], 0) + abs(quantity)
                self.rows[t]["costs"] = [a + b for a, b in zip(self.rows[t]["costs"], paid, strict=True)]
                self.fills.append((t, row["order"], row["name"], quantity, value, row["price"]))
            if row["order"] >= 0:
                order = self.orders[row["order"]]
                order["left"] -= quantity
                order["alive"] = order["left"] != 0
                if order["alive"] and (order["cancel"] or (row["short_of_holding"] and not self.was_cut(row, scale))):
                    self.end(t, row["order"])

    @staticmethod
    def was_cut(row, scale):
        return scale < WHOLE and row["opening"] != 0

    def volume_left(self, t, i, step):
        if self.execution.volume_share is None or np.isnan(self.market.volume[t, i]):
            return 4 * 10**15
        most = int(Fraction(float(self.market.volume[t, i])) * Fraction(self.execution.volume_share) * WHOLE)
        return max(most - self.taken.get(i, 0) - sum(abs(row["wanted"]) for row in step if row["name"] == i), 0)

    def put(self, step, name, number, wanted, price, *, short_of_holding=False):
        held = self.held.get(name, 0)
        bought = sum(row["wanted"] for row in step if row["name"] == name and row["wanted"] > 0)
        sold = -sum(row["wanted"] for row in step if row["name"] == name and row["wanted"] < 0)
        opening = 0
        if wanted > 0:
            opening = max(wanted - max(-held - bought, 0), 0)
        elif self.account.kind == "margin":
            opening = -max(-wanted - max(held - sold, 0), 0)
        step.append(
            {"name": name, "order": number, "wanted": wanted, "price": price, "opening": opening,
             "short_of_holding": short_of_holding}
        )  # fmt: skip

    def forced(self, t, step):
        if self.call is not None:
            for number in self.waiting(t):
                self.end(t, number)
            for i in range(len(self.market.symbols)):
                quantity, first = self.held.get(i, 0), self.price(self.market.open, t, i)
                if not quantity or first is None or self.market.halted[t, i]:
                    continue
                size = min(abs(quantity) - int(abs(quantity) * self.call), self.volume_left(t, i, step))
                if size:
                    self.put(step, i, -1, -size if quantity > 0 else size, first)
        some = any(self.has_bar(t, i) for i in range(len(self.market.symbols)))
        for i in range(len(self.market.symbols)):
            self.missing[i] = 0 if self.has_bar(t, i) else self.missing.get(i, 0) + some
            patience = self.execution.bars_until_delisted
            silent = patience is not None and self.missing[i] >= patience
            if self.held.get(i, 0) and (i in self.gone or silent):
                lost = 0 if i in self.gone else Fraction(self.execution.delisting_return)
                self.put(step, i, -1, -self.held[i], self.mark[i] * (1 + lost))

    def offered(self, order, t, moment):
        market, i = self.market, order["name"]
        first, buys = self.price(market.open, t, i), order["left"] > 0
        if order["kind"] == "limit":
            low, high = self.price(market.low, t, i), self.price(market.high, t, i)
            if not (low < order["limit"] if buys else high > order["limit"]):
                return None
            at_open = first is not None and (first <= order["limit"] if buys else first >= order["limit"])
            if moment == "within":
                worst = min(order["limit"], high) if buys else max(order["limit"], low)
                return None if at_open else worst
            return first if at_open and moment == "open" else None
        dates, last = market.dates, len(market.bars) - 1
        opens = t == 0 or dates[t] != dates[t - 1]
        ends = t == last or dates[t] != dates[t + 1]
        if moment == "open" and (order["kind"] == "market" or (order["kind"] == "market_on_open" and opens)):
            return first
        if moment == "close" and order["kind"] == "market_on_close" and ends:
            return self.price(market.close, t, i)
        return None

    def collect(self, t, step, moment):
        for number in self.waiting(t):
            order = self.orders[number]
            i = order["name"]
            if not self.has_bar(t, i) or self.market.halted[t, i]:
                continue
            price = self.offered(order, t, moment)
            if price is None:
                continue
            wanted, nothing, short_of_holding = order["left"], False, False
            sold = -sum(row["wanted"] for row in step if row["name"] == i and row["wanted"] < 0)
            bought = sum(row["wanted"] for row in step if row["name"] == i and row["wanted"] > 0)
            free = max(self.held.get(i, 0) - sold, 0)
            if self.account.kind == "cash" and -wanted > free:
                wanted, short_of_holding, nothing = -free, True, free == 0
            left = self.volume_left(t, i, step)
            if abs(wanted) > left:
                wanted, short_of_holding, nothing = (left if wanted > 0 else -left), False, False
            closes = self.held.get(i, 0) + bought - sold + wanted == 0
            if wanted and not closes and cents(wanted, price) == 0:
                wanted, nothing = 0, False
            if wanted:
                self.put(step, i, number, wanted, price, short_of_holding=short_of_holding)
            elif order["cancel"] or nothing:
                self.end(t, number)

    def value(self, t):
        for i in range(len(self.market.symbols)):
            if self.has_bar(t, i):
                self.mark[i] = self.price(self.market.close, t, i)
        values = [cents(quantity, self.mark[i]) for i, quantity in self.held.items() if quantity]
        longs, shorts = sum(v for v in values if v > 0), -sum(v for v in values if v < 0)
        cash = self.settled + sum(self.due.values())
        equity = cash + self.receivable + longs - shorts
        self.rows[t] |= {"equity": equity, "cash": cash, "settled": self.settled, "receivable": self.receivable}
        required = math.ceil(longs * Fraction(1, 4) + shorts * Fraction(3, 10))
        called = self.account.kind == "margin" and equity < required
        self.call = Fraction(max(equity, 0) * WHOLE // max(required, 1), WHOLE) if called else None

    def run(self):
        dates = self.market.dates
        self.date_number = np.cumsum(np.append(0, dates[1:] != dates[:-1]))
        for t in range(len(self.market.bars)):
            self.taken = {}
            self.rows.append({"borrow": 0, "interest": 0, "in_lieu": 0, "dividends": 0, "costs": [0] * len(COSTS)})
            for action in self.market.events:
                if action.bar == t:
                    self.happen(t, action)
            self.rows[t]["dividends"] = self.payments.pop(t, 0)
            self.settled += self.rows[t]["dividends"]
            self.receivable -= self.rows[t]["dividends"]
            self.nights(t)
            for moment in ("open", "within", "close"):
                step = []
                if moment == "open":
                    self.forced(t, step)
                self.collect(t, step, moment)
                self.settle(t, step)
            self.value(t)
            for number in self.waiting(t):
                if self.orders[number]["expires"] <= t:
                    self.end(t, number)
        return self


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
