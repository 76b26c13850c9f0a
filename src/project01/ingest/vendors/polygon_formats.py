"""Polygon's payloads as it sends them: names, types and units of the wire, nothing converted.

Times are milliseconds on the socket and in aggregates, nanoseconds in `/v3` trades and quotes. Those spell out what the
socket abbreviates; they have the socket's short names here, so that the same code reads both. Fields that we do not use
are left out and skipped unread; they stay in each record's `raw`.
"""

from typing import Annotated

import msgspec

# The bus carries whole numbers of 64 bits; a larger one is refused here, element by element.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Stamp = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")]


class SecondBar(msgspec.Struct, frozen=True, gc=False, tag_field="ev", tag="A"):
    """Aggregate of one second: start `s` and end `e` in milliseconds, `vw` volume-weighted price of the second."""

    sym: str
    o: float
    h: float
    l: float  # noqa: E741 the vendor's name
    c: float
    v: float
    s: Stamp
    e: Stamp
    vw: float | None = None


class MinuteBar(SecondBar, frozen=True, gc=False, tag_field="ev", tag="AM"):
    """Aggregate of one minute, the same fields."""


class TradeEvent(msgspec.Struct, frozen=True, gc=False, tag_field="ev", tag="T"):
    """A print on the socket: `t` when the tape had it, `pt` when the exchange made it, milliseconds."""

    sym: str
    p: float
    s: float
    t: Stamp | None = None
    pt: Stamp | None = None
    i: Name | None = None
    x: Count | None = None
    z: Count | None = None
    q: Count | None = None
    trfi: Count | None = None
    ds: Name | None = None
    c: tuple[Count, ...] | None = None


class QuoteEvent(msgspec.Struct, frozen=True, gc=False, tag_field="ev", tag="Q"):
    """A best bid and offer on the socket, times as in `TradeEvent`."""

    sym: str
    t: Stamp | None = None
    pt: Stamp | None = None
    bp: float | None = None
    bs: float | None = None
    bx: Count | None = None
    ap: float | None = None
    ask_size: float | None = msgspec.field(default=None, name="as")
    ax: Count | None = None
    c: Count | tuple[Count, ...] | None = None
    q: Count | None = None


class StatusEvent(msgspec.Struct, frozen=True, gc=False, tag_field="ev", tag="status"):
    """Answer to `auth` and `subscribe`, and the server's notices."""

    status: str = ""
    message: str = ""


Event = SecondBar | MinuteBar | TradeEvent | QuoteEvent | StatusEvent


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """One of `results` of `/v2/aggs`; `T` only in answers for several tickers. `t` is the start in milliseconds."""

    o: float
    h: float
    l: float  # noqa: E741 the vendor's name
    c: float
    v: float
    t: Stamp
    vw: float | None = None
    n: Count | None = None
    ticker: str | None = msgspec.field(default=None, name="T")


_SPELT_OUT = {
    "t": "sip_timestamp",
    "pt": "participant_timestamp",
    "q": "sequence_number",
    "c": "conditions",
}


class PastTrade(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename=_SPELT_OUT
    | {"p": "price", "s": "size", "i": "id", "x": "exchange", "z": "tape", "trfi": "trf_id", "ds": "decimal_size"},
):
    """One of `results` of `/v3/trades`; times in nanoseconds."""

    p: float
    s: float
    t: Stamp | None = None
    pt: Stamp | None = None
    i: Name | None = None
    x: Count | None = None
    z: Count | None = None
    q: Count | None = None
    trfi: Count | None = None
    ds: Name | None = None
    c: tuple[Count, ...] | None = None
    correction: Count | None = None


class PastQuote(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename=_SPELT_OUT
    | {
        "bp": "bid_price",
        "bs": "bid_size",
        "bx": "bid_exchange",
        "ap": "ask_price",
        "ax": "ask_exchange",
    },
):
    """One of `results` of `/v3/quotes`; times in nanoseconds."""

    t: Stamp | None = None
    pt: Stamp | None = None
    bp: float | None = None
    bs: float | None = None
    bx: Count | None = None
    ap: float | None = None
    ask_size: float | None = None
    ax: Count | None = None
    c: tuple[Count, ...] | None = None
    q: Count | None = None


class Split(msgspec.Struct, frozen=True, gc=False):
    """One of `results` of `/v3/reference/splits`: `split_to` new shares for `split_from` old ones."""

    ticker: str
    execution_date: Day
    split_from: float
    split_to: float


class Dividend(msgspec.Struct, frozen=True, gc=False):
    """One of `results` of `/v3/reference/dividends`; `cash_amount` a share, not adjusted for later splits."""

    ticker: str
    ex_dividend_date: Day
    cash_amount: float
    declaration_date: Day | None = None
    currency: Name | None = None
    dividend_type: Name | None = None


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """One of `results` of `/v3/reference/tickers`, or the whole of it where one ticker was asked for."""

    ticker: str
    active: bool | None = None
    list_date: Day | None = None
    delisted_utc: Name | None = None


class _NewName(msgspec.Struct, frozen=True, gc=False):
    ticker: str


class TickerEvent(msgspec.Struct, frozen=True, gc=False):
    """One of `results.events` of `/vX/reference/tickers/{ticker}/events`: from `date` on this was the ticker."""

    date: Day
    ticker_change: _NewName


class Holiday(msgspec.Struct, frozen=True, gc=False):
    """One element of `/v1/marketstatus/upcoming`; `open` and `close` (RFC 3339) only on days that close early."""

    exchange: Name
    date: Day
    status: Name
    open: Name | None = None
    close: Name | None = None


class _Publisher(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None


class Story(msgspec.Struct, frozen=True, gc=False):
    """One of `results` of `/v2/reference/news`."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    title: str
    published_utc: Name
    description: str | None = None
    article_url: str | None = None
    publisher: _Publisher | None = None
    tickers: tuple[str, ...] = ()


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """What stands around the results of every REST answer.

    Attributes:
        results: unread; an array, or one object where one thing was asked for.
        ticker, span: name of what the results belong to. `/v2/aggs` gives the ticker; for trades, quotes and the length
            of bars, which stand in the address alone, our own dead letters add them, so that each can be read again.
        results_count: how many results the server says this page holds.
        next_url: address of the next page, absent on the last.
    """

    results: msgspec.Raw | None = None
    status: str | None = None
    ticker: str | None = None
    span: str | None = None
    adjusted: bool | None = None
    results_count: Count | None = msgspec.field(default=None, name="resultsCount")
    next_url: str | None = None
    error: str | None = None
    message: str | None = None
