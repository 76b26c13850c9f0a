"""Records as they travel on the bus: what every vendor's payload becomes, each with its two clocks and its licence.

Instants are integers, microseconds since 1970 UTC. `raw` is the vendor's own fragment as JSON, so that a better parser
can be run again over history. A field that the vendor does not give stays None; nothing is made up.

Messages only ever gain fields, with defaults: a reader skips what it does not know, and an old message reads as before.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

SCHEMA_VERSION = 1  # from 2 on, records are made with it explicitly: a message without a version is of the first

# 1906 to 2198: an instant outside was written in another unit of time.
Microseconds = Annotated[int, msgspec.Meta(ge=-2_000_000_000_000_000, le=7_200_000_000_000_000)]
Version = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
NO_RAW = msgspec.Raw(b"null")

TICKS, NEWS_TOPIC, TWEETS_TOPIC, FUNDAMENTALS, DEAD_LETTER_TOPIC = (
    "ticks",
    "news",
    "tweets",
    "fundamentals",
    "dead_letters",
)


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="kind"):
    """What every record carries.

    Attributes:
        source: name of the vendor's module, e.g. ``polygon``.
        source_id: the vendor's id of the fact; with `source` the de-duplication key.
        event_time: when it happened, microseconds UTC.
        knowledge_time: when it could first be known, microseconds UTC; never our download time.
        received_at: our own clock, microseconds UTC, for audit only.
        licence: tag of the vendor's terms, see `domain.licences`.
        simulated: whether the record is made up.
        symbol: our symbol, None where the fact belongs to none.
        version: version of the message schema it was written with.
        raw: the vendor's fragment, valid JSON, as received.
    """

    topic: ClassVar[str]

    source: str
    source_id: str
    event_time: Microseconds
    knowledge_time: Microseconds
    received_at: Microseconds
    licence: str
    simulated: bool = False
    symbol: str | None = None
    version: Version = 1
    raw: msgspec.Raw = NO_RAW


class Trade(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="trade"):
    """One print. Price in the listing currency, size in shares.

    `conditions` are the vendor's sale-condition codes in the vendor's notation. A `cancel` or `correct` names the trade
    it changes in `refers_to` (its source_id) and takes effect at its own `knowledge_time`.
    """

    topic: ClassVar[str] = TICKS
    price: float
    size: float
    exchange: str | None = None
    conditions: tuple[str, ...] = ()
    sequence: int | None = None
    tape: str | None = None
    action: Literal["new", "cancel", "correct"] = "new"
    refers_to: str | None = None


class Quote(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="quote"):
    """A top of book; a side that the vendor did not send is None. Sizes in shares unless the vendor says lots."""

    topic: ClassVar[str] = TICKS
    bid: float | None = None
    bid_size: float | None = None
    ask: float | None = None
    ask_size: float | None = None
    bid_exchange: str | None = None
    ask_exchange: str | None = None
    conditions: tuple[str, ...] = ()
    sequence: int | None = None


class Bar(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="bar"):
    """Prices and volume over an interval; `event_time` is its END. `interval` such as 1s, 1m, 1h, 1d.

    `session` is the exchange's trading day, ISO date. `adjusted` says for what the vendor had adjusted.
    """

    topic: ClassVar[str] = TICKS
    interval: str
    session: str
    close: float
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float | None = None
    vwap: float | None = None
    trades: int | None = None
    adj_close: float | None = None
    adjusted: Literal["none", "splits", "splits_and_dividends"] = "none"


class NewsItem(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="news"):
    """One story, or one story x entity for analytics vendors (then `symbol` is the entity's).

    `symbols` are all symbols named; `relevance` 0..1; `sentiment` -1..1; `novelty` 0..1 (1: first of its kind), all as
    the vendor judged them. `action` retract: the vendor withdrew the story.
    """

    topic: ClassVar[str] = NEWS_TOPIC
    headline: str
    body: str | None = None
    url: str | None = None
    publisher: str | None = None
    language: str | None = None
    symbols: tuple[str, ...] = ()
    entity_id: str | None = None
    category: str | None = None
    relevance: float | None = None
    sentiment: float | None = None
    novelty: float | None = None
    action: Literal["new", "update", "retract"] = "new"


class Tweet(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="tweet"):
    """One post. `action` delete: it must be erased; then `text` is empty and `source_id` names the post."""

    topic: ClassVar[str] = TWEETS_TOPIC
    text: str
    author: str | None = None
    language: str | None = None
    cashtags: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    reposts: str | None = None
    followers: int | None = None
    author_verified: bool | None = None
    retweets: int | None = None
    likes: int | None = None
    action: Literal["new", "edit", "delete"] = "new"


class Fact(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="fact"):
    """One reported or estimated number of one company and period; dates are ISO text, `value` in `unit`."""

    topic: ClassVar[str] = FUNDAMENTALS
    concept: str
    period_end: str
    value: float
    unit: str
    period_start: str | None = None
    fiscal_year: int | None = None
    fiscal_period: str | None = None
    form: str | None = None
    accession: str | None = None


class Observation(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="observation"):
    """One value of a series as one vintage gave it; a later vintage is another record with a later knowledge_time.

    `value` None: the vendor says that the value is missing in this vintage.
    """

    topic: ClassVar[str] = FUNDAMENTALS
    series_id: str
    period: str
    value: float | None = None
    unit: str | None = None


class CorporateAction(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="corporate_action"):
    """A split (`ratio`: new shares for one old), dividend (`amount` a share), rename (`new_symbol`), halt and such."""

    topic: ClassVar[str] = FUNDAMENTALS
    action: Literal["split", "dividend", "rename", "halt", "resume", "delisting", "listing"]
    effective: str
    ratio: float | None = None
    amount: float | None = None
    currency: str | None = None
    new_symbol: str | None = None


class DeadLetter(Record, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag="dead_letter"):
    """What could not be accepted, whole. `payload` as text; base64 of the bytes where they are no UTF-8 text.

    Attributes:
        intended_topic: where the record would have gone.
        reason: one of a small set of codes, for counting.
        detail: found, expected, what to do.
        dataset: what was asked of the vendor, so that a replay knows which parser to run.
    """

    topic: ClassVar[str] = DEAD_LETTER_TOPIC
    intended_topic: str
    reason: str
    detail: str
    payload: str
    dataset: str = ""
    encoding: Literal["utf-8", "base64"] = "utf-8"


AnyRecord = Trade | Quote | Bar | NewsItem | Tweet | Fact | Observation | CorporateAction | DeadLetter
RECORD_TYPES: tuple[type[Record], ...] = (
    Trade, Quote, Bar, NewsItem, Tweet, Fact, Observation, CorporateAction, DeadLetter,
)  # fmt: skip


class Header(msgspec.Struct, frozen=True, gc=False):
    """The part of a message that landing reads; everything else is skipped unread."""

    kind: str
    source: str
    source_id: str
    event_time: Microseconds
    knowledge_time: Microseconds
    received_at: Microseconds
    licence: str
    simulated: bool = False
    symbol: str | None = None
    version: Version = 1
