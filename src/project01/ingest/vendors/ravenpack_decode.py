"""RavenPack's records, from JSON or CSV, to news items. Pure.

Two products are told apart by their columns:

| ours | RPNA 4.0 (`ESS`, scores 0 to 100) | RPA 1.0 (`event_sentiment_score`, -1 to 1) |
|---|---|---|
| sentiment, -1 to 1 | (ESS - 50) / 50 | EVENT_SENTIMENT_SCORE |
| novelty, 0 to 1 | G_ENS / 100, else ENS / 100 | EVENT_SIMILARITY_DAYS / 365, at most 1 |
| relevance, 0 to 1 | RELEVANCE / 100 | RELEVANCE / 100 |

An empty score stays missing: no event was detected. The headline is the column HEADLINE where there is one; else what
RavenPack says of the event (EVENT_TEXT, CATEGORY), else the entity's name: analytics files come without headlines.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime

import msgspec

from project01.domain import NewsItem
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.elements import (
    Origin,
    Refused,
    Tally,
    check_length,
    listed,
    not_later,
    number,
    read,
    shown,
    text,
)
from project01.ingest.vendors.salvage import items, members

Row = dict[str, object]
_YEAR_DAYS = 365.0
_MOST_COLUMNS = 1_000
_NEEDED = ("TIMESTAMP_UTC", "RP_STORY_ID", "RP_ENTITY_ID")


class _Envelope(msgspec.Struct, frozen=True):
    records: msgspec.Raw


def decode(origin: Origin, dataset: str, payload: bytes, received_at: int) -> Decoded:
    """Records of one answer or line (``analytics``), or of a header and lines of CSV; any bytes give a result."""
    tally = Tally(origin, dataset, received_at)
    try:
        if dataset == "analytics":
            _json(tally, payload)
        else:
            _csv(tally, payload)
    except Refused as refused:
        tally.refuse(refused, payload)
    return tally.decoded()


def _json(tally: Tally, payload: bytes) -> None:
    if not payload.strip():
        tally.silent()  # keeps the feed alive
        return
    if b'"records"' not in payload[:1024]:
        tally.element(payload, _from_json, tally, payload)
        return
    for raw in _records(payload):
        tally.element(raw, _from_json, tally, raw)


def _records(payload: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in listed(bytes(read(payload, _Envelope).records))]
    except Refused as refused:
        if refused.reason == Reason.TOO_LARGE:
            raise
        # One bad record must not take thousands of good ones along: each is read by itself.
        try:
            return items(members(payload)["records"])
        except (ValueError, KeyError, RecursionError):
            raise refused from None


def _from_json(tally: Tally, raw: bytes) -> Iterator[NewsItem]:
    return _item(tally, {name.upper(): value for name, value in read(raw, Row).items()}, raw)


def _csv(tally: Tally, payload: bytes) -> None:
    check_length(payload.count(b"\n"))
    lines = payload.split(b"\n")
    if (columns := lines[0].count(b",") + 1) > _MOST_COLUMNS:
        raise Refused(Reason.SCHEMA, f"header of {columns} columns; RavenPack's files have about fifty")
    header = [name.strip().upper() for name in _fields(lines[0].removeprefix(b"\xef\xbb\xbf"))]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise Refused(Reason.SCHEMA, f"header without {', '.join(missing)}; found {shown(', '.join(header))}")
    for line in lines[1:]:
        if line.strip():
            tally.element(line, _from_csv, tally, header, line, around=(lines[0] + b"\n", b""))


def _fields(line: bytes) -> list[str]:
    """Fields of a line; RavenPack puts no line breaks into fields."""
    try:
        return next(csv.reader([line.decode("utf-8").rstrip("\r")], strict=True), [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise Refused(Reason.UNREADABLE, f"no CSV in UTF-8: {shown(error)}") from error


def _from_csv(tally: Tally, header: list[str], line: bytes) -> Iterator[NewsItem]:
    fields = _fields(line)
    if len(fields) != len(header):
        raise Refused(Reason.SCHEMA, f"{len(fields)} fields; expected the {len(header)} of the header")
    row: Row = {name: value for name, value in zip(header, fields, strict=True) if value != ""}
    return _item(tally, row, msgspec.json.encode(row))


def _item(tally: Tally, row: Row, raw: bytes) -> Iterator[NewsItem]:
    when = not_later("TIMESTAMP_UTC", _stamp(row.get("TIMESTAMP_UTC")), tally.received_at)
    story, entity = text("RP_STORY_ID", row.get("RP_STORY_ID")), text("RP_ENTITY_ID", row.get("RP_ENTITY_ID"))
    event = next((row[n] for n in ("RP_STORY_EVENT_INDEX", "EVENT_SIMILARITY_KEY", "CATEGORY") if _given(row, n)), "")
    publisher = next((row[n] for n in ("SOURCE_NAME", "SOURCE", "RP_SOURCE_ID") if _given(row, n)), None)
    category = row.get("CATEGORY")
    symbol = _symbol(tally, entity, datetime.fromtimestamp(when / 1e6, UTC).date())
    yield NewsItem(
        **tally.common(f"{story[:64]}:{entity[:64]}:{str(event)[:128]}", when, raw, symbol=symbol),
        headline=_headline(row),
        publisher=str(publisher)[:128] if publisher is not None else None,
        symbols=() if symbol is None else (symbol,),
        entity_id=entity[:64],
        category=category[:256] if isinstance(category, str) and category else None,
        relevance=_scaled(row, "RELEVANCE", 0.0, 100.0),
        sentiment=_sentiment(row),
        novelty=_novelty(row),
    )


def _given(row: Row, name: str) -> bool:
    return isinstance(row.get(name), str | int) and row[name] != ""


def _stamp(value: object) -> int:
    """Microseconds UTC of ``2015-01-27 21:30:04.120``, which carries no zone and is UTC."""
    try:
        found = datetime.fromisoformat(text("TIMESTAMP_UTC", value))
        return micros_of(found.replace(tzinfo=UTC) if found.tzinfo is None else found)
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"TIMESTAMP_UTC: {shown(error)}") from error


def _symbol(tally: Tally, entity: str, on: date) -> str | None:
    """The entity's ticker of the day; the mapping is kept under today's."""
    newest = tally.origin.symbols.of_entity("ravenpack", entity)
    return None if newest is None else tally.origin.symbols.current(newest, on, meant_on=date.max)


def _headline(row: Row) -> str:
    for name in ("HEADLINE", "EVENT_TEXT", "CATEGORY", "ENTITY_NAME"):
        if row.get(name) is not None:
            return text(name, row[name])
    raise Refused(Reason.SCHEMA, "no HEADLINE, EVENT_TEXT, CATEGORY or ENTITY_NAME; expected one of them")


def _score(row: Row, name: str, low: float, high: float) -> float | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = str(value)[:64]
    found = number(name, value)
    if not low <= found <= high:
        raise Refused(Reason.OUTSIDE_RANGE, f"{name} is {found}; expected {low:g} to {high:g}")
    return found


def _scaled(row: Row, name: str, low: float, high: float) -> float | None:
    found = _score(row, name, low, high)
    return None if found is None else (found - low) / (high - low)


def _sentiment(row: Row) -> float | None:
    if "EVENT_SENTIMENT_SCORE" in row:
        return _score(row, "EVENT_SENTIMENT_SCORE", -1.0, 1.0)
    found = _score(row, "ESS", 0.0, 100.0)
    return None if found is None else (found - 50.0) / 50.0


def _novelty(row: Row) -> float | None:
    if "EVENT_SIMILARITY_DAYS" in row:
        days = _score(row, "EVENT_SIMILARITY_DAYS", 0.0, 100_000.0)
        return None if days is None else min(days / _YEAR_DAYS, 1.0)
    everywhere = _scaled(row, "G_ENS", 0.0, 100.0)
    return _scaled(row, "ENS", 0.0, 100.0) if everywhere is None else everywhere
