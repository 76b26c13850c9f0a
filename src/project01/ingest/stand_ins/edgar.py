"""A local EDGAR with filings that are made up, given by the caller, or real ones from a table of reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Literal
from zoneinfo import ZoneInfo

from project01.ingest.stand_ins.edgar_server import EdgarStandIn, Filing, Number
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.symbols import SymbolMap

_NEW_YORK = ZoneInfo("America/New_York")
_MADE_UP = ("AAPL", "BRK.B")
# Keys for symbols that the built-in map does not know; the SEC's own are far below.
_FIRST_OWN_CIK = 9_000_000_000
_PER_SHARE = "USD/shares"
# Column of the table of reports -> concept, unit, and what it is about: an instant, the report's own period, or the
# year up to its end (cash flows of a 10-Q).
_COLUMNS: Mapping[str, tuple[str, str, Literal["instant", "period", "to_date"]]] = {
    "revenues": ("Revenues", "USD", "period"),
    "op_income": ("OperatingIncomeLoss", "USD", "period"),
    "net_income": ("NetIncomeLoss", "USD", "period"),
    "eps_basic": ("EarningsPerShareBasic", _PER_SHARE, "period"),
    "eps_diluted": ("EarningsPerShareDiluted", _PER_SHARE, "period"),
    "dividend": ("CommonStockDividendsPerShareDeclared", _PER_SHARE, "period"),
    "assets": ("Assets", "USD", "instant"),
    "cur_assets": ("AssetsCurrent", "USD", "instant"),
    "cur_liab": ("LiabilitiesCurrent", "USD", "instant"),
    "cash": ("CashAndCashEquivalentsAtCarryingValue", "USD", "instant"),
    "equity": ("StockholdersEquity", "USD", "instant"),
    "cash_flow_op": ("NetCashProvidedByUsedInOperatingActivities", "USD", "to_date"),
    "cash_flow_inv": ("NetCashProvidedByUsedInInvestingActivities", "USD", "to_date"),
    "cash_flow_fin": ("NetCashProvidedByUsedInFinancingActivities", "USD", "to_date"),
}
_MONTHS = {"Q1": 3, "Q2": 6, "Q3": 9, "Q4": 12, "FY": 12}


def _months_before(end: date, months: int) -> date:
    """First day of the period of so many months that ends on `end`."""
    after = end + timedelta(days=1)
    number = after.year * 12 + after.month - 1 - months
    day = min(after.day, 28)
    return date(number // 12, number % 12 + 1, day)


def _numbers(row: Mapping[str, Any]) -> tuple[Number, ...]:
    own = 12 if row["doc_type"].startswith("10-K") else 3
    months = {"period": own, "to_date": max(own, _MONTHS.get(row["period_focus"], own))}
    found = []
    for column, (concept, unit, about) in _COLUMNS.items():
        if row[column] is not None:
            start = None if about == "instant" else _months_before(row["end_date"], months[about])
            found.append(Number(concept, unit, start, row["end_date"], row[column]))
    return tuple(found)


def filings_of(rows: Iterable[Mapping[str, Any]], ciks: Mapping[str, int]) -> list[Filing]:
    """Filings of a table of reports, one a row, in its order; the time of acceptance is not told.

    Args:
        rows: symbol, end_date, amend, period_focus, fiscal_year, doc_type, first_seen (the day it was filed) and the
            numbers, as in the pystock reports; a null number is not reported.
        ciks: of every symbol.
    """
    serial = count(1)
    return [
        Filing(
            cik=ciks[row["symbol"]],
            accession=f"{ciks[row['symbol']]:010d}-{row['first_seen'].year % 100:02d}-{next(serial):06d}",
            form=row["doc_type"] + ("/A" if row["amend"] and not row["doc_type"].endswith("/A") else ""),
            filed=row["first_seen"],
            accepted="",
            period=row["end_date"],
            fiscal_year=row["fiscal_year"],
            fiscal_period=row["period_focus"],
            numbers=_numbers(row),
        )
        for row in rows
    ]


def ciks_of(symbols: Iterable[str]) -> dict[str, int]:
    """A central index key for each symbol: the true one where the built-in map knows it, else one of our own."""
    known, own = SymbolMap.default(), count(_FIRST_OWN_CIK)
    taken: set[int] = set()
    found = {}
    for symbol in dict.fromkeys(symbols):
        cik = known.cik_of(symbol)
        found[symbol] = next(own) if cik is None or cik in taken else cik
        taken.add(found[symbol])
    return found


def made_up(ciks: Mapping[str, int], seed: int, quarters: int = 8) -> list[Filing]:
    """Quarterly reports from 2015 on with the year before for comparison; every second company writes New York time.

    The first report of each company is amended a month later with another net income.
    """
    generator = Random(seed)  # noqa: S311 - made-up values, no secrets
    filings = []
    for company, (symbol, cik) in enumerate(ciks.items()):
        income = {number: float(generator.randint(10**6, 10**9)) for number in range(-4, quarters)}
        for number in range(quarters):
            end = _quarter_end(number)
            filed = end + timedelta(days=generator.randint(25, 50))
            wall = datetime(filed.year, filed.month, filed.day, 16, generator.randint(1, 59), 9, tzinfo=_NEW_YORK)
            written = wall if company % 2 else wall.astimezone(UTC)
            numbers = tuple(
                Number("NetIncomeLoss", "USD", _months_before(day, 3), day, income[at])
                for at, day in ((number, end), (number - 4, _quarter_end(number - 4)))
            )
            assets = Number("Assets", "USD", None, end, float(generator.randint(10**9, 10**10)))
            shares = Number("EntityCommonStockSharesOutstanding", "shares", None, filed, 1e6 + number, "dei")
            filings.append(
                Filing(
                    cik=cik,
                    accession=f"{cik:010d}-{filed.year % 100:02d}-{number + 1:06d}",
                    form="10-K" if number % 4 == 3 else "10-Q",
                    filed=filed,
                    accepted=f"{written:%Y-%m-%dT%H:%M:%S}.000Z",
                    period=end,
                    fiscal_year=end.year,
                    fiscal_period=("Q1", "Q2", "Q3", "FY")[number % 4],
                    numbers=(*numbers, assets, shares),
                )
            )
        filings.append(_amended(filings[-quarters], symbol))
    return filings


def _amended(first: Filing, symbol: str) -> Filing:
    income = replace(first.numbers[0], value=first.numbers[0].value + len(symbol))
    filed = first.filed + timedelta(days=30)
    accession = f"{first.accession[:-6]}{900_001:06d}"
    return replace(first, accession=accession, form=f"{first.form}/A", filed=filed, accepted="", numbers=(income,))


def _quarter_end(number: int) -> date:
    month = 2015 * 12 + 3 * number + 3
    return date(month // 12, month % 12 + 1, 1) - timedelta(days=1)


def stand_in(
    *,
    symbols: Sequence[str] = _MADE_UP,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    reports: Iterable[Mapping[str, Any]] | None = None,
    filings: Iterable[Filing] | None = None,
    recent_limit: int = 1_000,
) -> EdgarStandIn:
    """A local EDGAR.

    Args:
        symbols: companies to make up, or those of `filings`.
        seed: of what is made up.
        faults: what goes wrong.
        reports: real reports served instead, see `filings_of`; the connection's symbol map then knows their symbols.
        filings: served instead, with central index keys as `ciks_of(symbols)` gives them.
        recent_limit: how many filings a company's own answer holds; the others stand in further files.
    """
    rows = list(reports or ())
    ciks = ciks_of([row["symbol"] for row in rows] if reports is not None else symbols)
    if reports is not None:
        filings = filings_of(rows, ciks)
    elif filings is None:
        filings = made_up(ciks, seed)
    named = {cik: symbol for symbol, cik in ciks.items()}
    return EdgarStandIn(named, filings, faults=faults, recent_limit=recent_limit)
