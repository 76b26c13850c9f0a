"""How NewsAPI is read: articles back in time, headlines page by page, each remembered so that only new ones come again.

Articles are not read by page number: while pages are turned, new articles push old ones on to the next page, and the
developer plan ends after 100 results. Each call asks for what was published up to the oldest article before.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from project01.domain import InputError, VendorError
from project01.ingest.decoding import micros_of
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.frontier import at
from project01.ingest.vendors.newsapi_asking import Answered, Asking

_SECOND_US: Final = 1_000_000
# Articles become searchable some time after they were published: so much is asked for again the next time.
_OVERLAP_US: Final = 3_600 * _SECOND_US


class Sweep(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one query text was read; instants are microseconds UTC.

    Everything published before `done` is read. While a sweep runs it goes back from `end` and has come to `reached`.
    `seen` are the ids of records that may come again, with their times.
    """

    done: int | None = None
    end: int | None = None
    reached: int | None = None
    seen: dict[str, int] = {}


class _Cursor(msgspec.Struct):
    sweeps: dict[str, Sweep]


class Cursors:
    """Sweeps by query text, as a cursor."""

    def __init__(self, cursor: str | None) -> None:
        try:
            self._sweeps = {} if cursor is None else msgspec.json.decode(cursor, type=_Cursor).sweeps
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InputError(f"{cursor!r:.80} is no cursor of NewsAPI. Leave it out to start anew.") from error

    def of(self, words: str) -> Sweep:
        """The sweep of a query text."""
        return self._sweeps.get(words, Sweep())

    def page(self, words: str, sweep: Sweep, decoded: Decoded) -> Page:
        """A page after which the sweep stands like this."""
        self._sweeps[words] = sweep
        return Page(decoded=decoded, cursor=msgspec.json.encode(_Cursor(self._sweeps)).decode())


def articles(asking: Asking, query: Query, words: str, cursors: Cursors, newest: datetime) -> Iterator[Page]:
    """Articles of one query text, newest first.

    Args:
        asking: of the dataset.
        query: its start and end count.
        words: the query text.
        cursors: where earlier calls came to.
        newest: what was published later is not served on the plan.

    Raises:
        VendorError: pages out of order, repeated, or fewer articles than announced.
        SourceError: as `HttpClient.get`, or the answer is an error.
    """
    sweep = cursors.of(words)
    if sweep.reached is None:
        end = micros_of(min(query.end, newest) if query.end is not None else newest)
        if sweep.done is not None and end <= sweep.done:
            return
        sweep = Sweep(sweep.done, end, end, sweep.seen)
    start = micros_of(query.start) if query.start is not None else None
    if sweep.done is not None:
        start = max(start or 0, _again_from(sweep.done))
    met, others, announced = set[str](), 0, None
    while sweep.reached is not None:
        answered = asking.ask(_window(words, start, sweep.reached))
        decoded = answered.decoded
        if answered.problem is not None:
            yield cursors.page(words, sweep, decoded)
            raise answered.problem
        announced = answered.total if announced is None else announced
        here = {record.source_id: record.event_time for record in decoded.records}
        met.update(here)
        others += answered.articles - len(decoded.records)
        after, problem = _after(sweep, answered, here)
        if after.reached is None and len(met) + others < announced:
            after = Sweep(done=sweep.done, seen=after.seen)  # to be read again as a whole
            problem = VendorError(
                f"NewsAPI announced {announced} articles and gave {len(met) + others}. Call again to read them anew."
            )
        yield cursors.page(words, after, _only_new(decoded, sweep.seen))
        if problem is not None:
            raise problem
        sweep = after


def _after(sweep: Sweep, answered: Answered, here: dict[str, int]) -> tuple[Sweep, VendorError | None]:
    """The sweep after an answer, and what is wrong with the answer; then the sweep stays where it was."""
    end, reached = sweep.end or 0, sweep.reached or 0
    others = answered.articles - len(answered.decoded.records)
    oldest = min(here.values(), default=None)
    if max(here.values(), default=0) > reached + 2 * _SECOND_US:
        return sweep, VendorError(
            f"NewsAPI gave an article of {at(max(here.values())).isoformat()} where none after "
            f"{at(reached).isoformat()} was asked for. Try again later."
        )
    keep_from = _again_from(min(end, sweep.done if sweep.done is not None else end))
    seen = sweep.seen | here
    if len(here) + others >= answered.total:
        kept = {name: when for name, when in seen.items() if when >= _again_from(end)}
        return Sweep(done=end, seen=kept), None
    if oldest is None or oldest >= reached:
        return sweep, VendorError(
            f"NewsAPI says that there are {answered.total} articles up to {at(reached).isoformat()} and gave "
            f"{len(here)}, none of them older; expected older ones. Narrow the query, or try again later."
        )
    kept = {name: when for name, when in seen.items() if when >= keep_from or when <= oldest + 2 * _SECOND_US}
    return Sweep(sweep.done, end, oldest, kept), None


def headlines(asking: Asking, words: str, cursors: Cursors) -> Iterator[Page]:
    """What stands on front pages now, page by page, without what an earlier call brought.

    Headlines come, move and leave while pages are turned: what comes twice is left out, and if fewer came than were
    announced, all pages are read once more.

    Raises:
        VendorError: fewer headlines than announced, twice in a row.
        SourceError: as `HttpClient.get`, or the answer is an error.
    """
    before = cursors.of(words).seen
    found: dict[str, int] = {}
    for last_try in (False, True):
        met, others, announced, number = dict[str, int](), 0, 1, 1
        while len(met) + others < announced:
            answered = asking.ask({"page": number, **({"q": words} if words else {})})
            decoded = answered.decoded
            if answered.problem is not None:
                yield cursors.page(words, Sweep(seen=before | found), decoded)
                raise answered.problem
            announced = answered.total if number == 1 else announced
            here = {record.source_id: record.event_time for record in decoded.records}
            elsewhere = answered.articles - len(decoded.records)
            stuck = here.keys() <= met.keys() and not elsewhere
            met, others, number = met | here, others + elsewhere, number + 1
            # What left the front pages is forgotten once all are read, not before: a crash must repeat nothing.
            ended = len(met) + others >= announced
            page = _only_new(decoded, before | found)
            found |= here
            yield cursors.page(words, Sweep(seen=found if ended else before | found), page)
            if ended:
                return
            if stuck:
                break
        if last_try:
            raise VendorError(
                f"NewsAPI announced {announced} headlines and gave {len(met) + others}, twice. Try again later."
            )


def _again_from(end: int) -> int:
    """From when on the next sweep asks again, behind one that read up to `end`: a whole second, as is asked for.

    Ids are kept from the same instant on: an article of the second that is cut would come twice.
    """
    return (end - _OVERLAP_US) // _SECOND_US * _SECOND_US


def _only_new(decoded: Decoded, seen: dict[str, int]) -> Decoded:
    new = {record.source_id: record for record in decoded.records if record.source_id not in seen}
    return Decoded(tuple(new.values()), decoded.letters, decoded.accepted)


def _window(words: str, start: int | None, end: int) -> dict[str, str | int]:
    # Times have whole seconds; whether the last one is included is not documented.
    asked: dict[str, str | int] = {"q": words, "sortBy": "publishedAt", "to": _second(at(end) + timedelta(seconds=1))}
    return asked if start is None else {**asked, "from": _second(at(start))}


def _second(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
