"""LSEG's tables and updates, in our JSON view of them, to records. Pure.

The view of a table is what was asked (`rics`, `interval`, `concept`, ...) and its rows, each an object with the table's
index under `Date` or `versionCreated` and the columns under LSEG's names; missing values are left out. The view of a
streamed update has `ric`, `type` and `fields`: **only those that changed**; those of its pair that did not stand in
`merged`, as the session last saw them. Times without a zone are UTC.

Bars within a day are stamped with their end, as the service labels its periods by default.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from project01.domain import Bar, Fact, NewsItem, Quote, Record, Trade
from project01.ingest.decoding import Reason, micros_of
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.elements import (
    Origin,
    Prices,
    Refused,
    Tally,
    count,
    day,
    instant,
    listed,
    not_later,
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
INTERVALS = {"daily": "1d", "1min": "1m", "5min": "5m", "10min": "10m", "30min": "30m", "1h": "1h"}
TICK_INTERVAL = "tick"
# The library calls the columns one way, its predecessor called them another.
_COLUMNS = {
    "open": ("OPEN_PRC", "OPEN"),
    "high": ("HIGH_1", "HIGH"),
    "low": ("LOW_1", "LOW"),
    "close": ("TRDPRC_1", "CLOSE"),
    "volume": ("ACVOL_UNS", "VOLUME"),
}
_NEW_YORK = ZoneInfo("America/New_York")
_DAY = 86_400_000_000
# How the library says that it does not know an instrument.
NOT_FOUND = ("NotFound", "not found", "Invalid RIC", "universe is not", "Unable to resolve")
# msgspec takes no optional raw parts.
_NONE = msgspec.Raw(b"null")


class View(msgspec.Struct, frozen=True):
    """What was asked, and the answer: a table, an update of a stream, or an error."""

    rics: tuple[str, ...] = ()
    interval: str | None = None
    concept: str | None = None
    field: str | None = None
    fetchedAt: str | None = None  # noqa: N815 - as in Bloomberg's view
    data: msgspec.Raw = _NONE
    headlines: msgspec.Raw = _NONE
    ric: str | None = None
    type: str | None = None
    fields: Values | None = None
    merged: Values | None = None
    error: Values | None = None


def decode(origin: Origin, dataset: str, payload: bytes, received_at: int) -> Decoded:
    """Records of one view; any bytes give a result."""
    tally = Tally(origin, dataset, received_at)
    try:
        _view(tally, dataset, read(payload, View), payload)
    except Refused as refused:
        tally.refuse(refused, payload)
    return tally.decoded()


def _view(tally: Tally, dataset: str, view: View, payload: bytes) -> None:
    if view.error is not None:
        told = f"{view.error.get('code')} {view.error.get('message')}"
        reason = Reason.UNKNOWN_SYMBOL if any(mark in told for mark in NOT_FOUND) else Reason.ERROR_BODY
        raise Refused(reason, f"{shown(', '.join(view.rics) or view.ric)}: {shown(told)}")
    if view.ric is not None:
        if view.type == "Update":
            tally.element(payload, _update, tally, _symbol(tally, view.ric), view, payload)
        elif view.type in ("Refresh", "Status"):
            tally.silent()  # the present values, which are no events
        else:
            raise Refused(Reason.SCHEMA, f"type is {shown(repr(view.type))}; expected Update, Refresh or Status")
        return
    if len(view.rics) != 1:
        raise Refused(Reason.MISSING_SYMBOL, f"{len(view.rics)} instruments; expected one, such as AAPL.O")
    _table(tally, dataset, view)


def _table(tally: Tally, dataset: str, view: View) -> None:
    symbol = _symbol(tally, view.rics[0])
    makers: dict[str, Callable[..., Iterator[Record]]] = {
        "bars": _bar,
        "pricing": _tick,
        "fundamentals": _fact,
        "estimates": _fact,
        "news": _headline,
    }
    asked: Values = {"rics": view.rics}
    for name in ("interval", "concept", "field", "fetchedAt"):
        if (value := getattr(view, name)) is not None:
            asked[name] = value
    rows = "headlines" if dataset == "news" else "data"
    before, _, after = msgspec.json.encode(asked | {rows: [0]}).rpartition(b"0")
    for raw in listed(bytes(view.headlines if dataset == "news" else view.data)):
        row = bytes(raw)
        tally.element(row, makers[dataset], tally, symbol, view, row, symbol=symbol, around=(before, after))


def _symbol(tally: Tally, ric: str) -> str:
    found = tally.origin.symbols.ours(ric, "ric") if len(ric) <= 64 else None
    if found is None:
        raise Refused(Reason.UNKNOWN_SYMBOL, f"{shown(repr(ric))} is no share listed in the United States")
    return found


def _bar(tally: Tally, symbol: str, view: View, raw: bytes) -> Iterator[Bar]:
    interval = INTERVALS.get(view.interval or "")
    if interval is None:
        raise Refused(
            Reason.SCHEMA, f"interval is {shown(repr(view.interval))}; expected one of {', '.join(INTERVALS)}"
        )
    row = read(raw, Values)
    if interval == "1d":
        session = day("Date", row.get("Date"))
        end, identity = session_end("Date", session, tally.received_at), str(session)
    else:
        end = instant("Date", row.get("Date"), tally.received_at)
        session, identity = (at(end) - timedelta(microseconds=1)).astimezone(_NEW_YORK).date(), str(end)
        if end > tally.received_at:
            raise Refused(Reason.IN_FUTURE, "the bar was not over when it was received")
    prices = Prices.of({ours: _first(row, names) for ours, names in _COLUMNS.items()})
    yield Bar(
        **tally.common(f"{symbol}:{interval}:{identity}", end, raw, symbol=symbol),
        interval=interval,
        session=session.isoformat(),
        open=prices.open,
        high=prices.high,
        low=prices.low,
        close=prices.close,
        volume=prices.volume,
        vwap=optional(price, "VWAP", row.get("VWAP")),
        trades=count(_first(row, ("NUM_MOVES", "COUNT"))),
    )


def _first(row: Values, names: tuple[str, ...]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _tick(tally: Tally, symbol: str, view: View, raw: bytes) -> Iterator[Record]:
    """One event of the tick history: a trade, or a quote with the sides that it tells."""
    if view.interval != TICK_INTERVAL:
        raise Refused(Reason.SCHEMA, f"interval is {shown(repr(view.interval))}; expected {TICK_INTERVAL}")
    row = read(raw, Values)
    when = instant("Date", row.get("Date"), tally.received_at)
    kind = str(row.get("EVENT_TYPE")).lower()
    if kind == "trade":
        yield _trade(tally, symbol, when, row, raw)
    elif kind == "quote":
        yield from _sides(tally, symbol, when, row, raw)
    else:
        raise Refused(Reason.SCHEMA, f"EVENT_TYPE is {shown(kind)!r}; expected trade or quote")


def _update(tally: Tally, symbol: str, view: View, raw: bytes) -> Iterator[Record]:
    """A streamed update; it may tell of a trade and a quote at once."""
    changed, merged = view.fields or {}, view.merged or {}
    row = merged | changed
    if any(changed.get(name) is not None for name in ("TRDPRC_1", "TRDVOL_1", "SALTIM_MS")):
        yield _trade(tally, symbol, _moment(tally, row, "TRADE_DATE", "SALTIM_MS"), row, raw)
    sides = {n: row[n] for side in ("BID", "ASK") for n in (side, f"{side}SIZE") if _tells(changed, side) and n in row}
    if sides:
        yield from _sides(tally, symbol, _moment(tally, row, "QUOTE_DATE", "QUOTIM_MS"), sides, raw)


def _tells(changed: Values, side: str) -> bool:
    return changed.get(side) is not None or changed.get(f"{side}SIZE") is not None


def _moment(tally: Tally, row: Values, of_day: str, of_time: str) -> int:
    """Microseconds UTC of a date and the milliseconds since its midnight."""
    found, milliseconds = day(of_day, row.get(of_day)), number(of_time, row.get(of_time))
    if not 0 <= milliseconds < 86_400_000:
        raise Refused(Reason.WRONG_UNIT_OF_TIME, f"{of_time} is {milliseconds}; expected milliseconds of one day")
    start = _midnight(of_day, found)
    return not_later(of_time, start + int(milliseconds * 1000), tally.received_at)


def _midnight(name: str, found: date) -> int:
    try:
        return micros_of(datetime.combine(found, time(), UTC))
    except ValueError as error:
        raise Refused(Reason.SCHEMA, f"{name}: {shown(error)}") from error


def _trade(tally: Tally, symbol: str, when: int, row: Values, raw: bytes) -> Trade:
    """Identified by its sequence number on the day; else by what it says, and which of its equals it is."""
    paid, shares = price("TRDPRC_1", row.get("TRDPRC_1")), size("TRDVOL_1", row.get("TRDVOL_1"))
    told = row.get("SEQNUM")
    sequence = count(int(told) if isinstance(told, str) and told.isdecimal() and len(told) < 19 else told)
    nth = count(row.get("occurrence")) or 0
    identity = f"{when}:{paid!r}:{shares!r}:{nth}" if sequence is None else f"{at(when):%Y%m%d}:{sequence}"
    return Trade(
        **tally.common(f"{symbol}:T:{identity}", when, raw, symbol=symbol),
        price=paid,
        size=shares,
        sequence=sequence,
    )


def _sides(tally: Tally, symbol: str, when: int, row: Values, raw: bytes) -> Iterator[Quote]:
    for side in ("BID", "ASK"):
        if not _tells(row, side):
            continue
        offered, shares = price(side, row.get(side)), optional(size, f"{side}SIZE", row.get(f"{side}SIZE"))
        common = tally.common(f"{symbol}:{side[0]}:{when}:{offered!r}:{shares!r}", when, raw, symbol=symbol)
        named: dict[str, Any] = {side.lower(): offered, f"{side.lower()}_size": shares}
        yield Quote(**common, **named)


def _fact(tally: Tally, symbol: str, view: View, raw: bytes) -> Iterator[Fact]:
    """One number of one period.

    An estimate is known at the end of the day on which LSEG computed it, UTC. A reported number may hold restatements
    of any time after, so it is known when it is fetched and never before.
    """
    concept, field = text("concept", view.concept)[:128], text("field", view.field).upper()
    row = {name.upper(): value for name, value in read(raw, Values).items()}
    period_end = day("period end", row.get(f"{field}.PERIODENDDATE"))
    ends = _midnight("period end", period_end) + _DAY
    if concept.startswith("estimate."):
        stamp = day("calculation date", row.get(f"{field}.CALCDATE"))
        event = known = not_later("calculation date", _midnight("calculation date", stamp) + _DAY, tally.received_at)
    else:
        known = instant("fetchedAt", view.fetchedAt, tally.received_at)
        event, stamp = not_later("period end", ends, known), at(known).date()
    currency, period = row.get(f"{field}.CURRENCY"), row.get(f"{field}.FPERIOD")
    yield Fact(
        **tally.common(f"{symbol}:{concept}:{period_end}:{stamp}", event, raw, symbol=symbol, known=known),
        concept=concept,
        period_end=period_end.isoformat(),
        value=number(field[:64], row.get(field)),
        unit=currency[:16] if isinstance(currency, str) and currency else "unknown",
        fiscal_period=period[:16] if isinstance(period, str) else None,
    )


def _headline(tally: Tally, symbol: str, _: View, raw: bytes) -> Iterator[NewsItem]:
    """A headline that LSEG links to the company asked for; companies named in it are added."""
    row = read(raw, Values)
    when = instant("versionCreated", row.get("versionCreated"), tally.received_at)
    headline = text("headline", row.get("headline", row.get("text")))
    story = text("storyId", row.get("storyId"))[:256]
    publisher = row.get("sourceCode")
    named = tally.origin.symbols.named_in(headline[:4096], at(when).date())
    yield NewsItem(
        **tally.common(f"{story}:{symbol}", when, raw, symbol=symbol),
        headline=headline,
        publisher=publisher[:128] if isinstance(publisher, str) else None,
        symbols=tuple(sorted({symbol, *named})),
    )
