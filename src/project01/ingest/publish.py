"""Pages of a vendor onto the bus: first the records, durable, then the cursor.

A crash between the two repeats a page, and the records' ids make that harmless. Nothing is dropped: a record too large
for its topic goes to the dead letters.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from project01.bus import Bus, Producer, encode, key_of_record
from project01.domain import Clock, DeadLetter, InputError, Record, SourceError
from project01.ingest.gathering import gathered
from project01.ingest.state import IngestState
from project01.ingest.transport import Backlog
from project01.ingest.vendor import Gap, Page, Query, VendorClient

_LOG = logging.getLogger(__name__)


@dataclass
class Published:
    """What went onto the bus.

    Attributes:
        pages: pages published.
        records: records acknowledged by the bus, those too large for their topic not among them.
        letters: dead letters acknowledged.
        gaps: gaps of the stream.
        unfilled: gaps that could not be filled.
    """

    pages: int = 0
    records: int = 0
    letters: int = 0
    gaps: int = 0
    unfilled: int = 0


Report = Callable[[Published], None]


class Publisher:
    """Publishes what vendors bring.

    Args:
        bus: with the topics made.
        state: cursors and gaps.
        clock: stamps cursors.
    """

    def __init__(self, bus: Bus, state: IngestState, clock: Clock) -> None:
        self._bus, self._state, self._clock = bus, state, clock
        self._limits = {name: spec.max_message_bytes for name, spec in bus.topics().items()}

    def history(self, client: VendorClient, source: str, query: Query, *, report: Report = lambda _: None) -> Published:
        """Fetch what the query asks for and was not fetched before, page by page.

        Raises:
            SourceError: the vendor failed; what was published before it stays, and the next call goes on from there.
            BusError: the bus failed; the page in hand is fetched again by the next call.
        """
        done = Published()
        with self._bus.producer() as producer:
            for page in client.history(query, self._state.cursor(source, query)):
                self._put(producer, page, done)
                producer.flush()
                if page.cursor is not None:
                    self._state.save_cursor(source, query, page.cursor, self._clock.now())
                report(done)
        return done

    def stream(
        self,
        client: VendorClient,
        source: str,
        query: Query,
        stop: threading.Event,
        *,
        report: Report = lambda _: None,
        backlog: Backlog | None = None,
    ) -> Published:
        """Publish a stream until `stop` is set; pages that came meanwhile are flushed together.

        Args:
            client: connected.
            source: its name in the state.
            query: what to listen to.
            stop: set it to end.
            report: told the figures after each flush.
            backlog: counts the pages that are not on the bus yet.

        Raises:
            AuthenticationError: the vendor refused the key.
            BusError: the bus failed.
        """
        done = Published()
        since = self._last_heard(source, query)
        with self._bus.producer() as producer:
            for pages in gathered(client.stream(query, stop), stop, backlog or Backlog()):
                for page in pages:
                    self._put(producer, page, done)
                producer.flush()
                heard = max((record.received_at for page in pages for record in page.decoded.records), default=0)
                if since is not None and heard:
                    self._fill(client, source, replace(query, start=since, end=_instant(heard)), producer, done)
                    since = None
                for page in pages:
                    if page.gap is not None:
                        self._note_gap(source, query, page.gap, done)
                if since is None and heard:
                    self._state.save_cursor(source, _listening(query), str(heard), self._clock.now())
                report(done)
        return done

    def _last_heard(self, source: str, query: Query) -> datetime | None:
        """When an earlier process last heard this stream."""
        heard = self._state.cursor(source, _listening(query))
        return None if heard is None else _instant(int(heard))

    def _fill(self, client: VendorClient, source: str, query: Query, producer: Producer, done: Published) -> None:
        """Fetch what the stream sent while no process was listening."""
        if query.start is None or query.end is None:
            return
        filled, why = True, "restart"
        try:
            for page in client.history(query):
                self._put(producer, page, done)
                producer.flush()
        except (SourceError, InputError) as error:
            filled, why = False, f"restart; history could not be fetched: {error}"
        self._note_gap(source, query, Gap(query.start, query.end, why, filled), done)

    def _note_gap(self, source: str, query: Query, gap: Gap, done: Published) -> None:
        self._state.add_gap(source, query, gap)
        done.gaps += 1
        done.unfilled += not gap.filled
        _LOG.warning("%s: not listening from %s to %s, %s", source, gap.start, gap.end, gap.reason)

    def records(self, records: Sequence[Record]) -> int:
        """Publish records as they are; how many the bus acknowledged."""
        with self._bus.producer() as producer:
            self._send(producer, records)
            return producer.flush()

    def _put(self, producer: Producer, page: Page, done: Published) -> None:
        decoded = page.decoded
        refused = self._send(producer, decoded.records)
        self._send(producer, decoded.letters)
        done.pages += 1
        done.records += len(decoded.records) - refused
        done.letters += len(decoded.letters) + refused

    def _send(self, producer: Producer, records: Sequence[Record]) -> int:
        """Hand records over, topic by topic; how many were too large and went to the dead letters instead."""
        by_topic: dict[str, list[tuple[bytes, bytes]]] = {}
        large: list[DeadLetter] = []
        for record in records:
            message = encode(record)
            key = key_of_record(record)
            if len(message) + len(key) > self._limits[record.topic]:
                large.append(self._too_large(record, message))
            else:
                by_topic.setdefault(record.topic, []).append((key, message))
        for topic, messages in by_topic.items():
            producer.publish(topic, messages)
        for letter in large:
            producer.publish(letter.topic, [(key_of_record(letter), encode(letter))])
        return len(large)

    def _too_large(self, record: Record, message: bytes) -> DeadLetter:
        """The record as a dead letter: whole, or, where even that topic is too small, its beginning and its hash."""
        # JSON in JSON: quotes and backslashes double in the worst case.
        most = (self._limits[DeadLetter.topic] - 65_536) // 2
        digest = hashlib.sha256(message).hexdigest()
        cut = f", cut to {most}, SHA-256 of all {digest}" if len(message) > most else ""
        payload = record.payload if isinstance(record, DeadLetter) else message.decode()
        return DeadLetter(
            source=record.source,
            source_id=digest[:32],
            event_time=record.received_at,
            knowledge_time=record.received_at,
            received_at=record.received_at,
            licence=record.licence,
            simulated=record.simulated,
            intended_topic=record.topic,
            reason="too_large",
            detail=f"{len(message)} bytes; topic {record.topic} takes {self._limits[record.topic]}{cut}",
            payload=payload[:most],
        )


def _listening(query: Query) -> Query:
    """Names the stream of a query in the state, apart from its history."""
    return replace(query, dataset=f"{query.dataset} stream", start=None, end=None)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
