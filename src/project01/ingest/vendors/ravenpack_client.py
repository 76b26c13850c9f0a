"""RavenPack's client: JSON queries by time, data files on demand, files on disk, the feed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Final

import httpx
import msgspec

from project01.domain import InputError, UnreachableError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import HeaderKey, HttpClient, LineSession, listen
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.elements import Origin, together
from project01.ingest.vendors.frontier import Frontier, span, windows
from project01.ingest.vendors.gaps import stream_pages
from project01.ingest.vendors.ravenpack_decode import decode
from project01.ingest.vendors.ravenpack_files import FilesCursor, csv_files, in_pieces, pieces

MOST_RECORDS: Final = 10_000
_ALL = "all"
_STEP, _REACH, _SETTLED = timedelta(days=1), timedelta(days=30), timedelta(hours=1)
_SHORTEST = timedelta(seconds=1)
# Blank lines keep the feed alive; the vendor's own client gives up after 100 seconds.
_IDLE_S = 100.0
_JOB_POLL_S, _JOB_POLLS = 5.0, 720


class _Job(msgspec.Struct):
    token: str = ""
    status: str = ""
    url: str = ""


class _Reach(msgspec.Struct):
    """Of a data file: times asked for (ISO 8601), and how many of its lines are read."""

    start: str
    end: str
    lines: int = 0


class RavenPackClient:
    """See `vendor.VendorClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._origin = Origin.of(connection)
        self._http: dict[str, HttpClient] = {}

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `ravenpack_decode`."""
        return decode(self._origin, dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages by time, or by place in a file; see `vendor.VendorClient`."""
        self._connection.spec.dataset(query.dataset)
        if query.dataset == "files":
            return self._files(query, FilesCursor.read(cursor))
        self._client(self._connection.address)
        if query.dataset == "datafile":
            return self._datafile(query, cursor)
        return self._windows(query, Frontier.read(query.dataset, cursor))

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """Records as they come; see `vendor.VendorClient`."""
        if not self._connection.spec.dataset(query.dataset).stream:
            raise InputError(f"RavenPack's {query.dataset} is no stream; analytics is.")
        client, identity = self._client(self._connection.stream_address), _dataset_id(query)
        idle_s = _IDLE_S if self._connection.idle_timeout_s is None else self._connection.idle_timeout_s
        session = partial(LineSession, client, identity, {"keep_alive": ""}, idle_timeout_s=idle_s)
        listening = listen(session, stop, connection=self._connection, idle_timeout_s=idle_s)

        def fill(start: datetime, end: datetime) -> Iterator[Page]:
            return self.history(replace(query, start=start, end=end))

        def decoded(payload: bytes, received_at: int) -> Decoded:
            return _wanted(query, self.decode(query.dataset, payload, received_at))

        return stream_pages(listening, decoded, fill)

    def close(self) -> None:
        """Let go of connections."""
        for client in self._http.values():
            client.close()

    def _windows(self, query: Query, frontier: Frontier) -> Iterator[Page]:
        now = self._connection.clock.now()
        start, end = span(query, now, _REACH)
        for since, until in windows(frontier.start(_ALL, start), end, _STEP):
            answers = self._answers(_dataset_id(query), _second(since), _second(until) + _SHORTEST)
            decoded = together(self.decode(query.dataset, body, self._connection.micros()) for body in answers)
            fresh = frontier.only_new(_ALL, decoded, since, until)
            frontier.advance(_ALL, fresh.records, until, now - _SETTLED)
            yield Page(decoded=_wanted(query, fresh), cursor=frontier.text())

    def _answers(self, identity: str, since: datetime, until: datetime) -> Iterator[bytes]:
        """Answers that are not cut off: a time that holds as many records as RavenPack gives at most is halved."""
        body = _times(since, until)
        answer = self._client(self._connection.address).post(f"json/{identity}", body).body
        if b'"records"' not in answer:
            raise VendorError(f"RavenPack answered a query with {answer[:200]!r}; expected records. Report it.")
        if answer.upper().count(b'"RP_STORY_ID"') < MOST_RECORDS:
            yield answer
        elif until - since <= _SHORTEST:
            raise VendorError(
                f"RavenPack gives at most {MOST_RECORDS} records at once and has more within a second of {since}. "
                f"Narrow the filters of dataset {identity}, or use dataset datafile."
            )
        else:
            middle = _second(since + (until - since) / 2)
            yield from self._answers(identity, since, middle)
            yield from self._answers(identity, middle, until)

    def _datafile(self, query: Query, cursor: str | None) -> Iterator[Page]:
        start, end = span(query, self._connection.clock.now() - _SETTLED, _REACH)
        reach = _Reach(start.isoformat(), end.isoformat()) if cursor is None else _read_reach(cursor)
        yield from self._datafile_pages(query, reach)
        if cursor is not None and (later := datetime.fromisoformat(reach.end)) < end:
            yield from self._datafile_pages(query, _Reach(later.isoformat(), end.isoformat()))

    def _datafile_pages(self, query: Query, reach: _Reach) -> Iterator[Page]:
        """The lines of one data file that were not read yet; the same times give the same file."""
        since, until = datetime.fromisoformat(reach.start), datetime.fromisoformat(reach.end)
        lines = self._lines(self._finished_job(_dataset_id(query), since, until))
        header = next(lines, b"")
        for _ in range(reach.lines):
            next(lines, b"")
        for piece in in_pieces(line + b"\n" for line in lines):
            decoded = self.decode(query.dataset, header + b"\n" + b"".join(piece), self._connection.micros())
            reach.lines += len(piece)
            yield Page(decoded=_wanted(query, decoded), cursor=msgspec.json.encode(reach).decode())

    def _finished_job(self, identity: str, since: datetime, until: datetime) -> str:
        """Address of the file, once it is made."""
        client = self._client(self._connection.address)
        body = _times(since, until, {"format": "csv", "compressed": False})
        token = _read_job(client.post(f"datafile/{identity}", body).body).token
        for attempt in range(_JOB_POLLS):
            job = _read_job(client.get(f"jobs/{token}").body)
            status = job.status.lower()
            if status == "completed":
                return job.url
            if status not in ("enqueued", "processing"):
                raise VendorError(f"RavenPack's data file ended as {status[:32]!r}; expected completed. Ask again.")
            self._connection.sleep(min(_JOB_POLL_S, 0.25 * 2 ** min(attempt, 10)))
        raise UnreachableError(
            f"RavenPack's data file was not ready after {_JOB_POLLS * _JOB_POLL_S / 60:.0f} minutes."
        )

    def _lines(self, url: str) -> Iterator[bytes]:
        """Lines of a download; unlike a stream it must end properly."""
        client = self._client(self._connection.address)
        try:
            with client.endless(url, idle_timeout_s=self._connection.timeout_s) as response:
                rest = b""
                for part in response.iter_bytes():
                    *lines, rest = (rest + part).split(b"\n")
                    yield from (line.removesuffix(b"\r") for line in lines)
                if rest:
                    yield rest.removesuffix(b"\r")
        except httpx.TransportError as error:
            raise UnreachableError(
                f"RavenPack's data file broke off ({type(error).__name__}). What was read is kept; run it again."
            ) from None

    def _files(self, query: Query, reached: FilesCursor) -> Iterator[Page]:
        for path in csv_files(query.parameters.get("path")):
            for payload, place in pieces(path, reached.files.get(path.name, 0)):
                decoded = self.decode(query.dataset, payload, self._connection.micros())
                reached.files[path.name] = place
                yield Page(decoded=_wanted(query, decoded), cursor=reached.text())

    def _client(self, address: str) -> HttpClient:
        if address not in self._http:
            key = self._connection.secrets.get("key")
            if key is None:
                raise InputError("RavenPack needs its key: set RAVENPACK_API_KEY. Dataset files works without it.")
            self._http[address] = HttpClient(
                address, source="ravenpack", key=HeaderKey("API_KEY", key), connection=self._connection
            )
        return self._http[address]


def _wanted(query: Query, decoded: Decoded) -> Decoded:
    """Only records of the symbols and times asked for; RavenPack filters by its own entities."""
    symbols = frozenset(query.symbols)
    start, end = (None if found is None else found.timestamp() * 1e6 for found in (query.start, query.end))
    kept = (
        record
        for record in decoded.records
        if (not symbols or record.symbol in symbols)
        and (start is None or record.event_time >= start)
        and (end is None or record.event_time < end)
    )
    return Decoded(tuple(kept), decoded.letters, decoded.accepted)


def _dataset_id(query: Query) -> str:
    found = query.parameters.get("dataset", "us500")
    if not found or not found.replace("-", "").replace("_", "").isalnum() or not found.isascii():
        raise InputError(f"dataset is {found!r}; expected RavenPack's id of it, such as us500.")
    return found


def _second(instant: datetime) -> datetime:
    """Cut to whole seconds, which is what RavenPack's queries take."""
    return instant.astimezone(UTC).replace(microsecond=0)


def _times(since: datetime, until: datetime, more: dict[str, object] | None = None) -> bytes:
    times = {"start_date": f"{since:%Y-%m-%d %H:%M:%S}", "end_date": f"{until:%Y-%m-%d %H:%M:%S}", "time_zone": "UTC"}
    return msgspec.json.encode(times | (more or {}))


def _read_job(body: bytes) -> _Job:
    try:
        return msgspec.json.decode(body, type=_Job)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise VendorError(f"RavenPack answered about a job with {body[:200]!r}; expected its state.") from error


def _read_reach(cursor: str) -> _Reach:
    try:
        return msgspec.json.decode(cursor, type=_Reach)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"{cursor[:80]!r} is no cursor of RavenPack's data files. Leave it out.") from error
