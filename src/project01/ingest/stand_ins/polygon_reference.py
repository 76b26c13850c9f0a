"""Splits, dividends, listings, holidays and news of Polygon's stand-in, around the day on which its market begins."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]
ROWS_BEFORE = 12  # of each kind that the vendor pages


class ReferenceData:
    """Rows as the vendor has them; `grow` adds one of each kind, as a later day would.

    Args:
        symbols: as the vendor writes them.
        day: the day on which the market begins.
    """

    def __init__(self, symbols: Sequence[str], day: date) -> None:
        self._symbols, self._day = symbols, day
        self._extra = 0

    def grow(self) -> None:
        """One more row of each kind."""
        self._extra += 1

    def splits(self) -> list[Row]:
        """Rows of ``/v3/reference/splits``, by day."""
        return [
            {"ticker": symbol, "execution_date": day, "split_from": 1, "split_to": 2 + number % 3}
            for number, symbol, day in self._days(30)
        ]

    def dividends(self) -> list[Row]:
        """Rows of ``/v3/reference/dividends``, by day."""
        return [
            {
                "ticker": symbol, "ex_dividend_date": day, "cash_amount": 0.25 + number / 100, "currency": "USD",
                "declaration_date": (date.fromisoformat(day) - timedelta(days=21)).isoformat(), "dividend_type": "CD",
                "frequency": 4, "pay_date": day, "record_date": day,
            }
            for number, symbol, day in self._days(20)
        ]  # fmt: skip

    def news(self) -> list[Row]:
        """Rows of ``/v2/reference/news``, by time."""
        return [
            {
                "id": f"story-{number}",
                "title": f"{symbol} reports",
                "description": "Made up.",
                "publisher": {"name": "Example Wire"},
                "published_utc": f"{day}T11:30:{number % 60:02}Z",
                "article_url": f"https://example.org/{number}",
                "tickers": [symbol],
            }
            for number, symbol, day in self._days(3)
        ]

    def tickers(self) -> list[Row]:
        """Rows of ``/v3/reference/tickers``, by ticker."""
        grown = [f"NEW{chr(65 + number)}" for number in range(self._extra)]
        return [
            {
                "ticker": symbol, "name": f"{symbol} Incorporated", "market": "stocks", "locale": "us", "type": "CS",
                "active": True, "currency_name": "usd", "list_date": (self._day - timedelta(days=900)).isoformat(),
            }
            for symbol in sorted([*self._symbols, *grown])
        ]  # fmt: skip

    def events(self, ticker: str) -> Row:
        """`results` of ``/vX/reference/tickers/{ticker}/events``."""
        changed, listed = self._day - timedelta(days=400), self._day - timedelta(days=900)
        spells = [(changed, ticker), (listed, f"OLD{ticker[:4]}")]
        if self._extra:
            spells.insert(0, (self._day, f"{ticker[:4]}X"))
        return {
            "name": f"{ticker} Incorporated",
            "events": [
                {"type": "ticker_change", "date": day.isoformat(), "ticker_change": {"ticker": name}}
                for day, name in spells
            ],
        }

    def holidays(self) -> list[Row]:
        """The whole answer of ``/v1/marketstatus/upcoming``."""
        rows: list[Row] = []
        for number in range(2 + self._extra):
            day = (self._day + timedelta(days=30 * (number + 1))).isoformat()
            rows += [
                {"exchange": name, "name": "A Day", "date": day, "status": "closed"} for name in ("NYSE", "NASDAQ")
            ]
        early = self._day + timedelta(days=31)
        rows.append(
            {
                "exchange": "NYSE", "name": "A Day After", "date": early.isoformat(), "status": "early-close",
                "open": f"{early}T13:30:00.000Z", "close": f"{early}T17:00:00.000Z",
            }
        )  # fmt: skip
        return rows

    def _days(self, apart: int) -> list[tuple[int, str, str]]:
        """(number, symbol, day): rows `apart` days from each other before the market begins, then one for each day."""
        made = []
        for number in range(ROWS_BEFORE + self._extra):
            before = timedelta(
                days=(ROWS_BEFORE - number) * apart if number < ROWS_BEFORE else ROWS_BEFORE + 1 - number
            )
            made.append((number, self._symbols[number % len(self._symbols)], (self._day - before).isoformat()))
        return made
