"""Bloomberg's figures of a company's news by day: how many stories, how widely read, in what tone. Pure.

They are fields of the historical service like prices, so that no news service is needed. That they are served so, and
under which names, is shown in public by those who fetch them; what Bloomberg's own terminal says of a field (FLDS <GO>)
is not public:

- https://mengjiexu.com, on investors' attention: nine fields asked with ``bdh``, which is a HistoricalDataRequest; and,
  after Ben-Rephael, Da and Israelsen (Review of Financial Studies 30, 2017), that the score of readers is the greatest
  of the hours of a calendar day, 0 to 4
- https://foreducators.medium.com, "Analysing Bloomberg's company news and Twitter sentiment data" (the University of
  Manchester's library): company news and Twitter sentiment have history

When in the day a figure is final is told nowhere, so that none is known before its calendar day is over in New York.
There are no vintages: a figure that Bloomberg works out anew later has the clocks of its day.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from project01.domain import Observation
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.vendors.elements import Refused, Tally, check_length, day, number, read

FIELDS = (
    "NEWS_SENTIMENT_DAILY_AVG,NEWS_PUBLICATION_COUNT,NEWS_POS_SENTIMENT_COUNT,NEWS_NEG_SENTIMENT_COUNT,"
    "NEWS_HEAT_READ_DMAX"
)
_NEW_YORK = ZoneInfo("America/New_York")
# What Bloomberg calls fields; other names in a row are not what was asked for.
_MNEMONIC = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def known_from(found: date) -> datetime:
    """When the figures of a day are taken as known: its end in New York."""
    return datetime.combine(found + timedelta(days=1), datetime.min.time(), _NEW_YORK)


def last_whole_day(instant: datetime) -> date:
    """The newest day that is over in New York at `instant`."""
    return instant.astimezone(_NEW_YORK).date() - timedelta(days=1)


def first_day(instant: datetime) -> date:
    """The first day whose figures become known at `instant` or later."""
    return (instant - timedelta(microseconds=1)).astimezone(_NEW_YORK).date()


def figures(tally: Tally, symbol: str, raw: bytes) -> Iterator[Observation]:
    """One observation for each figure of one day of a company; a figure without a value gives none.

    Raises:
        Refused: the day is not over, or a value is no finite number.
    """
    row = read(raw, dict[str, object])
    check_length(len(row))
    found = day("date", row.get("date"))
    try:
        known = micros_of(known_from(found))
    except (OverflowError, ValueError) as error:
        raise Refused(Reason.SCHEMA, f"date {found} is out of range") from error
    if known > tally.received_at:
        raise Refused(Reason.IN_FUTURE, f"{found} was not over in New York when its figures were received")
    for name, value in row.items():
        if value is not None and _MNEMONIC.fullmatch(name):
            yield Observation(
                **tally.common(f"{symbol}:{name}:{found}", known, raw, symbol=symbol),
                series_id=name,
                period=found.isoformat(),
                value=number(name, value),
            )
