"""Who a ticker meant on a day: ticker changes, and tickers that were given to another company later.

The file is in the form of QuantConnect's map files: one row a spell, `permtick,last_date,ticker,exchange`; the first
row of a company names its first day, each further row the last day on which it had that ticker, 20501231 for open.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from project01.domain import InputError

_COLUMNS = ("permtick", "last_date", "ticker", "exchange")


@dataclass(frozen=True)
class Spell:
    """One company under one ticker, both days included. `company` is any unique name for it."""

    company: str
    ticker: str
    first: date
    last: date
    exchange: str | None = None


class TickerHistory:
    """Spells of all known companies; a ticker that it does not know means itself for ever."""

    def __init__(self, spells: Iterable[Spell]) -> None:
        self._of_ticker: dict[str, list[Spell]] = defaultdict(list)
        self._of_company: dict[str, list[Spell]] = defaultdict(list)
        for spell in sorted(spells, key=lambda each: (each.first, each.last)):
            self._of_ticker[spell.ticker].append(spell)
            self._of_company[spell.company].append(spell)

    def on(self, ticker: str, day: date, meant_on: date | None = None) -> str:
        """The ticker, on `day`, of the company that `ticker` meant on `meant_on`; None: `day` or last before it."""
        spells = self._of_ticker.get(ticker)
        meant = spells and _spell_at(spells, meant_on or day)
        if not meant:
            return ticker
        own = self._of_company[meant.company]
        # Before its first day a company had no ticker: the first one it got is the nearest truth.
        return (_spell_at(own, day) or own[0]).ticker

    def exchange(self, ticker: str) -> str | None:
        """Code of the exchange of the newest company with this ticker: N, Q, A, P or Z; None when unknown."""
        spells = self._of_ticker.get(ticker)
        return spells[-1].exchange if spells else None


def read_spells(lines: Iterable[str], *, where: str) -> list[Spell]:
    """Spells from the lines of a map file.

    Raises:
        InputError: a column is missing, a date is none, or a company's dates go backwards; names the place.
    """
    reader = csv.DictReader(lines)
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
        raise InputError(
            f"{where}: column(s) {', '.join(missing)} missing; a file of ticker changes has {', '.join(_COLUMNS)}."
        )
    companies: dict[str, list[tuple[date, str, str]]] = defaultdict(list)
    for row in reader:
        try:
            last = datetime.strptime(row["last_date"], "%Y%m%d").date()  # noqa: DTZ007 - a day, not an instant
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{where}, line {reader.line_num}: last_date is {row['last_date']!r}; expected a day such as 20220608."
            ) from error
        companies[row["permtick"]].append((last, row["ticker"], row["exchange"]))
    return [spell for company, rows in companies.items() for spell in _spells(company, rows, where)]


def _spells(company: str, rows: list[tuple[date, str, str]], where: str) -> list[Spell]:
    spells: list[Spell] = []
    first = rows[0][0]
    for (before, _, _), (last, ticker, exchange) in pairwise(rows):
        if last < before:
            raise InputError(f"{where}: {company}: {last} stands after {before}; a company's days go forward.")
        if last >= first:  # a first row is often repeated as a spell of no length
            spells.append(Spell(company, ticker, first, last, exchange or None))
            first = last + timedelta(days=1)
    return spells


def _spell_at(spells: list[Spell], day: date) -> Spell | None:
    """The spell that `day` lies in, else the last that ended before it; None: all begin later."""
    begun = [spell for spell in spells if spell.first <= day]
    return next((spell for spell in reversed(begun) if day <= spell.last), begun[-1] if begun else None)
