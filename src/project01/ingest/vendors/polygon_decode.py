"""From the bytes that Polygon sends to records and dead letters: pure and total, whatever the bytes are."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from project01.domain import FUNDAMENTALS, NEWS_TOPIC, TICKS, DeadLetter, InputError, Record
from project01.ingest.decoding import Reason, letter
from project01.ingest.vendor import Decoded
from project01.ingest.vendors import salvage
from project01.ingest.vendors.polygon_formats import (
    Aggregate,
    Dividend,
    Envelope,
    Event,
    Holiday,
    MinuteBar,
    PastQuote,
    PastTrade,
    QuoteEvent,
    SecondBar,
    Split,
    StatusEvent,
    Story,
    Ticker,
    TickerEvent,
    TradeEvent,
)
from project01.ingest.vendors.polygon_origin import SOURCE, Origin, Refused
from project01.ingest.vendors.polygon_reference import ReferenceMaker
from project01.ingest.vendors.polygon_spans import Span
from project01.ingest.vendors.polygon_ticks import TickMaker

STREAMED = frozenset({"aggregates", "trades", "quotes"})
# Elements larger than this would not fit into a message of their topic with its record around it.
_LARGEST = {TICKS: 500_000, NEWS_TOPIC: 7_000_000, FUNDAMENTALS: 1_900_000}
_GOOD = frozenset({"OK", "DELAYED", "ok", None})
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
_NO_NUMBER = re.compile(rb"[\s:,\[](NaN|-?Infinity)[\s,}\]]")
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_EVENTS = msgspec.json.Decoder(list[Event])
_EVENT = msgspec.json.Decoder(Event)
_ENVELOPE = msgspec.json.Decoder(Envelope)


class _Timeline(msgspec.Struct, frozen=True, gc=False):
    """`results` of ticker events: one element, since each event means something only beside the one before."""

    events: tuple[TickerEvent, ...]


_ELEMENTS: Mapping[str, Any] = {
    "aggregates": Aggregate,
    "trades": PastTrade,
    "quotes": PastQuote,
    "splits": Split,
    "dividends": Dividend,
    "tickers": Ticker,
    "ticker_events": _Timeline,
    "market_status": Holiday,
    "news": Story,
}
_ARRAYS = {name: msgspec.json.Decoder(list[kind]) for name, kind in _ELEMENTS.items()}  # type: ignore[valid-type]
_SINGLES = {name: msgspec.json.Decoder(kind) for name, kind in _ELEMENTS.items()}

# An element and its fragment; None in place of an element that has to be read by itself.
Piece = tuple[Any, msgspec.Raw]


@dataclass(frozen=True)
class Asked:
    """What an answer leaves out, because it stood in the question; empty: the answer has to say it.

    Attributes:
        ticker: as the vendor writes it.
        span: length of the bars.
    """

    ticker: str = ""
    span: str = ""


class PolygonDecoder:
    """Decodes all payloads of the vendor."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._ticks = TickMaker(origin)
        self._reference = ReferenceMaker(origin)
        self._of_event: dict[type, Callable[[Any, msgspec.Raw, int], Record | None]] = {
            SecondBar: self._ticks.streamed_bar,
            MinuteBar: self._ticks.streamed_bar,
            TradeEvent: self._ticks.trade,
            QuoteEvent: self._ticks.quote,
            StatusEvent: lambda _event, _raw, _at: None,
            type(None): self._unread_event,
        }

    @property
    def symbols_met(self) -> frozenset[str]:
        """Our symbols of all tickers decoded up to now."""
        return frozenset(self._origin.known.values())

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """Records of a frame of the socket or of a body of the HTTP API.

        A body of trades or quotes does not say whose they are, one of bars not how long they are; those that
        `history` fetches are read by `answer`. Elements refused there go to dead letters within an envelope that says
        it (`ticker`, `span`), so that this function reads them again. Without `span`, bars are of one second.
        """
        if dataset not in _ELEMENTS:
            raise InputError(f"Polygon has no dataset {dataset!r}; choose one of {', '.join(_ELEMENTS)}.")
        if dataset in STREAMED and payload.lstrip()[:1] == b"[":
            return self.frame(dataset, payload, received_at)
        return self.answer(dataset, payload, received_at, Asked())

    def frame(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """Records of one frame of the socket: an array of events."""
        try:
            pieces: Iterable[Piece] = parse_frame(payload)
        except UNREADABLE:
            try:
                pieces = _one_by_one(payload)
            except UNREADABLE as error:
                return Decoded(letters=(self._letter(dataset, payload, received_at, _why(error, payload)),))
        records: list[Record] = []
        letters: list[DeadLetter] = []
        accepted = 0
        makers = self._of_event
        for event, raw in pieces:
            try:
                made = makers[type(event)](event, raw, received_at)
            except Refused as refused:
                whole = b"[" + bytes(raw) + b"]"
                ticker = refused.ticker or getattr(event, "sym", None)
                letters.append(self._letter(dataset, whole, received_at, refused, ticker))
            else:
                accepted += 1
                if made is not None:
                    records.append(made)
        return Decoded(records, letters, accepted)

    def answer(self, dataset: str, payload: bytes, received_at: int, asked: Asked) -> Decoded:
        """Records of one body of the HTTP API."""
        try:
            envelope, results = read_envelope(dataset, payload)
            fault = error_of(envelope)
            if fault is not None:
                raise Refused(Reason.ERROR_BODY, fault)
            ticker, span = asked.ticker or envelope.ticker or "", Span.of(asked.span or envelope.span or "1s")
            pieces = _pieces(dataset, results)
        except InputError as error:
            return self._whole(dataset, payload, received_at, Refused(Reason.SCHEMA, str(error)))
        except Refused as refused:
            return self._whole(dataset, payload, received_at, refused)
        except UNREADABLE as error:
            return self._whole(dataset, payload, received_at, _why(error, payload))
        make, topic = self._maker(dataset, ticker, span, adjusted=bool(envelope.adjusted)), topic_of(dataset)
        records: list[Record] = []
        letters: list[DeadLetter] = []
        accepted = 0
        for element, raw in pieces:
            try:
                read = element if element is not None else _strictly(_SINGLES[dataset], raw, topic)
                records.extend(make(read, raw, received_at))
            except Refused as refused:
                whole = _wrapped(dataset, bytes(raw), ticker, span, adjusted=envelope.adjusted)
                letters.append(self._letter(dataset, whole, received_at, refused, ticker or refused.ticker))
            else:
                accepted += 1
        return Decoded(records, letters, accepted)

    def _unread_event(self, _event: None, raw: msgspec.Raw, received_at: int) -> Record | None:
        event = _strictly(_EVENT, raw, TICKS)
        return self._of_event[type(event)](event, raw, received_at)

    def _maker(
        self, dataset: str, ticker: str, span: Span, *, adjusted: bool
    ) -> Callable[[Any, Any, int], Sequence[Record]]:
        ticks, reference = self._ticks, self._reference
        if dataset == "aggregates":

            def bar(element: Aggregate, raw: msgspec.Raw, at: int) -> Sequence[Record]:
                made = ticks.past_bar(
                    element, raw, at, ticker=_named(element.ticker or ticker), span=span, adjusted=adjusted
                )
                return () if made is None else (made,)

            return bar
        if dataset == "trades":
            return lambda element, raw, at: ticks.past_trade(element, raw, at, ticker=_named(ticker))
        if dataset == "quotes":
            return lambda element, raw, at: (ticks.past_quote(element, raw, at, ticker=_named(ticker)),)
        makers: dict[str, Callable[[Any, Any, int], Sequence[Record]]] = {
            "splits": reference.split,
            "dividends": reference.dividend,
            "tickers": reference.ticker,
            "ticker_events": lambda element, raw, at: reference.ticker_events(element.events, raw, at),
            "market_status": reference.holiday,
            "news": reference.story,
        }
        return makers[dataset]

    def _whole(self, dataset: str, payload: bytes, received_at: int, refused: Refused) -> Decoded:
        return Decoded(letters=(self._letter(dataset, payload, received_at, refused),))

    def _letter(
        self, dataset: str, payload: bytes, received_at: int, refused: Refused, ticker: str | None = None
    ) -> DeadLetter:
        return letter(
            source=SOURCE,
            licence=self._origin.licence,
            simulated=self._origin.simulated,
            dataset=dataset,
            intended_topic=topic_of(dataset),
            reason=refused.reason,
            detail=refused.detail,
            payload=payload,
            received_at=received_at,
            symbol=self._origin.symbol_or_none(ticker or ""),
        )


def topic_of(dataset: str) -> str:
    """The topic of a dataset's records."""
    return TICKS if dataset in STREAMED else NEWS_TOPIC if dataset == "news" else FUNDAMENTALS


def parse_frame(payload: bytes) -> Iterator[tuple[Event, msgspec.Raw]]:
    """The typed events of a frame, each with its own fragment.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: at least one element is not as documented.
        ValueError: an element is larger than its topic takes.
    """
    _check_text(payload)
    return zip(_EVENTS.decode(payload), _fragments(payload, TICKS), strict=True)


def read_envelope(dataset: str, payload: bytes) -> tuple[Envelope, bytes]:
    """The envelope of a body and its results as JSON, ``[]`` where it has none.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError: it cannot be read.
    """
    if dataset == "market_status" and payload.lstrip()[:1] == b"[":
        return Envelope(status="OK"), payload
    try:
        _check_text(payload)
        envelope = _ENVELOPE.decode(payload)
        results = bytes(envelope.results) if envelope.results is not None else b"null"
    except UNREADABLE:
        members = salvage.members(payload)
        results = members.pop("results", b"null")
        rest = b",".join(json.dumps(name).encode() + b":" + value for name, value in members.items())
        envelope = _ENVELOPE.decode(b"{" + rest + b"}")
    if results.strip() == b"null":
        if envelope.status is None and envelope.error is None:
            raise ValueError("neither results nor a status")
        results = b"[]"
    return envelope, results


def error_of(envelope: Envelope) -> str | None:
    """What the vendor complains of in a body, None if nothing."""
    if envelope.error is None and envelope.status in _GOOD:
        return None
    said = envelope.error or envelope.message or "no explanation"
    return f"the vendor answered with status {str(envelope.status)[:40]!r}: {said[:300]}"


def _pieces(dataset: str, results: bytes) -> Iterable[Piece]:
    if results.lstrip()[:1] != b"[":
        results = b"[" + results + b"]"
    try:
        _check_text(results)
        return zip(_ARRAYS[dataset].decode(results), _fragments(results, topic_of(dataset)), strict=True)
    except UNREADABLE:
        return _one_by_one(results)


def _check_text(payload: bytes) -> None:
    """That the payload is UTF-8, which the reader does not check in fields that it skips."""
    if not payload.isascii():
        payload.decode("utf-8")


def _fragments(array: bytes, topic: str) -> list[msgspec.Raw]:
    """The elements as they stand in the payload, none of them larger than its topic takes."""
    found = _RAWS.decode(array)
    if len(array) > _LARGEST[topic] and any(memoryview(raw).nbytes > _LARGEST[topic] for raw in found):
        raise ValueError(f"an element of more than {_LARGEST[topic]} bytes")
    return found


def _one_by_one(array: bytes) -> list[Piece]:
    return [(None, msgspec.Raw(item)) for item in salvage.items(array)]


def _strictly(decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw, topic: str) -> Any:
    """One element read by itself.

    Raises:
        Refused: it is too large for its topic, or not as documented.
    """
    payload = bytes(raw)
    if len(payload) > _LARGEST[topic]:
        raise Refused(
            Reason.TOO_LARGE, f"an element of {len(payload)} bytes; topic {topic} takes at most {_LARGEST[topic]}"
        )
    try:
        _check_text(payload)
        return decoder.decode(payload)
    except UNREADABLE as error:
        raise _why(error, payload) from error


def _why(error: Exception, payload: bytes) -> Refused:
    said = str(error)[:300]
    if isinstance(error, msgspec.ValidationError):
        if "out of range" in said:
            return Refused(Reason.NOT_FINITE, said)
        if "missing required field `sym`" in said or "missing required field `ticker`" in said:
            return Refused(Reason.MISSING_SYMBOL, said)
        return Refused(Reason.SCHEMA, said)
    if _NO_NUMBER.search(payload[:1_000_000]):
        return Refused(Reason.NOT_FINITE, f"NaN or Infinity in place of a number: {said}")
    return Refused(Reason.UNREADABLE, said)


def _named(ticker: str) -> str:
    if not ticker:
        raise Refused(Reason.MISSING_SYMBOL, "the answer does not say whose this is; expected `ticker` beside it")
    return ticker


def _wrapped(dataset: str, raw: bytes, ticker: str, span: Span, *, adjusted: bool | None) -> bytes:
    """An element in an envelope that says what the question had said, so that it can be read again by itself."""
    said: dict[str, object] = {"status": "OK"}
    if dataset in STREAMED:
        said["ticker"] = ticker
    if dataset == "aggregates":
        said |= {"span": span.text, "adjusted": bool(adjusted)}
    return json.dumps(said).encode()[:-1] + b', "results": [' + raw + b"]}"
