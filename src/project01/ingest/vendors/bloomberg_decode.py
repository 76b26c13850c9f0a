"""Bloomberg's messages, in our JSON view of their elements, to records. Pure.

A message of the view has `eventType`, `messageType` and, put there by the session from what it asked, `topic` or
`security`; below them stand the elements under Bloomberg's own names. A market-data event holds **only the fields that
changed**; those of its pair that did not change stand in `merged`, as the session last saw them.

Times without a zone are UTC, which the session has written out. Trades and quotes are identified by what they say, so
that a trade from the stream and the same trade from the tick history are one record.
"""

import math
from collections.abc import Iterator
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from project01.domain import Bar, Fact, Quote, Record, Trade
from project01.ingest.decoding import Reason
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.bloomberg_news import figures
from project01.ingest.vendors.elements import (
    Origin,
    Prices,
    Refused,
    Tally,
    check_length,
    count,
    day,
    instant,
    listed,
    number,
    optional,
    price,
    read,
    session_end,
    shown,
    size,
    text,
)
from project01.ingest.vendors.frontier import at

Values = dict[str, object]
_SILENT = frozenset(
    ("SESSION_STATUS", "SERVICE_STATUS", "ADMIN", "TIMEOUT", "REQUEST_STATUS", "AUTHORIZATION_STATUS", "TOKEN_STATUS")
)
_NEW_YORK = ZoneInfo("America/New_York")
_NO_SECURITY = frozenset(("BAD_SEC", "INVALID_SECURITY_IDENTIFIER"))
_MOST_MINUTES = 1440
_ROUNDING = 1e-6
# What tells of a company's numbers as a whole and is no number itself.
CONTEXT_FIELDS = ("LATEST_PERIOD_END_DT_FULL_RECORD", "EQY_FUND_CRNCY")


# msgspec takes no optional raw parts.
ABSENT = msgspec.Raw(b"null")


class Message(msgspec.Struct, frozen=True):
    """One message of the view; the parts a message does not have are null."""

    eventType: str = ""  # noqa: N815 - Bloomberg's names, here and below
    messageType: str = ""  # noqa: N815
    topic: str | None = None
    security: str | None = None
    interval: int | None = None
    fetchedAt: str | None = None  # noqa: N815
    fields: Values | None = None
    merged: Values | None = None
    reason: Values | None = None
    responseError: msgspec.Raw = ABSENT  # noqa: N815
    securityData: msgspec.Raw = ABSENT  # noqa: N815
    barData: msgspec.Raw = ABSENT  # noqa: N815
    tickData: msgspec.Raw = ABSENT  # noqa: N815


class SecurityData(msgspec.Struct, frozen=True):
    """Part of a historical or reference answer that belongs to one security."""

    security: str
    fieldData: msgspec.Raw = ABSENT  # noqa: N815
    fieldExceptions: msgspec.Raw = ABSENT  # noqa: N815
    securityError: msgspec.Raw = ABSENT  # noqa: N815


class _Bars(msgspec.Struct, frozen=True):
    barTickData: msgspec.Raw  # noqa: N815


class _Ticks(msgspec.Struct, frozen=True):
    tickData: msgspec.Raw  # noqa: N815


def decode(origin: Origin, dataset: str, payload: bytes, received_at: int) -> Decoded:
    """Records of one message of the view; any bytes give a result."""
    tally = Tally(origin, dataset, received_at)
    try:
        _message(tally, read(payload, Message), payload)
    except Refused as refused:
        tally.refuse(refused, payload)
    return tally.decoded()


def _message(tally: Tally, message: Message, payload: bytes) -> None:
    if message.responseError != ABSENT:
        detail = f"the answer is an error: {shown(bytes(message.responseError))}"
        tally.refuse(Refused(Reason.ERROR_BODY, detail), payload)
    elif message.eventType in _SILENT:
        tally.silent()
    elif message.eventType == "SUBSCRIPTION_STATUS":
        _subscription(tally, message, payload)
    elif message.eventType == "SUBSCRIPTION_DATA":
        tally.element(payload, _event, tally, message, payload)
    elif message.tickData != ABSENT:
        _ticks(tally, message, message.tickData)
    elif message.barData != ABSENT:
        _bars(tally, message, message.barData)
    elif message.securityData != ABSENT:
        _securities(tally, message)
    else:
        raise Refused(Reason.SCHEMA, f"event type {shown(message.eventType)!r} with no part that is known")


def _symbol(tally: Tally, security: str | None) -> str:
    if not security:
        raise Refused(Reason.MISSING_SYMBOL, "no security; expected one such as IBM US Equity")
    found = tally.origin.symbols.ours(security, "bloomberg") if len(security) <= 64 else None
    if found is None:
        raise Refused(Reason.UNKNOWN_SYMBOL, f"{shown(security)!r} is no share listed in the United States")
    return found


def _around(whole: Values) -> tuple[bytes, bytes]:
    """What stands before and after an element, 0 here, in a whole message."""
    before, _, after = msgspec.json.encode({"eventType": "RESPONSE"} | whole).rpartition(b"0")
    return before, after


def _subscription(tally: Tally, message: Message, payload: bytes) -> None:
    if message.messageType != "SubscriptionFailure":
        tally.silent()
        return
    reason = message.reason or {}
    code = Reason.UNKNOWN_SYMBOL if reason.get("category") in _NO_SECURITY else Reason.ERROR_BODY
    detail = (
        f"no subscription to {shown(message.topic)}: {shown(reason.get('category'))} {shown(reason.get('description'))}"
    )
    tally.refuse(Refused(code, detail), payload)


def _event(tally: Tally, message: Message, payload: bytes) -> Iterator[Record]:
    fields, merged = message.fields or {}, message.merged or {}
    kind = fields.get("MKTDATA_EVENT_TYPE")
    symbol = _symbol(tally, message.topic)
    if kind == "TRADE":
        row = {
            "value": fields.get("LAST_PRICE", merged.get("LAST_PRICE")),
            "size": fields.get("SIZE_LAST_TRADE", merged.get("SIZE_LAST_TRADE")),
            "time": fields.get("TRADE_UPDATE_STAMP_RT"),
            "tradeId": fields.get("EVT_TRADE_IDENTIFIER_RT"),
            "conditionCodes": fields.get("EVT_TRADE_CONDITION_CODE_RT"),
            "exchangeCode": fields.get("EXCH_CODE_LAST"),
            "occurrence": fields.get("occurrence"),
            "action": fields.get("MKTDATA_EVENT_SUBTYPE"),
        }
        yield _trade(tally, symbol, row, payload)
    elif kind == "QUOTE":
        for side in ("BID", "ASK"):
            if fields.get(side) is None and fields.get(f"{side}_SIZE") is None:
                continue
            row = {
                "value": fields.get(side, merged.get(side)),
                "size": fields.get(f"{side}_SIZE", merged.get(f"{side}_SIZE")),
                "time": fields.get(f"{side}_UPDATE_STAMP_RT"),
            }
            yield _quote(tally, symbol, side, row, payload)
    elif kind not in ("SUMMARY", "MARKETDEPTH"):
        raise Refused(Reason.SCHEMA, f"MKTDATA_EVENT_TYPE is {shown(repr(kind))}; expected TRADE, QUOTE or SUMMARY")


_ACTIONS: dict[object, Literal["new", "cancel", "correct"]] = {
    None: "new", "NEW": "new", "CANCEL": "cancel", "CORRECTION": "correct",
}  # fmt: skip


def _trade(tally: Tally, symbol: str, row: Values, raw: bytes) -> Trade:
    when = instant("time", row.get("time"), tally.received_at)
    paid, shares = price("price", row.get("value")), size("size", row.get("size"))
    action = _ACTIONS.get(row.get("action")) if isinstance(row.get("action"), str | None) else None
    if action is None:
        raise Refused(Reason.SCHEMA, f"MKTDATA_EVENT_SUBTYPE of a trade is {shown(repr(row.get('action')))}")
    identity = _trade_id(symbol, when, paid, shares, row)
    if action != "new" and not row.get("tradeId"):
        raise Refused(Reason.SCHEMA, f"a {action} that names no trade; expected EVT_TRADE_IDENTIFIER_RT")
    conditions = row.get("conditionCodes")
    exchange = row.get("exchangeCode")
    return Trade(
        **tally.common(identity if action == "new" else f"{identity}:{action}:{when}", when, raw, symbol=symbol),
        price=paid,
        size=shares,
        exchange=exchange[:16] if isinstance(exchange, str) else None,
        conditions=tuple(conditions[:64].split(",")) if isinstance(conditions, str) and conditions else (),
        action=action,
        refers_to=None if action == "new" else identity,
    )


def _trade_id(symbol: str, when: int, paid: float, shares: float, row: Values) -> str:
    """Bloomberg's id where there is one; else what the trade says, and which of its equals it is."""
    named = row.get("tradeId")
    if named is not None and named != "":
        return f"{symbol}:T:{at(when):%Y%m%d}:{text('trade id', named)[:64]}"
    return f"{symbol}:T:{when}:{paid!r}:{shares!r}:{count(row.get('occurrence')) or 0}"


def _quote(tally: Tally, symbol: str, side: str, row: Values, raw: bytes) -> Quote:
    stamp = row.get("time")
    when = tally.received_at if stamp is None else instant("time", stamp, tally.received_at)
    offered, shares = price(side, row.get("value")), optional(size, f"{side}_SIZE", row.get("size"))
    common = tally.common(f"{symbol}:{side[0]}:{when}:{offered!r}:{shares!r}", when, raw, symbol=symbol)
    if side == "BID":
        return Quote(**common, bid=offered, bid_size=shares)
    return Quote(**common, ask=offered, ask_size=shares)


def _ticks(tally: Tally, message: Message, data: msgspec.Raw) -> None:
    symbol = _symbol(tally, message.security)
    around = _around({"security": message.security, "tickData": {"tickData": [0]}})
    for raw in listed(bytes(read(bytes(data), _Ticks).tickData)):
        tally.element(bytes(raw), _tick, tally, symbol, bytes(raw), symbol=symbol, around=around)


def _tick(tally: Tally, symbol: str, raw: bytes) -> Iterator[Record]:
    row = read(raw, Values)
    kind = row.get("type")
    if kind == "TRADE":
        yield _trade(tally, symbol, row, raw)
    elif kind in ("BID", "ASK"):
        yield _quote(tally, symbol, str(kind), row, raw)
    else:
        raise Refused(Reason.SCHEMA, f"type of a tick is {shown(repr(kind))}; expected TRADE, BID or ASK")


def _bars(tally: Tally, message: Message, data: msgspec.Raw) -> None:
    symbol = _symbol(tally, message.security)
    minutes = message.interval
    if minutes is None or not 1 <= minutes <= _MOST_MINUTES:
        raise Refused(Reason.SCHEMA, f"interval is {shown(minutes)}; expected 1 to {_MOST_MINUTES} minutes")
    around = _around({"security": message.security, "interval": minutes, "barData": {"barTickData": [0]}})
    for raw in listed(bytes(read(bytes(data), _Bars).barTickData)):
        tally.element(bytes(raw), _bar, tally, symbol, minutes, bytes(raw), symbol=symbol, around=around)


def _bar(tally: Tally, symbol: str, minutes: int, raw: bytes) -> Iterator[Bar]:
    row = read(raw, Values)
    start = instant("time", row.get("time"), tally.received_at)
    end = start + minutes * 60_000_000
    if end > tally.received_at:
        raise Refused(Reason.IN_FUTURE, "the bar was not over when it was received")
    prices = Prices.of(row)
    turnover = optional(number, "value", row.get("value"))
    yield Bar(
        **tally.common(f"{symbol}:{minutes}m:{end}", end, raw, symbol=symbol),
        interval=f"{minutes}m",
        session=f"{at(start).astimezone(_NEW_YORK):%Y-%m-%d}",
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        volume=prices.volume,
        vwap=_average(turnover, prices),
        trades=count(row.get("numEvents")),
    )


def _average(turnover: float | None, prices: Prices) -> float | None:
    """Turnover by volume; None where it cannot be, as the two are then not of the same trades."""
    if not turnover or not prices.volume:
        return None
    found = turnover / prices.volume
    low, high = prices.low or 0.0, math.inf if prices.high is None else prices.high
    return found if math.isfinite(found) and low * (1 - _ROUNDING) <= found <= high * (1 + _ROUNDING) else None


def _securities(tally: Tally, message: Message) -> None:
    """A historical answer has one security with rows by date, a reference answer several with one row each."""
    raw = bytes(message.securityData)
    items = listed(raw) if raw.lstrip().startswith(b"[") else [message.securityData]
    for item in items:
        try:
            _security(tally, read(bytes(item), SecurityData), message.fetchedAt)
        except Refused as refused:
            tally.refuse(refused, bytes(item).join(_around({"securityData": 0})))


def _security(tally: Tally, found: SecurityData, fetched_at: str | None) -> None:
    if found.securityError != ABSENT:
        error = bytes(found.securityError)
        around = _around({"securityData": {"security": found.security, "securityError": 0}})
        tally.refuse(Refused(Reason.UNKNOWN_SYMBOL, f"{shown(found.security)}: {shown(error)}"), error.join(around))
    for raw in listed(bytes(found.fieldExceptions)):
        around = _around({"securityData": {"security": found.security, "fieldExceptions": [0]}})
        refused = Refused(Reason.ERROR_BODY, f"{shown(found.security)}: {shown(bytes(raw))}")
        tally.refuse(refused, bytes(raw).join(around))
    if found.fieldData == ABSENT:
        return
    symbol = _symbol(tally, found.security)
    data = bytes(found.fieldData)
    if data.lstrip().startswith(b"["):
        around = _around({"securityData": {"security": found.security, "fieldData": [0]}})
        make = figures if tally.dataset == "news_analytics" else _daily
        for row in listed(data):
            tally.element(bytes(row), make, tally, symbol, bytes(row), symbol=symbol, around=around)
    else:
        _facts(tally, symbol, found.security, read(data, Values), fetched_at)


def _daily(tally: Tally, symbol: str, raw: bytes) -> Iterator[Bar]:
    row = read(raw, Values)
    session = day("date", row.get("date"))
    end = session_end("date", session, tally.received_at)
    names = {"open": "PX_OPEN", "high": "PX_HIGH", "low": "PX_LOW", "close": "PX_LAST", "volume": "PX_VOLUME"}
    prices = Prices.of({ours: row.get(theirs) for ours, theirs in names.items()})
    yield Bar(
        **tally.common(f"{symbol}:1d:{session}", end, raw, symbol=symbol),
        interval="1d",
        session=session.isoformat(),
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        volume=prices.volume,
    )


def _facts(tally: Tally, symbol: str, security: str, values: Values, fetched_at: str | None) -> None:
    around = _around({"fetchedAt": fetched_at, "securityData": [{"security": security, "fieldData": 0}]})
    check_length(len(values))
    for name, value in values.items():
        if name in CONTEXT_FIELDS:
            continue
        raw = msgspec.json.encode({name: value} | {k: values[k] for k in CONTEXT_FIELDS if k in values})
        tally.element(raw, _fact, tally, symbol, name, values, fetched_at, raw, symbol=symbol, around=around)


def _fact(tally: Tally, symbol: str, name: str, values: Values, fetched_at: str | None, raw: bytes) -> Iterator[Fact]:
    """A number as of now. It may hold restatements of any time, so it is known when it is fetched and never before."""
    known = instant("fetchedAt", fetched_at, tally.received_at)
    fetched = at(known).date()
    given = values.get(CONTEXT_FIELDS[0])
    period_end = fetched if given is None else day(CONTEXT_FIELDS[0], given)
    if period_end > fetched:
        raise Refused(Reason.IN_FUTURE, f"the period ends on {period_end}, after the number was fetched")
    currency = values.get(CONTEXT_FIELDS[1])
    concept = text("field", name)[:128]
    yield Fact(
        # One a day: a number that changes and changes back is three facts.
        **tally.common(f"{symbol}:{concept}:{period_end}:{fetched}", known, raw, symbol=symbol),
        concept=concept,
        period_end=period_end.isoformat(),
        value=number(name[:64], values[name]),
        unit=currency[:16] if isinstance(currency, str) and currency else "unknown",
    )
