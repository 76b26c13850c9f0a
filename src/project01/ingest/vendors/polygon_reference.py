"""Polygon's splits, dividends, tickers, market holidays and news as records.

**Clocks.** What takes effect on a day happened at 04:00 in New York on that day, when it starts to trade so. It was
known by then at the latest: exchanges announce before they trade. A dividend with a declaration date was known at 20:00
on that date, the hour of the declaration not being given. Holidays and splits come without the date of their
announcement, so they count as known when the day begins: late rather than early. News: when it was published.
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from project01.domain import CorporateAction, NewsItem, Observation, Record
from project01.ingest.decoding import Reason, micros
from project01.ingest.vendors.polygon_formats import Dividend, Holiday, Split, Story, Ticker, TickerEvent
from project01.ingest.vendors.polygon_origin import SOURCE, Origin, Refused
from project01.ingest.vendors.polygon_spans import end_of, pre_open_of

INFINITY = float("inf")
HOUR_US = 3_600_000_000


class ReferenceMaker:
    """Makes records of everything but ticks."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def split(self, found: Split, raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """A split.

        Raises:
            Refused: a ratio that cannot be, a day that is none, an unknown ticker.
        """
        ratio = found.split_to / found.split_from if found.split_from > 0 else 0.0
        if not 0 < ratio < INFINITY:
            raise Refused(
                Reason.NOT_POSITIVE, f"split {found.split_to} for {found.split_from}; expected two numbers above 0"
            )
        day = _day(found.execution_date, "execution_date")
        opens = pre_open_of(day)
        return (self._action("split", found.ticker, day, opens, raw, received_at, ratio=ratio),)

    def dividend(self, found: Dividend, raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """A dividend a share, as paid at the time, not adjusted for later splits; raises as `split`."""
        if not 0 < found.cash_amount < INFINITY:
            raise Refused(Reason.NOT_POSITIVE, f"dividend of {found.cash_amount}; expected more than 0", found.ticker)
        day = _day(found.ex_dividend_date, "ex_dividend_date")
        known = pre_open_of(day)
        if found.declaration_date is not None:
            known = min(known, end_of(_day(found.declaration_date, "declaration_date")))
        return (
            self._action(
                "dividend", found.ticker, day, known, raw, received_at,
                detail=found.dividend_type, amount=found.cash_amount, currency=found.currency or "USD",
            ),
        )  # fmt: skip

    def ticker(self, found: Ticker, raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """The listing and the delisting of a ticker, as far as the vendor gives their days; raises as `split`."""
        made: list[Record] = []
        if found.list_date is not None:
            day = _day(found.list_date, "list_date")
            made.append(self._action("listing", found.ticker, day, pre_open_of(day), raw, received_at))
        if found.delisted_utc is not None:
            day = _day(found.delisted_utc[:10], "delisted_utc")
            made.append(self._action("delisting", found.ticker, day, pre_open_of(day), raw, received_at))
        return made

    def ticker_events(self, found: Sequence[TickerEvent], raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """The tickers a company has had: the first was its listing, each further one a rename; raises as `split`."""
        made: list[Record] = []
        before: TickerEvent | None = None
        for event in sorted(found, key=lambda event: event.date):
            day = _day(event.date, "date")
            opens, ticker = pre_open_of(day), event.ticker_change.ticker
            if before is None:
                made.append(self._action("listing", ticker, day, opens, raw, received_at))
            else:
                old = before.ticker_change.ticker
                renamed = self._origin.symbol(ticker)
                made.append(self._action("rename", old, day, opens, raw, received_at, new_symbol=renamed))
            before = event
        return made

    def holiday(self, found: Holiday, raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """The hours an exchange trades on a day out of the ordinary: 0 when closed.

        Raises:
            Refused: a status other than ``closed`` and ``early-close``, or hours that cannot be.
        """
        day = _day(found.date, "date")
        if found.status == "closed":
            hours = 0.0
        elif found.open is not None and found.close is not None:
            hours = (_instant(found.close, "close") - _instant(found.open, "open")) / HOUR_US
        else:
            raise Refused(
                Reason.SCHEMA, f"status {found.status!r} without open and close; expected closed, or both times"
            )
        if not 0 <= hours <= 24:
            raise Refused(Reason.OUTSIDE_RANGE, f"{hours} hours from open {found.open} to close {found.close}")
        series, opens = f"market_status:{found.exchange}", pre_open_of(day)
        return (
            Observation(
                source=SOURCE,
                source_id=f"{series}:{found.date}",
                event_time=opens,
                knowledge_time=opens,
                received_at=received_at,
                licence=self._origin.licence,
                simulated=self._origin.simulated,
                raw=raw,
                series_id=series,
                period=found.date,
                value=hours,
                unit="trading_hours",
            ),
        )

    def story(self, found: Story, raw: msgspec.Raw, received_at: int) -> Sequence[Record]:
        """A story with all listed shares it names; `symbol` only where it names one.

        The vendor's sentiments (`insights`) are made some time after publication, without saying when; they stay in
        `raw`, since under the story's own time they would be known too early.

        Raises:
            Refused: a time of publication that cannot be.
        """
        published = _instant(found.published_utc, "published_utc")
        symbols = tuple(dict.fromkeys(s for s in map(self._origin.symbol_or_none, found.tickers) if s is not None))
        return (
            NewsItem(
                source=SOURCE,
                source_id=found.id,
                event_time=published,
                knowledge_time=published,
                received_at=received_at,
                licence=self._origin.licence,
                simulated=self._origin.simulated,
                symbol=symbols[0] if len(symbols) == 1 else None,
                raw=raw,
                headline=found.title,
                body=found.description,
                url=found.article_url,
                publisher=found.publisher.name if found.publisher else None,
                symbols=symbols,
            ),
        )

    def _action(
        self,
        action: str,
        ticker: str,
        day: date,
        known: int,
        raw: msgspec.Raw,
        received_at: int,
        *,
        detail: str | None = None,
        **fields: float | str,
    ) -> CorporateAction:
        symbol = self._origin.symbol(ticker)
        effective = day.isoformat()
        return CorporateAction(
            source=SOURCE,
            source_id=":".join(filter(None, (symbol, action, effective, detail))),
            event_time=pre_open_of(day),
            knowledge_time=known,
            received_at=received_at,
            licence=self._origin.licence,
            simulated=self._origin.simulated,
            symbol=symbol,
            raw=raw,
            action=action,  # type: ignore[arg-type]
            effective=effective,
            **fields,  # type: ignore[arg-type]
        )


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"{name} {text!r} is no day; expected such as 2024-03-28") from error
    if not 1900 <= day.year < 2200:
        raise Refused(Reason.OUTSIDE_RANGE, f"{name} {text} lies outside 1900 to 2200")
    return day


def _instant(text: str, name: str) -> int:
    try:
        return micros(text)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"{name}: {error}") from error
