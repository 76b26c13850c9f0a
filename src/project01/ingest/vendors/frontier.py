"""How far history was read, for each symbol: the cursor of vendors that are asked by time and give no cursor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self

import msgspec

from project01.domain import InputError, Record
from project01.ingest.decoding import micros_of
from project01.ingest.vendor import Decoded, Query

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Reach(msgspec.Struct, frozen=True):
    """Everything before `at` (microseconds UTC) is read, and the records `seen` at that very instant."""

    at: int
    seen: tuple[str, ...] = ()


class _Text(msgspec.Struct):
    dataset: str
    reached: dict[str, _Reach]


class _Day(msgspec.Struct):
    dataset: str
    today: date
    done: tuple[str, ...]


class Frontier:
    """How far each symbol was read; written as a cursor, read back days later.

    A vendor may still add to the last minutes. So a window that ends before `settled` is done with; of a later one only
    what came is, and the next call asks again from the newest record on and leaves out what it has.
    """

    def __init__(self, dataset: str, reached: Mapping[str, _Reach] | None = None) -> None:
        self._dataset = dataset
        self._reached = dict(reached or {})

    @classmethod
    def read(cls, dataset: str, cursor: str | None) -> Self:
        """The frontier of a cursor, empty for None.

        Raises:
            InputError: the text is no cursor of this dataset.
        """
        if cursor is None:
            return cls(dataset)
        try:
            found = msgspec.json.decode(cursor, type=_Text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InputError(f"{cursor[:80]!r} is no cursor of this source. Leave it out to start anew.") from error
        if found.dataset != dataset:
            raise InputError(f"The cursor belongs to dataset {found.dataset!r}, not to {dataset!r}. Leave it out.")
        return cls(dataset, found.reached)

    def text(self) -> str:
        """The frontier as a cursor."""
        return msgspec.json.encode(_Text(self._dataset, self._reached)).decode()

    def start(self, key: str, otherwise: datetime) -> datetime:
        """Where to go on with a symbol."""
        reach = self._reached.get(key)
        return otherwise if reach is None else max(otherwise, at(reach.at))

    def only_new(self, key: str, decoded: Decoded, since: datetime, until: datetime) -> Decoded:
        """`decoded` of the window [since, until] without what lies outside it or was brought by an earlier page."""
        reach = self._reached.get(key, _Reach(0))
        seen, first, last = set(reach.seen), max(reach.at, micros_of(since)), micros_of(until)
        kept = []
        for record in decoded.records:
            if first <= record.event_time <= last and record.source_id not in seen:
                seen.add(record.source_id)
                kept.append(record)
        return Decoded(kept, decoded.letters, decoded.accepted)

    def advance(self, key: str, records: Sequence[Record], end: datetime, settled: datetime) -> None:
        """A window that ends at `end` was read and gave `records`; the vendor adds nothing before `settled`."""
        before = self._reached.get(key)
        newest, seen = (before.at, set(before.seen)) if before is not None else (0, set())
        for record in records:
            if record.event_time > newest:
                newest, seen = record.event_time, set()
            if record.event_time == newest:
                seen.add(record.source_id)
        limit = micros_of(min(end, settled))
        if limit > newest:
            newest, seen = limit, set()
        if newest:
            self._reached[key] = _Reach(newest, tuple(sorted(seen)))


class Snapshot:
    """For which symbols today's numbers were fetched: the cursor of data that has no history."""

    def __init__(self, dataset: str, today: date, done: Iterable[str]) -> None:
        self._dataset, self._today, self._done = dataset, today, list(done)

    @classmethod
    def read(cls, dataset: str, cursor: str | None, today: date) -> Self:
        """The snapshot of a cursor; one of another day counts for nothing.

        Raises:
            InputError: the text is no cursor of this dataset.
        """
        if cursor is None:
            return cls(dataset, today, ())
        try:
            found = msgspec.json.decode(cursor, type=_Day)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InputError(f"{cursor[:80]!r} is no cursor of this source. Leave it out to start anew.") from error
        return cls(dataset, today, found.done if (found.dataset, found.today) == (dataset, today) else ())

    def missing(self, symbols: Iterable[str]) -> list[str]:
        """Symbols still to be fetched today."""
        return [symbol for symbol in symbols if symbol not in self._done]

    def with_symbol(self, symbol: str) -> str:
        """The cursor after this symbol, too, was fetched."""
        self._done.append(symbol)
        return msgspec.json.encode(_Day(self._dataset, self._today, tuple(self._done))).decode()


def at(stamp: int) -> datetime:
    """Microseconds UTC as an instant."""
    return _EPOCH + timedelta(microseconds=stamp)


def span(query: Query, now: datetime, reach: timedelta) -> tuple[datetime, datetime]:
    """Start and end of what is asked for; without a start, `reach` before the end.

    Raises:
        InputError: an instant without a time zone, or the end before the start.
    """
    for name, found in (("start", query.start), ("end", query.end)):
        if found is not None and found.tzinfo is None:
            raise InputError(f"{name} {found.isoformat()} has no time zone. Give one, e.g. 2024-01-02T14:30:00+00:00.")
    end = min(query.end or now, now)
    start = query.start or end - reach
    if query.end is not None and query.end < start:
        raise InputError(f"end {query.end.isoformat()} lies before start {start.isoformat()}. Swap them.")
    return start.astimezone(UTC), end.astimezone(UTC)


def windows(start: datetime, end: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Pieces of [start, end) no longer than `step`, in order."""
    while start < end:
        upto = min(start + step, end)
        yield start, upto
        start = upto
