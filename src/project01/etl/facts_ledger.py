"""What a company's reports say at a moment: trailing years, balance sheet, shares, out of the facts known so far.

Periods are told apart by their days, never by the label of a fiscal quarter, which differs by company. Spans of one to
four quarters lie on a grid of quarters counted back from the end of the newest one, and every amount of a period is the
shortest sum and difference of reported spans that covers it: a year is a 10-K's own number, or the year before plus the
quarters since less the same quarters a year ago; a fourth quarter is the year less the first three; a quarter's cash
flow is the year to date less the one of the quarter before. A restated number replaces the former one when it is taken.
"""

import math
from collections.abc import Iterable

from project01.etl.facts_items import FLOWS, INSTANTS, ITEMS, SHARES

QUARTER_DAYS = 365.25 / 4
YEAR_DAYS = 365.25
# Years of 52 or 53 weeks end up to six days off, and reported starts may be off by a few more.
SPAN_SLACK, GRID_SLACK = 15.0, 20.0
# A trailing year may end so many quarters before the newest one reported.
OLDEST_YEAR = 4
# Changes on the year whose spread an earnings surprise is set against.
CHANGES = 8
# Quarters of the grid: the oldest change looks back four more.
QUARTERS = CHANGES + 6
# A year to the third quarter takes seven spans: three quarters, the year before them and its three first quarters. More
# are not added up: the sum would rest on too many roundings.
LONGEST_PATH = 7
# Days on cover pages are days of filing, which differ by some weeks from year to year.
COVER_SLACK = 45.0
# Earnings a share are told in cents: below ten of them the number of shares they imply is too rough.
LEAST_PER_SHARE = 0.10

YEARS = tuple(item.name for item in FLOWS)
BALANCES = tuple(item.name for item in INSTANTS)
QUARTERLY = ("net_income_quarter", "net_income_quarter_before", "net_income_change_spread")
QUARTERLY_REVENUE = ("revenue_quarter", "revenue_quarter_before")
# Values of `CompanyLedger.values`, in order. *_end: the last day the numbers are about; shares_known: the day on which
# a number of shares was told; days count since 1970.
COLUMNS = (
    *(f"{name}_ttm" for name in YEARS),
    *(f"{name}_ttm_before" for name in YEARS),
    *BALANCES,
    *(f"{name}_before" for name in BALANCES),
    *QUARTERLY,
    *QUARTERLY_REVENUE,
    "shares",
    "shares_before",
    "year_end",
    "balance_end",
    "quarter_end",
    "shares_end",
    "shares_known",
    "shares_before_known",
)
_PLACE = {item.name: place for place, item in enumerate(ITEMS)}
_AT_A_DAY = ("instant", "count")
_GROSS, _REVENUE, _COST = (YEARS.index(name) for name in ("gross_profit", "revenue", "cost_of_revenue"))
_ASSETS, _LIABILITIES, _EQUITY = (BALANCES.index(name) for name in ("assets", "liabilities", "equity"))
_COUNT, _MEAN, _PER_SHARE = (_PLACE[item.name] for item in SHARES)

# (first day, last day) -> rank of the concept, value, day on which it became known; an instant starts on its own day.
_Told = dict[tuple[int, int], tuple[int, float, int]]


class CompanyLedger:
    """The facts of one company known so far."""

    def __init__(self) -> None:
        self._told: list[_Told] = [{} for _ in ITEMS]

    def take(self, item: int, span: tuple[int, int], rank: int, value: float, known: int) -> None:
        """Take in one fact; facts come in the order in which they became known.

        Args:
            item: place in `ITEMS`.
            span: first and last day, in days since 1970; an instant has its day twice.
            rank: of the concept among those of the item; a worse one never replaces a better one.
            value: the number.
            known: the day on which it became known.
        """
        if ITEMS[item].kind not in _AT_A_DAY:
            days = span[1] - span[0] + 1
            quarters = round(days / QUARTER_DAYS)
            if not 1 <= quarters <= 4 or abs(days - quarters * QUARTER_DAYS) > SPAN_SLACK:
                return
        told = self._told[item]
        before = told.get(span)
        if before is None or rank <= before[0]:
            told[span] = (rank, value, known)
        if len(told) > 8 * QUARTERS:
            self._forget(told)

    def _forget(self, told: _Told) -> None:
        """Let go of what is too old to matter."""
        newest = max(end for _, end in told)
        oldest = newest - (QUARTERS + 4) * QUARTER_DAYS
        for span in [span for span in told if span[1] < oldest]:
            del told[span]

    def values(self) -> list[float]:
        """Every number of `COLUMNS`; NaN where the facts do not tell it."""
        years, before, year_end, quarters, quarter_end = self._flows()
        balances, balances_before, balance_end = self._balances()
        shares, shares_before = self._shares()
        return [
            *years,
            *before,
            *balances,
            *balances_before,
            *quarters,
            shares[0],
            shares_before[0],
            year_end,
            balance_end,
            quarter_end,
            shares[1],
            shares[2],
            shares_before[2],
        ]

    def _flows(self) -> tuple[list[float], list[float], float, list[float], float]:
        """The trailing year of every flow, the one before it, its end, the newest quarter's numbers, its end.

        One year for all: the newest one of which the net income is known.
        """
        nothing = [math.nan] * len(YEARS)
        income = self._told[_PLACE["net_income"]]
        if not income:
            return nothing, list(nothing), math.nan, [math.nan] * 5, math.nan
        newest = max(end for _, end in income)
        grids = [_Grid(self._told[_PLACE[name]], newest) for name in YEARS]
        own = grids[YEARS.index("net_income")]
        ends = _ends(income, newest)
        quarters = [*_quarterly(own), grids[_REVENUE].amount(0, 1), grids[_REVENUE].amount(4, 1)]
        for back in range(OLDEST_YEAR + 1):
            if not math.isnan(own.amount(back, 4)):
                years = _with_gross([grid.amount(back, 4) for grid in grids])
                before = _with_gross([grid.amount(back + 4, 4) for grid in grids])
                return years, before, ends.get(back, newest - back * QUARTER_DAYS), quarters, newest
        return nothing, list(nothing), math.nan, quarters, newest

    def _balances(self) -> tuple[list[float], list[float], float]:
        """The newest balance sheet, the one a year before it, and its day: the newest of which the assets are known."""
        assets = self._told[_PLACE["assets"]]
        if not assets:
            return [math.nan] * len(BALANCES), [math.nan] * len(BALANCES), math.nan
        day = max(end for _, end in assets)
        earlier = _nearest((end for _, end in assets), day - YEAR_DAYS, GRID_SLACK)
        return self._balance(day), self._balance(earlier), day

    def _balance(self, day: int | None) -> list[float]:
        if day is None:
            return [math.nan] * len(BALANCES)
        found = [self._told[_PLACE[name]].get((day, day), (0, math.nan))[1] for name in BALANCES]
        if math.isnan(found[_LIABILITIES]):
            found[_LIABILITIES] = found[_ASSETS] - found[_EQUITY]
        return found

    def _shares(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Number of shares, its day and the day it was told; and the same a year before.

        As counted on a day; where no count was ever told the mean diluted number; else what earnings and earnings a
        share imply.
        """
        counts = _by_end(self._told[_COUNT]) or _by_end(self._told[_MEAN]) or self._implied()
        unknown = (math.nan, math.nan, math.nan)
        if not counts:
            return unknown, unknown
        day = max(counts)
        earlier = _nearest(counts, day - YEAR_DAYS, COVER_SLACK)
        newest = (counts[day][0], float(day), counts[day][1])
        return newest, unknown if earlier is None else (counts[earlier][0], float(earlier), counts[earlier][1])

    def _implied(self) -> dict[int, tuple[float, int]]:
        """Last day of a period -> shares that net income and earnings a share imply, and the day that was told."""
        income = self._told[_PLACE["net_income"]]
        found: dict[int, tuple[float, int]] = {}
        for span, (_, per_share, known) in sorted(self._told[_PER_SHARE].items(), reverse=True):
            earned = income.get(span)
            if earned is None or abs(per_share) < LEAST_PER_SHARE or earned[1] * per_share <= 0.0:
                continue
            found.setdefault(span[1], (earned[1] / per_share, max(known, earned[2])))
        return found


def _by_end(told: _Told) -> dict[int, tuple[float, int]]:
    """Last day -> number of shares, the day that was told; of several spans the shortest, of counts not positive none.

    Spans in descending order of their first day: the shortest comes first, and the first is kept.
    """
    found: dict[int, tuple[float, int]] = {}
    for (_, end), (_, value, known) in sorted(told.items(), reverse=True):
        if value > 0.0:
            found.setdefault(end, (value, known))
    return found


def _nearest(days: Iterable[int], wanted: float, slack: float) -> int | None:
    """The day nearest to the one wanted, the later of two; None where none is within `slack` days."""
    found = min(days, key=lambda day: (abs(day - wanted), -day), default=None)
    return None if found is None or abs(found - wanted) > slack else found


def _quarters_back(end: int, newest: int) -> int | None:
    """How many quarters before the newest end a period ends; None off the grid of quarters."""
    days = newest - end
    back = round(days / QUARTER_DAYS)
    return back if back <= QUARTERS + 4 and abs(days - back * QUARTER_DAYS) <= GRID_SLACK else None


def _ends(told: _Told, newest: int) -> dict[int, int]:
    """Quarters back -> the last day of a period that ended then."""
    found: dict[int, int] = {}
    for _, end in sorted(told):
        back = _quarters_back(end, newest)
        if back is not None:
            found[back] = end
    return found


class _Grid:
    """Spans on the grid of quarters before the newest end: (quarters back of the end, quarters long) -> amount."""

    def __init__(self, told: _Told, newest: int) -> None:
        """Lay out what was told; of two spans on one place the one known later counts."""
        self._direct: dict[tuple[int, int], float] = {}
        since: dict[tuple[int, int], int] = {}
        for (start, end), (_, value, known) in told.items():
            back = _quarters_back(end, newest)
            if back is None or back < 0:
                continue
            place = (back, round((end - start + 1) / QUARTER_DAYS))
            if known >= since.get(place, known):
                self._direct[place], since[place] = value, known
        # Spans are steps between ends of quarters: backwards they add, forwards they subtract. In order of the ends, so
        # that of two equally short ways the same one is always taken.
        self._steps: dict[int, list[tuple[int, float]]] = {}
        for (end, length), value in sorted(self._direct.items()):
            self._steps.setdefault(end, []).append((end + length, value))
            self._steps.setdefault(end + length, []).append((end, -value))

    def amount(self, back: int, quarters: int) -> float:
        """Of the quarters that end `back` quarters before the newest end; NaN where the spans do not tell."""
        direct = self._direct.get((back, quarters))
        if direct is not None:
            return direct
        wanted = back + quarters
        if wanted not in self._steps:
            return math.nan
        reached, edge = {back: 0.0}, [back]
        for _ in range(LONGEST_PATH):
            beyond = []
            for place in edge:
                for neighbour, value in self._steps.get(place, ()):
                    if neighbour not in reached:
                        reached[neighbour] = reached[place] + value
                        beyond.append(neighbour)
            if wanted in reached:
                return reached[wanted]
            edge = beyond
        return math.nan


def _quarterly(income: _Grid) -> list[float]:
    """The newest quarter's net income, that of a year before, and the spread of the changes on the year before it."""
    amounts = [income.amount(back, 1) for back in range(CHANGES + 5)]
    changes = [amounts[back] - amounts[back + 4] for back in range(1, CHANGES + 1)]
    mean = math.fsum(changes) / CHANGES
    spread = math.sqrt(math.fsum((change - mean) ** 2 for change in changes) / (CHANGES - 1))
    return [amounts[0], amounts[4], spread]


def _with_gross(years: list[float]) -> list[float]:
    """Gross profit is revenue less its cost where it is not reported itself."""
    if math.isnan(years[_GROSS]):
        years[_GROSS] = years[_REVENUE] - years[_COST]
    return years
