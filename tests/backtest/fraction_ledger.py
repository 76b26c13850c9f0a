"""A slow ledger of orders in exact fractions, written from the descriptions of `run_orders` and `Account`."""

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from project01.backtest import Account, Commission, Levy, OrderExecution, RawMarket, Slippage

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
    """One order after another; charges `COSTS`."""

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
