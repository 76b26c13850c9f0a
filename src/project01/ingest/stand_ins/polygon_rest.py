"""The HTTP side of Polygon's stand-in: what has been published up to now, in pages, as the vendor's API has it."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from project01.ingest.stand_ins import Reply, Request, drift
from project01.ingest.stand_ins.polygon_market import Event, longer_bars
from project01.ingest.stand_ins.polygon_reference import ReferenceData, Row

_UNIT_MS = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_NANOSECONDS = 1_000_000
# Most results of a page, whatever limit is asked for: small, so that there are several pages.
_PAGE, _REFERENCE_PAGE = 60, 5
# What content faults do their work on, by the part of the address.
_TOUCHED = {
    "aggs": "c", "trades": "price", "quotes": "bid_price", "splits": "split_to", "dividends": "cash_amount",
    "tickers": "ticker", "news": "title", "marketstatus": "status",
}  # fmt: skip


class PolygonApi:
    """Answers requests.

    Args:
        key: the only one accepted.
        published: all events up to now, in order of time.
        reference: everything but ticks.
    """

    def __init__(self, key: str, published: Callable[[], Iterable[Event]], reference: ReferenceData) -> None:
        self._key, self._published, self._reference = key, published, reference
        self.address = ""

    def answer(self, request: Request) -> Reply:
        """The reply to one request, with the content fault that the script asks for."""
        if request.headers.get("authorization") != f"Bearer {self._key}" and request.first("apiKey") != self._key:
            return _json({"status": "ERROR", "request_id": "simulated", "error": "Unknown API Key"}, 401)
        if request.fault == "error_body_200":
            return _json({"status": "ERROR", "request_id": "simulated", "error": "An internal error occurred"})
        query = {name: values[0] for name, values in request.query.items()}
        place: dict[str, Any] = {"from": 0}
        if "cursor" in query:
            place = json.loads(base64.urlsafe_b64decode(query["cursor"]))
            query = place["query"]
        body = self._body(request.path, query, place, request.fault)
        if body is None:
            return _json({"status": "NOT_FOUND", "request_id": "simulated", "message": "Not found"}, 404)
        found = _json(body)
        field = next((name for part, name in _TOUCHED.items() if part in request.path), "")
        if request.fault not in {None, "duplicates"}:
            return Reply(200, drift(request.fault, found.body, field), found.headers)
        return found

    def _body(self, path: str, query: Mapping[str, str], place: dict[str, Any], fault: str | None) -> Any:
        parts = path.strip("/").split("/")
        if path == "/v1/marketstatus/upcoming":
            return self._reference.holidays()
        if parts[1:3] == ["reference", "tickers"] and len(parts) > 3:
            found = self._one(parts[3], events=parts[-1] == "events")
            return None if found is None else {"results": found, "status": "OK", "request_id": "simulated"}
        more: dict[str, Any] = {}
        if parts[:2] == ["v2", "aggs"]:
            rows = self._bars(parts[3], int(parts[5]) * _UNIT_MS[parts[6]], int(parts[7]), int(parts[8]))
            more = {"ticker": parts[3], "adjusted": query.get("adjusted", "true") == "true", "queryCount": len(rows)}
        elif parts[1] in {"trades", "quotes"}:
            rows = self._ticks("T" if parts[1] == "trades" else "Q", parts[2], query)
        elif parts[1] == "reference":
            rows = self._reference_rows(parts[-1], query)
        else:
            return None
        size = _REFERENCE_PAGE if parts[1] == "reference" else _PAGE
        return self._page(path, query, place, fault, rows, size) | more

    def _one(self, ticker: str, *, events: bool) -> Row | None:
        row = next((row for row in self._reference.tickers() if row["ticker"] == ticker), None)
        return self._reference.events(ticker) if events and row is not None else row

    def _reference_rows(self, kind: str, query: Mapping[str, str]) -> list[Row]:
        rows_of, field = {
            "splits": (self._reference.splits, "execution_date"),
            "dividends": (self._reference.dividends, "ex_dividend_date"),
            "news": (self._reference.news, "published_utc"),
            "tickers": (self._reference.tickers, "ticker"),
        }[kind]
        return [row for row in rows_of() if _matches(row, field, query)]

    def _bars(self, ticker: str, length_ms: int, first: int, last: int) -> list[Row]:
        seconds = (event for event in self._published() if event["ev"] == "A" and event["sym"] == ticker)
        bars: Iterable[Event] = seconds if length_ms == 1000 else longer_bars(seconds, length_ms)
        return [
            {name: bar[name] for name in ("v", "vw", "o", "c", "h", "l", "n") if name in bar} | {"t": bar["s"]}
            for bar in bars
            if first <= bar["s"] <= last
        ]

    def _ticks(self, kind: str, ticker: str, query: Mapping[str, str]) -> list[Row]:
        first, end = int(query.get("timestamp.gte", 0)), int(query.get("timestamp.lt", 2**63))
        form = _past_trade if kind == "T" else _past_quote
        rows = [form(event) for event in self._published() if event["ev"] == kind and event["sym"] == ticker]
        return sorted(
            (row for row in rows if first <= row["sip_timestamp"] < end), key=lambda row: row["sip_timestamp"]
        )

    def _page(
        self,
        path: str,
        query: Mapping[str, str],
        place: dict[str, Any],
        fault: str | None,
        rows: Sequence[Row],
        size: int,
    ) -> dict[str, Any]:
        """One page, with the address of the next; page faults strike where there is a page after it."""
        size = min(size, int(query.get("limit", size)))
        first = place["from"]
        after = place.get("then", first + size)
        if first + size < len(rows):
            if fault == "wrong_page_order":
                first, after, then = first + size, first, first + size
                return self._envelope(path, query, rows[first : first + size], {"from": after, "then": then})
            if fault in {"looping_cursor", "duplicates"}:
                again = {"from": first, "again": True} if fault == "duplicates" else place
                return self._envelope(path, query, rows[first : first + size], again)
        following = {"from": after} if after < len(rows) else None
        return self._envelope(path, query, rows[first : first + size], following)

    def _envelope(
        self, path: str, query: Mapping[str, str], rows: Sequence[Row], following: dict[str, Any] | None
    ) -> dict[str, Any]:
        envelope: dict[str, Any] = {"status": "OK", "request_id": "simulated"}
        if rows:
            envelope["results"] = rows
        if path.startswith("/v2/aggs"):
            envelope |= {"resultsCount": len(rows), "count": len(rows)}
        if following is not None:
            token = json.dumps({**following, "query": dict(query)}).encode()
            envelope["next_url"] = f"{self.address}{path}?cursor={base64.urlsafe_b64encode(token).decode()}"
        return envelope


def _matches(row: Row, field: str, query: Mapping[str, str]) -> bool:
    ticker = query.get("ticker")
    if ticker is not None and ticker not in {row.get("ticker"), *row.get("tickers", ())}:
        return False
    value = row[field]
    return query.get(f"{field}.gte", "") <= value and not value >= query.get(f"{field}.lt", "~")


def _past_trade(event: Event) -> Row:
    row: Row = {
        "id": event["i"], "exchange": event["x"], "tape": event["z"], "price": event["p"], "size": event["s"],
        "conditions": event["c"], "sequence_number": event["q"],
        # The API gives more digits than the socket.
        "sip_timestamp": event["t"] * _NANOSECONDS + 123_456,
    }  # fmt: skip
    if "pt" in event:
        row["participant_timestamp"] = event["pt"] * _NANOSECONDS + 654_321
    if "trfi" in event:
        row |= {"trf_id": event["trfi"], "trf_timestamp": event["trft"] * _NANOSECONDS}
    return row


def _past_quote(event: Event) -> Row:
    row: Row = {
        "bid_exchange": event["bx"], "bid_price": event["bp"], "bid_size": event["bs"], "ask_exchange": event["ax"],
        "ask_price": event["ap"], "ask_size": event["as"], "conditions": [event["c"]], "sequence_number": event["q"],
        "tape": event["z"], "sip_timestamp": event["t"] * _NANOSECONDS + 123_456,
    }  # fmt: skip
    if "pt" in event:
        row["participant_timestamp"] = event["pt"] * _NANOSECONDS + 654_321
    return row


def _json(body: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
