"""A local server in place of RavenPack: JSON queries, data files, the feed, which all know the same made-up stories.

`project01 ingest ravenpack --simulate` starts it; tests add faults.
"""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from pydantic import SecretStr

from project01.domain import SystemClock
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import NO_FAULTS, FaultScript, Reply, Request, StandInServer, TlsFiles, drift
from project01.ingest.stand_ins.tape import Print, Tape, hash_of
from project01.ingest.symbols import SymbolMap
from project01.ingest.transport import QuotaLedger
from project01.ingest.vendors.ravenpack import SPEC
from project01.ingest.vendors.sdk import SIMULATED_SYMBOLS

_POLL_S, _KEEP_ALIVE_S = 0.05, 0.5
_PAST, _PAST_STEP = 400, timedelta(minutes=2)
Record = dict[str, Any]


def entity_id(symbol: str) -> str:
    """The made-up id of a company."""
    return md5(symbol.encode(), usedforsecurity=False).hexdigest()[:6].upper()


def record_of(found: Print) -> Record:
    """A story about a company, in the form of RPA 1.0; one in five has no event."""
    number = found.number
    story = md5(str(number).encode(), usedforsecurity=False).hexdigest().upper()
    record: Record = {
        "TIMESTAMP_UTC": f"{found.when:%Y-%m-%d %H:%M:%S}.{found.when.microsecond // 1000:03}",
        "RP_STORY_ID": story,
        "RP_ENTITY_ID": entity_id(found.symbol),
        "ENTITY_TYPE": "COMP",
        "ENTITY_NAME": f"{found.symbol} Inc.",
        "RELEVANCE": 100 - number % 30,
        "EVENT_SENTIMENT_SCORE": round(hash_of(1, number) % 201 / 100 - 1, 2),
        "EVENT_SIMILARITY_DAYS": round(hash_of(2, number) % 36500 / 100, 5),
        "TOPIC": "business",
        "CATEGORY": "earnings-above-expectations",
        "NEWS_TYPE": "NEWS-FLASH",
        "SOURCE_NAME": "Made-up Wire",
        "RP_STORY_EVENT_INDEX": 1,
        "HEADLINE": f"Made-up story {number} about {found.symbol}",
    }
    if number % 5 == 0:
        record |= {"EVENT_SENTIMENT_SCORE": None, "EVENT_SIMILARITY_DAYS": None, "CATEGORY": None}
    return record


def source_id(record: Record) -> str:
    """The id of our record."""
    return f"{record['RP_STORY_ID']}:{record['RP_ENTITY_ID']}:{record['RP_STORY_EVENT_INDEX']}"


def as_csv(records: Sequence[Record]) -> bytes:
    """Records as a data file: lower-case header, empty fields for what is missing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    names = list(records[0]) if records else ["TIMESTAMP_UTC", "RP_STORY_ID", "RP_ENTITY_ID"]
    writer.writerow([name.lower() for name in names])
    writer.writerows([["" if record[name] is None else record[name] for name in names] for record in records])
    return text.getvalue().encode()


class RavenPackStandIn:
    """The server, while the ``with`` block lasts; arguments as of `stand_in`."""

    def __init__(
        self,
        symbols: Sequence[str],
        seed: int,
        faults: FaultScript,
        count: int,
        per_second: float,
        start: datetime,
        key: str,
        tls: TlsFiles | None,
    ) -> None:
        self._symbols, self._key, self._tls = tuple(symbols), key, tls
        self._tape = Tape(
            symbols,
            seed=seed,
            start=start,
            count=count,
            per_second=per_second,
            past=_PAST,
            past_step=_PAST_STEP,
            clock=SystemClock(),
        )
        self.clock = self._tape.clock
        self._jobs: dict[str, tuple[Record, ...]] = {}
        self._polls: dict[str, int] = {}
        self.server = StandInServer(http=self._answer, faults=faults, tls=tls)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.callback(self._tape.close)
        self._stack.enter_context(self.server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def connection(self, folder: Path, **changes: Any) -> Connection:
        """A connection to this server with its key and its mapping of entities.

        Args:
            folder: for the mapping, the quota ledger and spilled lines.
            changes: fields of `Connection` to be other.
        """
        folder.mkdir(parents=True, exist_ok=True)
        mapping = folder / "ravenpack_entities.csv"
        rows = "".join(f"{symbol},ravenpack,{entity_id(symbol)}\n" for symbol in self._symbols)
        mapping.write_text("symbol,scheme,identifier\n" + rows, encoding="utf-8")
        quota = QuotaLedger(folder / "quota.sqlite", self.clock)
        self._stack.callback(quota.close)
        fields: dict[str, Any] = {
            "spec": SPEC,
            "secrets": {"key": SecretStr(self._key)},
            "address": f"{self.server.http_url}/1.0",
            "stream_address": f"{self.server.http_url}/feed/1.0/json",
            "clock": self.clock,
            "quota": quota,
            "symbols": SymbolMap.from_files(names=mapping),
            "spill_folder": folder / "spill",
            "simulated": True,
            "trust": None if self._tls is None else self._tls.certificate,
        }
        return Connection(**(fields | changes))

    @property
    def sent(self) -> frozenset[str]:
        """Ids of what the feed has put out since the first subscription, whether or not anybody listened."""
        return frozenset(source_id(record_of(found)) for found in self._tape.live)

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._tape.finished

    def grow(self) -> None:
        """History gains a story."""
        self._tape.grow()

    def _answer(self, request: Request) -> Reply:
        if request.headers.get("api_key") != self._key:
            return _error(401, "AuthenticationError", "The API key is not valid")
        if request.fault == "error_body_200":
            return Reply(200, msgspec.json.encode({"errors": [{"type": "InternalError", "reason": "try later"}]}))
        if request.path.startswith("/feed/"):
            return Reply(lines=self._feed())
        _, kind, *rest = request.path.strip("/").split("/")
        answers = {"json": self._query, "datafile": self._ask_for_file, "jobs": self._job, "files": self._file}
        if kind not in answers or not rest:
            return _error(404, "NotFound", "no such endpoint")
        return answers[kind](request)

    def _query(self, request: Request) -> Reply:
        body = msgspec.json.encode({"records": self._between(request)})
        return Reply(200, body if request.fault is None else drift(request.fault, body, "EVENT_SENTIMENT_SCORE"))

    def _ask_for_file(self, request: Request) -> Reply:
        asked = msgspec.json.decode(request.body)
        token = f"{hash_of(0, asked['start_date'], asked['end_date']):X}"
        self._jobs.setdefault(token, tuple(self._between(request)))
        return Reply(202, msgspec.json.encode({"token": token, "status": "ENQUEUED"}))

    def _file(self, request: Request) -> Reply:
        records = self._jobs.get(request.path.rpartition("/")[2], ())
        return Reply(200, as_csv(records), {"Content-Type": "text/csv"})

    def _job(self, request: Request) -> Reply:
        token = request.path.rpartition("/")[2]
        self._polls[token] = self._polls.get(token, 0) + 1
        job = {"token": token, "status": "PROCESSING"}
        if self._polls[token] > 1:
            job |= {"status": "COMPLETED", "url": f"{self.server.http_url}/1.0/files/{token}"}
        return Reply(200, msgspec.json.encode(job))

    def _between(self, request: Request) -> list[Record]:
        asked = msgspec.json.decode(request.body)
        start, end = (datetime.fromisoformat(asked[name]).replace(tzinfo=UTC) for name in ("start_date", "end_date"))
        known = [record_of(found) for found in self._tape.until_now()]
        return [record for record in known if start <= _when(record) < end]

    def _feed(self) -> Iterator[bytes]:
        number = self._tape.newest
        self._tape.begin()
        quiet_since = time.monotonic()
        while not self.server.stopping.is_set():
            found = self._tape.next_after(number, _POLL_S)
            if found is not None:
                number = found.number
                yield msgspec.json.encode(record_of(found))
            elif time.monotonic() - quiet_since >= _KEEP_ALIVE_S:
                yield b""
            else:
                continue
            quiet_since = time.monotonic()


def _when(record: Record) -> datetime:
    return datetime.fromisoformat(record["TIMESTAMP_UTC"]).replace(tzinfo=UTC)


def _error(status: int, kind: str, reason: str) -> Reply:
    return Reply(status, msgspec.json.encode({"endpoint": "", "errors": [{"type": kind, "reason": reason}]}))


def stand_in(
    *,
    symbols: Sequence[str] = SIMULATED_SYMBOLS,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    speed: float = 1.0,
    count: int = 3600,
    start: datetime | None = None,
    key: str = "simulated-ravenpack-key",
    tls: TlsFiles | None = None,
) -> RavenPackStandIn:
    """A local RavenPack.

    Args:
        symbols: ours, about which there are stories in turn.
        seed: the same seed, the same stories.
        faults: what goes wrong.
        speed: stories a second on the feed.
        count: stories from the first subscription on.
        start: the end of the stories of the past; now where None.
        key: the one key accepted.
        tls: certificate, to serve https.
    """
    return RavenPackStandIn(symbols, seed, faults, count, speed, start or SystemClock().now(), key, tls)
