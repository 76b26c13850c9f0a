"""FRED's answers as records.

Clocks. A vintage carries a date only (`realtime_start`, a day in St. Louis) and no time of release. It is therefore
known when that day is over there, at 00:00 of the next day in America/Chicago: after the release, after the day's New
York close, and before the next open. An observation happened, as `event_time`, at 00:00 UTC of the day that FRED gives
its period, the period's FIRST day; how long the period is stands in the dataset ``series``.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from project01.domain import Observation
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, micros
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.fundamentals import (
    REQUEST,
    RefusedError,
    Sorting,
    check_size,
    day_end_us,
    day_start_us,
    iso_day,
    read_element,
    read_whole,
    with_request,
)

ZONE = "America/Chicago"
MISSING = "."
_DAY_US = 86_400_000_000
_NUMBER = re.compile(r"-?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?")
# Where each dataset keeps its elements.
MEMBERS = {"observations": "observations", "series": "seriess", "releases": "release_dates"}


class Envelope(msgspec.Struct):
    """What is around the elements of an answer; `elements` are those of the dataset's own member."""

    observations: list[msgspec.Raw] | None = None
    seriess: list[msgspec.Raw] | None = None
    release_dates: list[msgspec.Raw] | None = None
    vintage_dates: list[str] | None = None
    count: int | None = None
    offset: int | None = None
    limit: int | None = None
    error_code: int | None = None
    error_message: str | None = None
    project01_request: dict[str, str] = {}

    def elements(self, dataset: str) -> list[msgspec.Raw] | None:
        """Elements of that dataset, None where the answer has no such member."""
        found: list[msgspec.Raw] | None = getattr(self, MEMBERS[dataset])
        return found


class _Observation(msgspec.Struct):
    realtime_start: str
    realtime_end: str
    date: str
    value: str


class _Series(msgspec.Struct):
    id: str
    units: str
    frequency: str
    observation_end: str
    last_updated: str
    popularity: Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class _ReleaseDate(msgspec.Struct):
    release_id: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    date: str


ENVELOPE = msgspec.json.Decoder(Envelope)
_OBSERVATION = msgspec.json.Decoder(_Observation)
_SERIES = msgspec.json.Decoder(_Series)
_RELEASE = msgspec.json.Decoder(_ReleaseDate)


def decode(connection: Connection, dataset: str, payload: bytes, received_at: int) -> Decoded:
    """Records of one answer; total and pure.

    Args:
        connection: for licence and mark.
        dataset: ``observations``, ``series`` or ``releases``.
        payload: the answer; for observations with the series in front, see `fundamentals.with_request`.
        received_at: microseconds UTC.
    """
    return read(connection, dataset, payload, received_at)[1]


def read(connection: Connection, dataset: str, payload: bytes, received_at: int) -> tuple[Envelope | None, Decoded]:
    """As `decode`, with the envelope where there is a usable one."""
    sorting = Sorting(connection, dataset, received_at)
    member = MEMBERS.get(dataset)
    if member is None:
        sorting.refuse(Reason.SCHEMA, f"Found dataset {dataset!r}; expected one of {', '.join(MEMBERS)}.", payload)
        return None, sorting.decoded
    envelope = read_whole(ENVELOPE, payload, sorting, f"an object with {member}")
    if envelope is None:
        return None, sorting.decoded
    elements = envelope.elements(dataset)
    if elements is None:
        _refuse_empty(envelope, member, payload, sorting)
        return None, sorting.decoded
    series_id = envelope.project01_request.get("series_id")
    if dataset == "observations" and not series_id:
        sorting.refuse(Reason.MISSING_SYMBOL, f"No {REQUEST}.series_id in front of the observations.", payload)
        return None, sorting.decoded
    try:
        check_size(elements, member)
    except RefusedError as error:
        sorting.refuse_for(error, payload)
        return None, sorting.decoded
    for element in elements:
        try:
            sorting.accept(_record(dataset, series_id or "", bytes(element), sorting))
        except ValueError as error:
            sorting.refuse_for(error, _alone(member, element, series_id))
    return envelope, sorting.decoded


def _refuse_empty(envelope: Envelope, member: str, payload: bytes, sorting: Sorting) -> None:
    if envelope.error_code is not None or envelope.error_message is not None:
        said = (envelope.error_message or "")[:300]
        sorting.refuse(Reason.ERROR_BODY, f"FRED answered with error {envelope.error_code}: {said}", payload)
    else:
        sorting.refuse(Reason.SCHEMA, f"No member {member}; expected FRED's list of that name.", payload)


def _alone(member: str, element: msgspec.Raw, series_id: str | None) -> bytes:
    """A payload of this one element, which `decode` understands."""
    body = b'{"' + member.encode() + b'":[' + bytes(element) + b"]}"
    return with_request(body, series_id=series_id) if series_id else body


def _record(dataset: str, series_id: str, element: bytes, sorting: Sorting) -> Observation:
    common = {**sorting.common, "raw": msgspec.Raw(element)}
    if dataset == "observations":
        return _observation(series_id, element, common)
    return _series(element, common) if dataset == "series" else _release(element, common)


def _observation(series_id: str, element: bytes, common: dict[str, Any]) -> Observation:
    row = read_element(_OBSERVATION, element)
    started, known = _vintage(row.realtime_start)
    if started > common["received_at"] + _DAY_US:
        raise RefusedError(Reason.IN_FUTURE, f"Vintage {row.realtime_start} lies after the day it was received.")
    return Observation(
        **common,
        source_id=f"{series_id}:{row.date}:{row.realtime_start}",
        event_time=day_start_us(iso_day(row.date)),
        knowledge_time=known,
        series_id=series_id,
        period=row.date,
        value=_number(row.value),
    )


@lru_cache(maxsize=65_536)
def _vintage(text: str) -> tuple[int, int]:
    day: date = iso_day(text)
    return day_start_us(day), day_end_us(day, ZONE)


def _number(text: str) -> float | None:
    if text == MISSING:
        return None
    if not _NUMBER.fullmatch(text):
        raise RefusedError(Reason.SCHEMA, f"Found value {text[:60]!r}; expected a number, or '{MISSING}' for missing.")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise RefusedError(Reason.NOT_FINITE, f"Found value {text[:60]!r}, which no 64-bit number can hold.")
    return value


def _series(element: bytes, common: dict[str, Any]) -> Observation:
    """A state of a series' description: popularity as value, the unit of its numbers as unit, all the rest in raw."""
    row = read_element(_SERIES, element)
    updated = micros(row.last_updated)
    return Observation(
        **common,
        source_id=f"{row.id}:series:{row.last_updated}",
        event_time=updated,
        knowledge_time=updated,
        series_id=f"{row.id}:popularity",
        period=iso_day(row.last_updated[:10]).isoformat(),
        value=float(row.popularity),
        unit=row.units,
    )


def _release(element: bytes, common: dict[str, Any]) -> Observation:
    """A day on which a release came out, value 1."""
    row = read_element(_RELEASE, element)
    day = iso_day(row.date)
    return Observation(
        **common,
        source_id=f"release:{row.release_id}:{row.date}",
        event_time=day_start_us(day),
        knowledge_time=day_end_us(day, ZONE),
        series_id=f"release:{row.release_id}",
        period=row.date,
        value=1.0,
        unit="release",
    )
