"""A local Nasdaq Data Link: made-up time series and one table like Sharadar's SF1, served as documented."""

from collections.abc import Sequence
from datetime import date, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec

from project01.ingest.stand_ins.exchange import Reply, Request
from project01.ingest.stand_ins.faults import NO_FAULTS, FaultScript
from project01.ingest.stand_ins.fundamentals import FundamentalsStandIn
from project01.ingest.vendors.quandl import SPEC

TABLE = "SHARADAR/SF1"
_KEY = "simulated-quandl-key-0123456789abc"
_MADE_UP = ("FRED/GDP", "LBMA/GOLD")
_TICKERS = ("AAPL", "BRK.B", "IBM")
_SERIES_COLUMNS = ("Date", "Value", "Change")
_COLUMNS = (
    ("ticker", "String"),
    ("dimension", "String"),
    ("calendardate", "Date"),
    ("datekey", "Date"),
    ("reportperiod", "Date"),
    ("lastupdated", "Date"),
    ("revenue", "Integer"),
    ("eps", "BigDecimal(34,12)"),
)
Row = list[Any]


class QuandlStandIn(FundamentalsStandIn):
    """See `stand_in`.

    Attributes:
        series: rows of each time series, ascending.
        rows: rows of the table, in the columns' order.
    """

    spec = SPEC
    secrets = MappingProxyType({"api key": _KEY})

    def __init__(self, series: dict[str, list[Row]], rows: list[Row], *, faults: FaultScript, page_limit: int) -> None:
        super().__init__(faults=faults)
        self.series, self.rows, self._page_limit = series, rows, page_limit

    def answer(self, request: Request) -> Reply:
        """What the vendor answers."""
        if request.headers.get("x-api-token") != _KEY:
            return _error(400, "QEAx01", "We could not recognize your API key.")
        if request.fault == "error_body_200":
            return _error(200, "QEMx01", "Something went wrong. Please try again.")
        pieces = request.path.removeprefix("/api/v3/").split("/")
        if len(pieces) == 4 and pieces[0] == "datasets" and pieces[3] == "data.json":
            return self._timeseries(request, f"{pieces[1]}/{pieces[2]}")
        if request.path == f"/api/v3/datatables/{TABLE}.json":
            return self._table(request)
        return _error(404, "QECx02", "You have submitted an incorrect Nasdaq Data Link code.")

    def _timeseries(self, request: Request, code: str) -> Reply:
        if code not in self.series:
            return _error(404, "QECx02", "You have submitted an incorrect Nasdaq Data Link code.")
        first, last = request.first("start_date", "0001-01-01"), request.first("end_date", "9999-12-31")
        rows = [row for row in self.series[code] if first <= row[0] <= last]
        self.sent.update(f"{code}.{name}:{row[0]}" for row in rows for name in _SERIES_COLUMNS[1:])
        names, rows = _changed(request, list(_SERIES_COLUMNS), rows, "Value")
        content = {
            "limit": None,
            "transform": None,
            "column_index": None,
            "column_names": names,
            "start_date": rows[0][0] if rows else None,
            "end_date": rows[-1][0] if rows else None,
            "frequency": "daily",
            "data": rows,
            "collapse": None,
            "order": "asc",
        }
        if request.fault == "new_field":
            # A new column would be a new series; what must cost nothing is a new member.
            content["brand_new_field"] = {"nested": [1, "two", None]}
        return Reply(200, _written({"dataset_data": content}))

    def _table(self, request: Request) -> Reply:
        names = [name for name, _ in _COLUMNS]
        rows = [row for row in self.rows if _passes(request, dict(zip(names, row, strict=True)))]
        offset = int(request.first("qopts.cursor_id", "0"))
        limit = min(int(request.first("qopts.per_page", "10000")), self._page_limit)
        following = str(offset + limit) if offset + limit < len(rows) else None
        if request.fault == "looping_cursor":
            following = str(offset)
        place = 0 if request.fault == "wrong_page_order" else offset
        names, page = _changed(request, names, rows[place : place + limit], "eps")
        columns = [{"name": name, "type": kind} for name, (_, kind) in zip(names, _COLUMNS, strict=False)]
        if len(names) > len(_COLUMNS):
            columns.append({"name": names[-1], "type": "String"})
        table = {"data": page, "columns": columns}
        return Reply(200, _written({"datatable": table, "meta": {"next_cursor_id": following}}))


def _passes(request: Request, row: dict[str, Any]) -> bool:
    if (tickers := request.first("ticker")) and row["ticker"] not in tickers.split(","):
        return False
    updated = str(row["lastupdated"])
    return request.first("lastupdated.gt") < updated < request.first("lastupdated.lt", "9999-12-31")


# Marks for what no JSON library writes.
_NAN, _SURROGATE = "\u0001nan\u0001", "\u0001surrogate\u0001"


def _changed(request: Request, names: list[str], rows: list[Row], field: str) -> tuple[list[str], list[Row]]:
    """Columns and rows with the request's content fault done to the column `field`."""
    place = names.index(field)
    cell = {
        "retyped_field": {"value": 1},
        "not_a_number": _NAN,
        "lone_surrogate": _SURROGATE,
        "ten_megabytes": "x" * (10 << 20),
    }
    if request.fault in cell:
        touched = 1 if request.fault == "ten_megabytes" else len(rows)
        rows = [
            [*row[:place], cell[request.fault], *row[place + 1 :]] if number < touched else row
            for number, row in enumerate(rows)
        ]
    elif request.fault == "new_field" and field == "eps":
        names, rows = [*names, "brand_new"], [[*row, None] for row in rows]
    elif request.fault == "renamed_field":
        names = [f"{name}_v2" if name == field else name for name in names]
    elif request.fault == "missing_field":
        rows = [row[:place] + row[place + 1 :] for row in rows]
    elif request.fault == "duplicates":
        rows = [row for row in rows for _ in range(2)]
    elif request.fault == "disorder":
        rows = rows[::-1]
    return names, rows


def _written(content: dict[str, Any]) -> bytes:
    text = msgspec.json.encode(content)
    return text.replace(msgspec.json.encode(_NAN), b"NaN").replace(msgspec.json.encode(_SURROGATE), b'"\\ud800"')


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, msgspec.json.encode({"quandl_error": {"code": code, "message": message}}))


def _made_up_series(codes: Sequence[str], generator: Random, days: int) -> dict[str, list[Row]]:
    found = {}
    for code in codes:
        level, rows = 100.0, []
        for number in range(days):
            change = round(generator.gauss(0, 1), 4)
            level = round(level + change, 4)
            missing = generator.random() < 0.05
            rows.append([(date(2018, 1, 1) + timedelta(days=number)).isoformat(), None if missing else level, change])
        found[code] = rows
    return found


def _made_up_table(tickers: Sequence[str], generator: Random, quarters: int) -> list[Row]:
    rows = []
    for ticker in tickers:
        for number in range(quarters):
            period = date(2015 + number // 4, number % 4 * 3 + 1, 1) - timedelta(days=1)
            filed = period + timedelta(days=generator.randint(25, 60))
            revenue, eps = generator.randint(10**8, 10**11), round(generator.uniform(0, 9), 2)
            for dimension, key in (("ARQ", filed), ("MRQ", period)):
                days = (period, key, period, filed + timedelta(days=number % 3))
                rows.append([ticker, dimension, *(day.isoformat() for day in days), revenue, eps])
    return rows


def stand_in(
    *,
    symbols: Sequence[str] = _MADE_UP,
    seed: int = 7,
    faults: FaultScript = NO_FAULTS,
    series: dict[str, list[Row]] | None = None,
    rows: list[Row] | None = None,
    page_limit: int = 10_000,
) -> QuandlStandIn:
    """A local Nasdaq Data Link.

    Args:
        symbols: codes of time series (with a slash) and tickers of the table to make up; some where empty.
        seed: of what is made up.
        faults: what goes wrong.
        series: served instead: rows of Date, Value, Change for each code.
        rows: served instead: rows of the table, in its columns' order.
        page_limit: rows a page of the table at most, whatever is asked for.
    """
    generator = Random(seed)  # noqa: S311 - made-up values, no secrets
    codes = [symbol for symbol in symbols if "/" in symbol] or _MADE_UP
    tickers = [symbol for symbol in symbols if "/" not in symbol] or _TICKERS
    made_series = _made_up_series(codes, generator, 60) if series is None else series
    made_rows = _made_up_table(tickers, generator, 8) if rows is None else rows
    return QuandlStandIn(made_series, made_rows, faults=faults, page_limit=page_limit)
