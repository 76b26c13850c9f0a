"""Nasdaq Data Link's answers as records: each numeric cell of a row is one observation.

Clocks. The vendor does not say when a value of a time series was published. It is taken as known after its period plus
`publication_lag_days` (1 by default), at 00:00 UTC: a daily value of the 2nd on the 3rd, a monthly one dated the 1st or
the 31st of January on 1 February. Raise the lag for series that come out later: many monthly statistics take 30 days
and more. The newest value of an answer with `refreshed_at` is not known before that. Values that the vendor revises
later are not told apart by it; the value that was fetched first stays.

Rows of tables name their own day: `datekey` where it is the day of a filing (Sharadar's as-reported dimensions AR*, or
a table without dimensions), else `lastupdated`; they are known when that day is over in New York. Other tables follow
the rule of time series. Never the period: Sharadar's most-recent dimensions MR* carry restated values under old dates.
"""

import hashlib
import json
import math
import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec

from project01.domain import Observation
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason, micros
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.fundamentals import (
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

ZONE = "America/New_York"
DEFAULT_KEYS = "dimension"
_LONGEST_LAG = 3_650
_TICKERS = ("ticker", "m_ticker", "symbol")
_PERIODS = ("reportperiod", "calendardate", "per_end_date", "date", "eventdate")
_PUBLISHED = ("datekey", "lastupdated")
_NUMERIC = ("integer", "double", "float", "decimal", "bigdecimal", "number")
_OTHER = ("string", "text", "date", "datetime", "time", "boolean")
_NUMBER = re.compile(r"-?\d{1,400}(?:\.\d{0,400})?(?:[eE][+-]?\d{1,4})?")
Cell = str | int | float | bool | None


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Series(msgspec.Struct):
    column_names: list[str]
    data: list[msgspec.Raw]
    frequency: str | None = None
    refreshed_at: str | None = None


class _Column(msgspec.Struct):
    name: str
    type: str


class _Table(msgspec.Struct):
    data: list[msgspec.Raw]
    columns: list[_Column]


class _Meta(msgspec.Struct):
    next_cursor_id: str | None


class Envelope(msgspec.Struct):
    """What is around the rows of an answer, of both datasets."""

    dataset_data: _Series | None = None
    dataset: _Series | None = None
    datatable: _Table | None = None
    meta: _Meta | None = None
    quandl_error: _Error | None = None
    project01_request: dict[str, str] = {}


ENVELOPE = msgspec.json.Decoder(Envelope)
ROW = msgspec.json.Decoder(list[Cell])


@dataclass(frozen=True)
class _Asked:
    """What was asked for: the code of the series or table, the lag, and the columns that tell series apart."""

    code: str
    lag: timedelta
    keys: tuple[str, ...]

    @classmethod
    def of(cls, request: dict[str, str]) -> "_Asked":
        code = request.get("code", "")
        if not code:
            raise RefusedError(Reason.MISSING_SYMBOL, "The answer does not tell which series or table it is of.")
        keys = tuple(key for key in request.get("keys", DEFAULT_KEYS).split(",") if key)
        return cls(code, lag_days(request.get("lag", "1")), keys)


def lag_days(text: str) -> timedelta:
    """The publication lag.

    Raises:
        ValueError: no whole number of days from 1 to 3,650.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _LONGEST_LAG:
        raise ValueError(f"found publication_lag_days={text[:20]!r}; expected a whole number from 1 to {_LONGEST_LAG}")
    return timedelta(days=int(text))


def read(connection: Connection, dataset: str, payload: bytes, received_at: int) -> tuple[Envelope | None, Decoded]:
    """The envelope, None where it cannot be used, and the records; total and pure.

    Args:
        connection: for licence, mark and symbols.
        dataset: ``timeseries`` or ``tables``.
        payload: the answer with what was asked in front, see `fundamentals.with_request`.
        received_at: microseconds UTC.
    """
    sorting = Sorting(connection, dataset, received_at)
    member = {"timeseries": "dataset_data", "tables": "datatable"}.get(dataset)
    if member is None:
        sorting.refuse(Reason.SCHEMA, f"Found dataset {dataset[:40]!r}; expected timeseries or tables.", payload)
        return None, sorting.decoded
    envelope = read_whole(ENVELOPE, payload, sorting, f"an object with {member}")
    if envelope is None:
        return None, sorting.decoded
    try:
        asked = _Asked.of(envelope.project01_request)
        series = envelope.dataset_data or envelope.dataset
        if envelope.quandl_error is not None:
            error = envelope.quandl_error
            raise RefusedError(Reason.ERROR_BODY, f"The vendor answered {error.code[:20]}: {error.message[:300]}")
        if dataset == "timeseries" and series is not None:
            _read_series(series, asked, sorting)
        elif dataset == "tables" and envelope.datatable is not None:
            _read_table(envelope.datatable, asked, sorting)
        else:
            raise RefusedError(Reason.SCHEMA, f"No member {member}; expected the vendor's rows there.")
    except ValueError as error:
        sorting.refuse_for(error, payload)
        return None, sorting.decoded
    return envelope, sorting.decoded


def _read_series(series: _Series, asked: _Asked, sorting: Sorting) -> None:
    check_size(series.data, "rows")
    names = _unique(series.column_names)
    if len(names) < 2:
        raise RefusedError(Reason.SCHEMA, f"Found columns {names}; expected a date and at least one value.")
    refreshed = None if series.refreshed_at is None else micros(series.refreshed_at)
    around: dict[str, Any] = {"column_names": names, "frequency": series.frequency, "refreshed_at": series.refreshed_at}
    newest = _newest(series.data) if refreshed is not None else None
    for element in series.data:
        try:
            cells = _cells(element, len(names))
            day = _day(names[0], cells[0])
            known = day_start_us(_later(_period_end(day, series.frequency), asked.lag))
            if refreshed is not None and day.isoformat() == newest:
                known = max(known, refreshed)
            sorting.accept(*_series_row(names, cells, day, known, bytes(element), asked, sorting))
        except ValueError as error:
            sorting.refuse_for(error, _alone({"dataset_data": {**around, "data": [element]}}, asked))


def _series_row(
    names: list[str], cells: list[Cell], day: date, known: int, raw: bytes, asked: _Asked, sorting: Sorting
) -> list[Observation]:
    common = {**sorting.common, "knowledge_time": known, "raw": msgspec.Raw(raw)}
    return [
        Observation(
            **common,
            source_id=f"{asked.code}.{name}:{day}",
            event_time=day_start_us(day),
            series_id=f"{asked.code}.{name}",
            period=day.isoformat(),
            value=_number(name, cell),
        )
        for name, cell in zip(names[1:], cells[1:], strict=True)
    ]


def _newest(rows: Sequence[msgspec.Raw]) -> str | None:
    """The newest date among the rows as ISO text, whatever their order."""
    dates = []
    for row in rows:
        try:
            first = read_element(ROW, row)[:1]
        except ValueError:
            continue
        if first and isinstance(first[0], str):
            dates.append(first[0])
    return max(dates, default=None)


def _read_table(table: _Table, asked: _Asked, sorting: Sorting) -> None:
    check_size(table.data, "rows")
    names = _unique([column.name for column in table.columns])
    numeric = [_is_numeric(column) for column in table.columns]
    if not any(numeric):
        raise RefusedError(
            Reason.SCHEMA, f"No column of {', '.join(names)[:200]} holds numbers; expected at least one."
        )
    for element in table.data:
        try:
            cells = _cells(element, len(names))
            sorting.accept(*_table_row(dict(zip(names, cells, strict=True)), numeric, bytes(element), asked, sorting))
        except ValueError as error:
            sorting.refuse_for(error, _alone({"datatable": {"data": [element], "columns": table.columns}}, asked))


def _is_numeric(column: _Column) -> bool:
    kind = column.type.split("(")[0].strip().lower()
    if kind not in (*_NUMERIC, *_OTHER):
        known = ", ".join((*_NUMERIC, *_OTHER))
        raise RefusedError(
            Reason.SCHEMA, f"Column {column.name} is of type {column.type[:40]}; expected one of {known}."
        )
    return kind in _NUMERIC


def _table_row(
    row: dict[str, Cell], numeric: Sequence[bool], raw: bytes, asked: _Asked, sorting: Sorting
) -> list[Observation]:
    period = _first_day(row, (*_PERIODS, *_PUBLISHED))
    if period is None:
        raise RefusedError(Reason.SCHEMA, f"No day in columns {', '.join(row)[:200]}; expected one such as date.")
    others = {name: cell for (name, cell), number in zip(row.items(), numeric, strict=True) if not number}
    identity = hashlib.sha256(json.dumps(others).encode()).hexdigest()[:16]
    series = ".".join([asked.code, *(str(row[key]) for key in asked.keys if row.get(key) is not None)])
    common = {
        **sorting.common,
        "symbol": _symbol(row, sorting),
        "knowledge_time": _known(row, period, asked.lag),
        "raw": msgspec.Raw(raw),
    }
    return [
        Observation(
            **common,
            source_id=f"{asked.code}.{name}:{period}:{identity}",
            event_time=day_start_us(period),
            series_id=f"{series}.{name}",
            period=period.isoformat(),
            value=_number(name, cell),
        )
        for (name, cell), number in zip(row.items(), numeric, strict=True)
        if number
    ]


def _symbol(row: dict[str, Cell], sorting: Sorting) -> str | None:
    column = next((name for name in _TICKERS if name in row), None)
    if column is None:
        return None
    ticker = row[column]
    if not isinstance(ticker, str) or not ticker:
        raise RefusedError(Reason.MISSING_SYMBOL, f"Found {column}={str(ticker)[:40]!r}; expected a ticker.")
    symbol = sorting.connection.symbols.ours(ticker, "plain") if len(ticker) <= 32 else None
    if symbol is None:
        raise RefusedError(Reason.UNKNOWN_SYMBOL, f"{ticker[:40]!r} is no ticker of a listed share.")
    return symbol


def _known(row: dict[str, Cell], period: date, lag: timedelta) -> int:
    """When the row could first be known, see the top of this file."""
    filed, updated = _first_day(row, ("datekey",)), _first_day(row, ("lastupdated",))
    dimension = row.get("dimension")
    as_reported = "dimension" not in row or (isinstance(dimension, str) and dimension.startswith("AR"))
    if filed is not None and as_reported:
        return day_end_us(filed, ZONE)
    if updated is not None:
        return day_end_us(updated, ZONE)
    return day_start_us(_later(max(period, filed or period), lag))


def _first_day(row: dict[str, Cell], names: Sequence[str]) -> date | None:
    for name in names:
        if (cell := row.get(name)) is not None:
            return _day(name, cell)
    return None


def _unique(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise RefusedError(Reason.SCHEMA, f"Columns {names[:50]} name one twice; values could not be told apart.")
    return names


def _cells(element: msgspec.Raw, width: int) -> list[Cell]:
    cells = read_element(ROW, element)
    if len(cells) != width:
        raise RefusedError(Reason.SCHEMA, f"The row has {len(cells)} cells; expected {width}, one for each column.")
    return cells


def _day(name: str, cell: Cell) -> date:
    if not isinstance(cell, str):
        raise RefusedError(Reason.SCHEMA, f"Found {name}={str(cell)[:40]}; expected a day as YYYY-MM-DD.")
    # Columns of type DateTime carry a time behind the day.
    return iso_day(cell[:10] if cell[10:11] in ("T", " ") else cell)


def _number(name: str, cell: Cell) -> float | None:
    """A cell's number; big decimals may come as text. None: the vendor has no value."""
    if cell is None:
        return None
    if isinstance(cell, bool) or (isinstance(cell, str) and not _NUMBER.fullmatch(cell)):
        raise RefusedError(Reason.SCHEMA, f"Found {name}={str(cell)[:60]!r}; expected a number or null.")
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise RefusedError(Reason.NOT_FINITE, f"Found {name}={str(cell)[:60]}, which no 64-bit number can hold.")
    return value


def _period_end(day: date, frequency: str | None) -> date:
    """Last day of the period that `day` lies in; the vendor dates some by their first day, some by their last."""
    if frequency == "weekly":
        # A week may be dated by any of its days: only six days later is it certainly over.
        return _later(day, timedelta(days=6))
    month = {"monthly": day.month, "quarterly": (day.month + 2) // 3 * 3, "annual": 12}.get(frequency or "", 0)
    return day if month == 0 else date(day.year, month, monthrange(day.year, month)[1])


def _later(day: date, by: timedelta) -> date:
    try:
        return day + by
    except OverflowError as error:
        raise ValueError(f"{day} lies too far in the future") from error


def _alone(body: dict[str, Any], asked: _Asked) -> bytes:
    """A payload of one row, which `read` understands."""
    request = {"code": asked.code, "lag": str(asked.lag.days), "keys": ",".join(asked.keys)}
    return with_request(msgspec.json.encode(body), **request)
