"""Tables of the stand-in for LSEG: bars, ticks, numbers of companies, headlines."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from project01.domain import trading_calendar
from project01.ingest.stand_ins.faults import FaultScript
from project01.ingest.stand_ins.lseg_sdk import LDError
from project01.ingest.stand_ins.tape import Tape, bar, hash_of

_MINUTES = {"1min": 1, "5min": 5, "10min": 10, "30min": 30, "1h": 60}
_ERRORS = {
    "401": (401, "Unauthorized"),
    "403": (403, "Access Denied. Scopes required to access the resource"),
    "429_seconds": (429, "Too many requests"),
    "429_date": (429, "Too many requests"),
    "500": (500, "Internal Server Error"),
    "503": (503, "Service Unavailable"),
    "error_body_200": (2504, "Backend error. Request timed out"),
    "refused": (None, "Connection refused"),
    "half_message": (None, "Peer closed connection without sending complete message body"),
}
_STORY_EVERY = timedelta(hours=6)


class LsegTables:
    """What is known about the made-up market.

    Args:
        tape: its prints.
        rics: our symbols by LSEG's names.
        seed: of bars, numbers and texts.
        faults: what goes wrong.
    """

    def __init__(self, tape: Tape, rics: Mapping[str, str], seed: int, faults: FaultScript) -> None:
        self._tape, self._rics, self._seed = tape, rics, seed
        self.faults = faults

    def history(self, ric: str, interval: str, start: str, end: str, count: int) -> pd.DataFrame:
        """Rows of bars or ticks, stamped with their ends, the newest `count` of them."""
        kind = self._trouble("history")
        symbol = self._symbol(ric)
        first, last = _utc(start), _utc(end)
        if interval == "tick":
            rows = self._ticks(symbol, first, last)
        elif interval == "daily":
            rows = self._days(symbol, first.date(), last.date())
        else:
            rows = self._bars(symbol, timedelta(minutes=_MINUTES[interval]), first, last)
        return _frame(_changed(rows[-count:], kind), "Timestamp")

    def data(self, ric: str, fields: Sequence[str], parameters: dict[str, str]) -> pd.DataFrame:
        """A number for each year, or an estimate for each day, with what belongs to it."""
        kind = self._trouble("data")
        symbol = self._symbol(ric)
        first, last = date.fromisoformat(parameters["SDate"]), date.fromisoformat(parameters["EDate"])
        rows: list[dict[str, Any]] = []
        if parameters["Frq"] == "D":
            for session in trading_calendar().sessions_between(first, last):
                computed: date = session.item()
                rows.append(self._number(symbol, fields, computed.year, computed))
        else:
            rows = [
                self._number(symbol, fields, year, None)
                for year in range(first.year, last.year + 1)
                if first <= date(year, 12, 31) <= last
            ]
        found = [{"Instrument": ric} | row for row in _changed(rows, kind)]
        return pd.DataFrame(found) if found else pd.DataFrame()

    def headlines(self, query: str, count: int, start: str, end: str) -> pd.DataFrame:
        """Stories of an instrument, the newest first, at most `count`."""
        kind = self._trouble("headlines")
        symbol = self._symbol(query.removeprefix("R:"))
        first, last = _utc(start), min(_utc(end), self._tape.clock.now())
        place = first.replace(hour=0, minute=0, second=0, microsecond=0)
        rows: list[dict[str, Any]] = []
        while place <= last:
            when = place + timedelta(minutes=hash_of(self._seed, symbol, place.isoformat()) % 300)
            if first <= when <= last:
                number = hash_of(self._seed, symbol, when.isoformat()) % 10**9
                story = f"urn:newsml:stand-in:{when:%Y%m%d}:n{number}:1"
                told = f"Made-up story {number} about ${symbol}"
                rows.append({"versionCreated": when.replace(tzinfo=None), "headline": told} | {"storyId": story})
                rows[-1]["sourceCode"] = "NS:SIM"
            place += _STORY_EVERY
        newest_first = sorted(rows, key=lambda row: row["versionCreated"], reverse=True)[:count]
        return _frame(_changed(newest_first, kind), "versionCreated")

    def _trouble(self, path: str) -> str:
        fault = self.faults.next_for_request(path)
        if fault is None:
            return ""
        if fault.kind == "pause":
            time.sleep(fault.seconds)
        if fault.kind in _ERRORS:
            raise LDError(*_ERRORS[fault.kind])
        return fault.kind

    def _symbol(self, ric: str) -> str:
        if ric not in self._rics:
            raise LDError(None, f"TS.Interday.UserRequestError.70005 | The universe is not found: {ric}")
        return self._rics[ric]

    def _ticks(self, symbol: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
        rows = []
        for found in self._tape.until_now():
            if found.symbol == symbol and first <= found.when < last:
                row: dict[str, Any] = {"Date": found.when.replace(tzinfo=None)}
                if found.kind == "TRADE":
                    told = {"EVENT_TYPE": "trade", "TRDPRC_1": found.price, "TRDVOL_1": found.size}
                    rows.append(row | told | {"SEQNUM": found.number})
                else:
                    told = {"EVENT_TYPE": "quote", found.kind: found.price, f"{found.kind}SIZE": found.size}
                    rows.append(row | told)
        return rows

    def _bars(self, symbol: str, step: timedelta, first: datetime, last: datetime) -> list[dict[str, Any]]:
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        end = midnight + -((midnight - first) // step) * step
        rows: list[dict[str, Any]] = []
        while end <= min(last, self._tape.clock.now()):
            rows.append({"Date": end.replace(tzinfo=None)} | self._prices(symbol, end))
            end += step
        return rows

    def _days(self, symbol: str, first: date, last: date) -> list[dict[str, Any]]:
        sessions = trading_calendar().sessions_between(first, last)
        return [{"Date": session.item()} | self._prices(symbol, session.item()) for session in sessions]

    def _prices(self, symbol: str, start: datetime | date) -> dict[str, Any]:
        made = bar(self._seed, symbol, start)
        prices = {"OPEN_PRC": made.open, "HIGH_1": made.high, "LOW_1": made.low, "TRDPRC_1": made.close}
        return prices | {"ACVOL_UNS": made.volume, "NUM_MOVES": 1 + made.volume // 100}

    def _number(self, symbol: str, fields: Sequence[str], year: int, computed: date | None) -> dict[str, Any]:
        field = fields[0].upper()
        value = round(hash_of(self._seed, symbol, field, year, computed) % 10_000 / 7, 4)
        row: dict[str, Any] = {field: value, f"{field}.PERIODENDDATE": pd.Timestamp(year, 12, 31)}
        row |= {f"{field}.FPERIOD": f"FY{year}", f"{field}.CURRENCY": "USD"}
        if computed is not None:
            # What is computed is about the year that runs, which may end later.
            row |= {f"{field}.CALCDATE": pd.Timestamp(computed)}
        return row


def _frame(rows: list[dict[str, Any]], index: str) -> pd.DataFrame:
    """Rows as the library gives them: their times as the index."""
    if not rows:
        return pd.DataFrame()
    name = "Date" if "Date" in rows[0] else "versionCreated"
    frame = pd.DataFrame([{key: value for key, value in row.items() if key != name} for row in rows])
    frame.index = pd.Index(pd.to_datetime([row[name] for row in rows]), name=index)
    with np.errstate(invalid="ignore"):  # pandas looks whether an infinite number is a whole one
        return frame.convert_dtypes()


def _changed(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The fault of content done to the rows."""
    told = ("TRDPRC_1", "BID", "ASK", "headline")

    def is_told(name: str) -> bool:
        return name in told or (name.startswith("TR.") and name.count(".") == 1)

    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "new_field": lambda row: row | {"BRAND_NEW": 1},
        "renamed_field": lambda row: {f"{k}_V2" if is_told(k) else k: v for k, v in row.items()},
        "missing_field": lambda row: {k: v for k, v in row.items() if not is_told(k)},
        "retyped_field": lambda row: {k: "" if is_told(k) else v for k, v in row.items()},
        "not_a_number": lambda row: {k: float("inf") if is_told(k) else v for k, v in row.items()},
        "lone_surrogate": lambda row: {k: "\ud800" if is_told(k) else v for k, v in row.items()},
        "ten_megabytes": lambda row: {k: "x" * (10 << 20) if is_told(k) else v for k, v in row.items()},
    }
    if kind == "duplicates":
        return [row for row in rows for _ in range(2)]
    if kind == "disorder":
        return rows[::-1]
    change = changes.get(kind)
    if change is None or not rows:
        return rows
    # Ten megabytes are put into the first row only.
    return [change(rows[0]), *rows[1:]] if kind == "ten_megabytes" else [change(row) for row in rows]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
