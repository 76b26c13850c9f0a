"""EDGAR's history: company by company, and what to remember so that the next fetch brings only new filings."""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from threading import Event

import msgspec

from project01.domain import AuthenticationError, Fact, InputError, QuotaError, Record, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import micros_of
from project01.ingest.transport import Answer, HttpClient, NoKey
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.edgar import SPEC, TICKERS_ADDRESS
from project01.ingest.vendors.edgar_decoding import cik_number, listed_ciks, read_facts, read_tickers
from project01.ingest.vendors.edgar_filings import OlderFile, Submissions, read_filings
from project01.ingest.vendors.fundamentals import known_by_now, with_request

_LOG = logging.getLogger(__name__)
_CIK = re.compile(r"CIK(\d{10})")
_OLDER_NAME = re.compile(r"CIK\d{10}-submissions-\d{3}\.json")
# A filing's numbers may join the company's facts after those of a later filing, but not this much after.
_STRAGGLERS_US = 30 * 86_400_000_000
_MOST_FACTS_BYTES = 256 << 20


class _Seen(msgspec.Struct):
    """What was published of one company: up to when it was known, and when the filings of the last days before were."""

    through: int
    recent: dict[str, int]


class _Cursor(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What was published: of companies by central index key, and the marks of known tickers."""

    companies: dict[str, _Seen] = {}
    tickers: list[str] = []


@dataclass
class EdgarClient:
    """EDGAR's facts, filings and tickers; there is no stream."""

    connection: Connection
    _http: HttpClient = field(init=False, repr=False)
    _tickers_http: HttpClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the clients of the SEC's two hosts."""
        own = self.connection.address
        self._http = self._client(own)
        self._tickers_http = self._client(TICKERS_ADDRESS if own == SPEC.address else own)

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`; facts decoded alone are known at the end of the day they were filed."""
        if dataset == "tickers":
            return read_tickers(self.connection, payload, received_at)
        if dataset == "filings":
            return read_filings(self.connection, payload, received_at)[1]
        return read_facts(self.connection, payload, received_at)[1]

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """A page for each company with anything new; `start` and `end` bound when it became known."""
        dataset = self.connection.spec.dataset(query.dataset)
        if query.parameters:
            raise InputError(f"EDGAR's {dataset.name} knows no parameter {', '.join(sorted(query.parameters))}.")
        state = _read_cursor(cursor)
        if dataset.name == "tickers":
            return self._tickers(state)
        return self._companies(query, state)

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:  # noqa: ARG002 - the protocol's signature
        """EDGAR has none.

        Raises:
            InputError: always.
        """
        raise InputError("EDGAR has no stream. Fetch its history again with the last cursor: only new filings come.")

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()
        self._tickers_http.close()

    def _companies(self, query: Query, state: _Cursor) -> Iterator[Page]:
        read = self._facts if query.dataset == "company_facts" else self._filings
        for cik in self._ciks(query.symbols):
            seen = state.companies.get(str(cik))
            found, problem = read(cik, seen)
            new = _bounded(_unseen(known_by_now(found, self.connection.micros()), seen), query)
            if problem is None and new.records:
                state.companies[str(cik)] = _advanced(seen, new.records)
            if new.records or new.letters:
                yield Page(decoded=new, cursor=_text(state))
            if problem is not None:
                raise VendorError(problem)

    def _facts(self, cik: int, seen: _Seen | None) -> tuple[Decoded, str | None]:
        """What the company's facts hold, and what was wrong with the answer."""
        recent, unread = self._submissions(cik)
        if recent is None:
            return _mismatch(None, cik, unread)
        reading = recent.reading
        known = recent.known(reading)
        if not _worth_asking(recent, known, seen):
            return Decoded(), None
        if seen is None:
            for older in self._older(cik, recent.files):
                known |= older.known(reading)
        try:
            body = self._ask(self._http, f"api/xbrl/companyfacts/CIK{cik:010d}.json").body
        except VendorError as error:
            if "status 404" not in str(error):
                raise
            _LOG.info("edgar: company %d has filings marked as XBRL, but no facts", cik)
            return Decoded(), None
        found, decoded = read_facts(self.connection, body, self.connection.micros(), known)
        return (decoded, None) if found == cik else _mismatch(found, cik, decoded)

    def _filings(self, cik: int, seen: _Seen | None) -> tuple[Decoded, str | None]:
        """The company's filings, and what was wrong with the answer."""
        body = self._ask(self._http, f"submissions/CIK{cik:010d}.json").body
        recent, decoded = read_filings(self.connection, body, self.connection.micros())
        if recent is None or recent.cik != cik:
            return _mismatch(None if recent is None else recent.cik, cik, decoded)
        if seen is not None:
            return decoded, None
        records, letters, accepted = list(decoded.records), list(decoded.letters), decoded.accepted
        for file in recent.files:
            older = self._older_body(cik, file)
            submissions, more = read_filings(self.connection, older, self.connection.micros(), recent.reading)
            records, letters, accepted = [*records, *more.records], [*letters, *more.letters], accepted + more.accepted
            if submissions is None or len(submissions.rows) != file.filingCount:
                return Decoded(records, letters, accepted), _miscounted(file, submissions)
        if len({record.source_id for record in records}) != len(records):
            return Decoded((), letters, accepted), f"EDGAR's filings of CIK {cik} repeat one. Fetch again."
        return Decoded(records, letters, accepted), None

    def _submissions(self, cik: int) -> tuple[Submissions | None, Decoded]:
        body = self._ask(self._http, f"submissions/CIK{cik:010d}.json").body
        submissions, decoded = read_filings(self.connection, body, self.connection.micros())
        if submissions is not None and submissions.cik != cik:
            raise VendorError(_mismatch(submissions.cik, cik, decoded)[1])
        return submissions, decoded

    def _older(self, cik: int, files: Sequence[OlderFile]) -> Iterator[Submissions]:
        for file in files:
            body = self._older_body(cik, file)
            submissions, _ = read_filings(self.connection, body, self.connection.micros())
            if submissions is None or len(submissions.rows) != file.filingCount:
                raise VendorError(_miscounted(file, submissions))
            yield submissions

    def _older_body(self, cik: int, file: OlderFile) -> bytes:
        if not _OLDER_NAME.fullmatch(file.name):
            raise VendorError(f"EDGAR names {file.name[:80]!r} as a file of older filings; expected CIK…-001.json.")
        return with_request(self._ask(self._http, f"submissions/{file.name}").body, cik=str(cik))

    def _tickers(self, state: _Cursor) -> Iterator[Page]:
        decoded = read_tickers(self.connection, self._ticker_file(), self.connection.micros())
        known = set(state.tickers)
        new = [record for record in decoded.records if _mark(record) not in known]
        if decoded.letters and not decoded.records:
            yield Page(decoded=decoded, cursor=_text(state))
            raise VendorError(f"EDGAR's list of tickers: {decoded.letters[0].detail}")
        state.tickers = sorted({_mark(record) for record in decoded.records})
        if new or decoded.letters:
            yield Page(decoded=Decoded(new, decoded.letters, decoded.accepted), cursor=_text(state))

    def _ticker_file(self) -> bytes:
        """The list of tickers, with the time that the server said it was."""
        answer = self._ask(self._tickers_http, "files/company_tickers.json")
        told = answer.headers.get("last-modified") or answer.headers.get("date")
        try:
            return with_request(answer.body, as_of=parsedate_to_datetime(told).isoformat()) if told else answer.body
        except ValueError:
            return answer.body

    def _ciks(self, symbols: tuple[str, ...]) -> Iterator[int]:
        """Central index keys of symbols; of all that are listed where none is given."""
        if not symbols:
            yield from self._all_ciks()
            return
        done = set()
        for symbol in symbols:
            written = _CIK.fullmatch(symbol)
            cik = cik_number(written[1]) if written else self.connection.symbols.cik_of(symbol)
            cik = self._listed_cik(symbol) if cik is None else cik
            if cik is None:
                raise InputError(f"{symbol}: the SEC lists no such ticker. Give its key as CIK and ten digits instead.")
            if cik not in done:
                done.add(cik)
                yield cik

    @cached_property
    def _listed(self) -> bytes:
        return self._ask(self._tickers_http, "files/company_tickers.json").body

    def _all_ciks(self) -> list[int]:
        try:
            found = listed_ciks(self._listed)
        except ValueError as error:
            raise VendorError(f"EDGAR's list of tickers cannot be read: {error}") from error
        if not found:
            raise VendorError(f"EDGAR's list of tickers names no company; it begins {self._listed[:100]!r}.")
        return found

    def _listed_cik(self, symbol: str) -> int | None:
        rows = read_tickers(self.connection, self._listed, self.connection.micros()).records
        found = [int(row.source_id.split(":")[1]) for row in rows if row.symbol == symbol]
        return found[0] if found else None

    def _client(self, address: str) -> HttpClient:
        contact = self.connection.secrets["user agent"].get_secret_value()
        return HttpClient(
            address,
            source=self.connection.spec.name,
            key=NoKey(),
            connection=self.connection,
            user_agent=contact,
            max_body_bytes=_MOST_FACTS_BYTES,
        )

    @staticmethod
    def _ask(http: HttpClient, path: str) -> Answer:
        try:
            return http.get(path)
        except AuthenticationError as error:
            if "Threshold" in str(error):
                raise QuotaError(
                    f"EDGAR blocks this address for too many requests: wait 10 minutes. {error}"
                ) from error
            raise AuthenticationError(
                f"EDGAR refused the request. It wants to know who asks: set EDGAR_USER_AGENT to a name and an e-mail "
                f"address, such as 'Jane Doe jane@example.org'. {error}"
            ) from error


def _worth_asking(recent: Submissions, known: dict[str, int], seen: _Seen | None) -> bool:
    """Whether there may be facts that were not published yet."""
    candidates = recent.xbrl()
    if seen is None:
        return bool(candidates) or bool(recent.files)
    floor = seen.through - _STRAGGLERS_US
    return any(known.get(accession, floor) > floor and accession not in seen.recent for accession in candidates)


def _unseen(decoded: Decoded, seen: _Seen | None) -> Decoded:
    if seen is None:
        return decoded
    floor, had = seen.through - _STRAGGLERS_US, seen.recent
    new = [record for record in decoded.records if record.knowledge_time > floor and _accession(record) not in had]
    return Decoded(new, decoded.letters, decoded.accepted)


def _advanced(seen: _Seen | None, records: Sequence[Record]) -> _Seen:
    """What is to be remembered after these records as well."""
    filings = (seen.recent if seen else {}) | {_accession(record): record.knowledge_time for record in records}
    through = max(seen.through if seen else 0, *filings.values())
    return _Seen(through, {each: known for each, known in filings.items() if known > through - _STRAGGLERS_US})


def _bounded(decoded: Decoded, query: Query) -> Decoded:
    first = micros_of(query.start) if query.start is not None else -(1 << 63)
    last = micros_of(query.end) if query.end is not None else 1 << 63
    kept = [record for record in decoded.records if first <= record.knowledge_time < last]
    return Decoded(kept, decoded.letters, decoded.accepted)


def _mismatch(found: int | None, asked: int, decoded: Decoded) -> tuple[Decoded, str]:
    """What to publish of an answer that is not the company's, and what to say."""
    if found is None:
        return decoded, f"EDGAR's answer for CIK {asked}: {decoded.letters[0].detail}"
    return Decoded(), f"EDGAR answered for CIK {found}; asked was {asked}. Fetch again."


def _miscounted(file: OlderFile, found: Submissions | None) -> str:
    held = "cannot be read" if found is None else f"holds {len(found.rows)}"
    return f"EDGAR says that {file.name} holds {file.filingCount} filings, but it {held}. Fetch again."


def _accession(record: Record) -> str:
    return (record.accession or "") if isinstance(record, Fact) else ""


def _mark(record: Record) -> str:
    return hashlib.sha256(record.source_id.encode()).hexdigest()[:12]


def _text(state: _Cursor) -> str:
    return msgspec.json.encode(state).decode()


def _read_cursor(cursor: str | None) -> _Cursor:
    if cursor is None:
        return _Cursor()
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise InputError(f"{cursor[:80]!r} is no cursor of EDGAR: {error}. Pass one that a page gave.") from error
