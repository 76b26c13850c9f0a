import random
import threading
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.effort import rest_slow

from project01.bus import TOPICS, MemoryBus, encode, key_of_record
from project01.domain import (
    DEAD_LETTERS,
    TABLES,
    TWEETS,
    AnyRecord,
    Bar,
    CorporateAction,
    DeadLetter,
    Fact,
    LakeError,
    NewsItem,
    Observation,
    Quote,
    Trade,
    Tweet,
)
from project01.lake import CurationCounts, Curator, Lake, Lander, add_to_set, erasure, exchange
from project01.lake.union import erase

BASE = 1_700_000_000_000_000
NEVER = threading.Event()
COMMON = {"source": "test", "received_at": BASE + 50, "licence": "own"}


def clocks(number: int, known: int = 1) -> dict[str, int]:
    return {"event_time": BASE + number, "knowledge_time": BASE + number + known}


def one_of_each(n: int) -> list[AnyRecord]:
    here = COMMON | clocks(n) | {"symbol": "AAPL"}
    return [
        Trade(**here, source_id=f"t{n}", price=1.5, size=100.0, conditions=("12", "37"), exchange="4", sequence=n),
        Quote(**here, source_id=f"q{n}", bid=1.0, bid_size=5.0),
        Bar(**here, source_id=f"b{n}", interval="1s", session="2023-11-14", close=1.0, open=1.0, vwap=1.0, trades=3),
        NewsItem(**here, source_id=f"n{n}", headline="Chip maker, raises", symbols=("AAPL", "MSFT"), relevance=1),
        Tweet(**here, source_id=f"w{n}", text="$AAPL 🚀", cashtags=("AAPL",)),
        Fact(**here, source_id=f"f{n}", concept="Assets", period_end=f"2020-01-{n % 28 + 1:02}", value=5, unit="USD"),
        Observation(**(here | {"symbol": None}), source_id=f"o{n}", series_id="GDP", period=f"2020-01-{n % 28 + 1:02}"),
        CorporateAction(**here, source_id=f"c{n}", action="split", effective="2020-08-31", ratio=4),
        DeadLetter(**here, source_id=f"d{n}", intended_topic="ticks", reason="schema", detail="x", payload="{"),
    ]  # fmt: skip


def put(bus: MemoryBus, records: Sequence[AnyRecord]) -> None:
    with bus.producer() as producer:
        for record in records:
            producer.publish(record.topic, [(key_of_record(record), encode(record))])


def new_bus() -> MemoryBus:
    bus = MemoryBus()
    for spec in TOPICS.values():
        bus.create(spec)
    return bus


def bring_in(lake: Lake, bus: MemoryBus, rows: int = 200_000) -> list[CurationCounts]:
    counts = []
    for topic in TOPICS:
        Lander(lake, bus, topic).run(NEVER, until_caught_up=True)
        counts += list(Curator(lake, rows=rows).run(topic))
    return counts


def digests(lake: Lake) -> dict[str, str]:
    return {name: lake.digest(name) for name in TABLES if lake.exists(name)}


@pytest.fixture
def bus() -> MemoryBus:
    return new_bus()


def test_each_kind_becomes_rows_of_its_table(lake: Lake, bus: MemoryBus) -> None:
    put(bus, one_of_each(1))
    counts = bring_in(lake, bus)
    assert sum(done.refused for done in counts) == 0
    known = datetime(2030, 1, 1, tzinfo=UTC)
    trade = lake.read("trades", as_of=known).row(0, named=True)
    assert (trade["price"], trade["conditions"], trade["session"]) == (1.5, "12|37", date(2023, 11, 14))
    assert trade["event_time"] == datetime.fromtimestamp(BASE / 1e6, UTC) + timedelta(microseconds=1)
    assert lake.read("bars", as_of=known)["vwap"].to_list() == [1.0]
    assert lake.read("news", as_of=known)["symbols"].to_list() == ["AAPL|MSFT"]
    assert lake.read("tweets", as_of=known)["text"].to_list() == ["$AAPL 🚀"]
    assert lake.read("facts", as_of=known)["period_end"].to_list() == [date(2020, 1, 2)]
    assert lake.read("macro", as_of=known)["value"].to_list() == [None]
    assert lake.read("corporate_actions", as_of=known)["kind"].to_list() == ["split"]
    letter = lake.scan("dead_letters").collect().row(0, named=True)
    assert (letter["table"], letter["reason"], letter["raw"]) == ("ticks", "schema", "{")


@pytest.mark.parametrize(("numbers", "orders"), rest_slow([(8, 1), (40, 3)]))
def test_any_order_and_any_repetition_give_the_same_tables(tmp_path: Path, numbers: int, orders: int) -> None:
    records = [record for number in range(numbers) for record in one_of_each(number)]
    plain = Lake(tmp_path / "plain")
    bus = new_bus()
    put(bus, records)
    bring_in(plain, bus)
    for seed in range(orders):
        generator = random.Random(seed)
        other, shuffled = new_bus(), records + generator.choices(records, k=100)
        generator.shuffle(shuffled)
        lake = Lake(tmp_path / f"shuffled{seed}")
        for start in range(0, len(shuffled), 150):
            put(other, shuffled[start : start + 150])
            bring_in(lake, other, rows=60)
        assert digests(lake) == digests(plain)


@pytest.mark.slow
def test_a_rebuild_from_raw_equals_what_was_curated_piece_by_piece(lake: Lake, bus: MemoryBus, tmp_path: Path) -> None:
    for start in range(0, 30, 10):
        put(bus, [record for number in range(start, start + 10) for record in one_of_each(number)])
        bring_in(lake, bus, rows=7)
    rebuilt = Lake(tmp_path / "rebuilt")
    for topic in TOPICS:
        list(Curator(lake, rebuilt).run(topic))
    assert digests(rebuilt) == digests(lake)
    assert digests(lake).keys() == set(TABLES) - {"late"}


def test_a_crash_before_the_note_repeats_a_piece_and_changes_nothing(
    lake: Lake, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bus, [record for number in range(10) for record in one_of_each(number)])
    with monkeypatch.context() as patched:
        patched.setattr(Curator, "_note", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bring_in(lake, bus)
    bring_in(lake, bus)
    assert all(lake.scan(name).collect().height == 10 for name in digests(lake))


def test_two_bodies_under_one_id_are_both_kept_and_one_is_read(tmp_path: Path) -> None:
    bodies = [NewsItem(**COMMON, **clocks(1), source_id="n", headline=text) for text in ("first", "second")]
    seen = set()
    for number, order in enumerate((bodies, bodies[::-1])):
        lake, bus = Lake(tmp_path / str(number)), new_bus()
        for record in order:
            put(bus, [record])
            bring_in(lake, bus)
        assert lake.scan("news").collect().height == 2
        seen.add(tuple(lake.read("news", as_of=datetime(2030, 1, 1, tzinfo=UTC))["headline"]))
    assert seen == {("second",)}


def test_unreadable_messages_and_rows_without_a_required_value_become_dead_letters(lake: Lake, bus: MemoryBus) -> None:
    fact = Fact(
        **COMMON, **clocks(1), source_id="f", symbol="AAPL", concept="X", period_end="soon", value=1, unit="USD"
    )
    nobody = Trade(**COMMON, **clocks(1), source_id="t", price=1.0, size=1.0)
    put(bus, [fact, nobody, *one_of_each(2)])
    with bus.producer() as producer:
        producer.publish("ticks", [(b"k", b"\xff\xfejunk"), (b"k", b"{}")])
    counts = bring_in(lake, bus)
    assert sum(done.refused for done in counts) == 4
    letters = lake.scan(DEAD_LETTERS.name).collect()
    found = sorted(letters.select("source", "table", "reason").rows())
    assert found == [
        ("bus", "ticks", "unreadable"), ("bus", "ticks", "unreadable"), ("test", "facts", "schema"),
        ("test", "ticks", "schema"), ("test", "trades", "schema"),
    ]  # fmt: skip
    assert letters.filter(pl.col("table") == "facts")["detail"].to_list() == ["missing or unreadable: period_end"]
    assert lake.scan("facts").collect().height == 1
    messages = sum(done.messages for done in counts)
    assert messages == sum(done.refused + sum(done.added.values()) for done in counts) - letters.height + 1


def test_a_deleted_post_is_erased_everywhere_and_stays_erased(lake: Lake, bus: MemoryBus) -> None:
    posts = [Tweet(**COMMON, **clocks(n), source_id=f"w{n}", symbol="AAPL", text=f"secret {n}") for n in range(3)]
    put(bus, posts)
    bring_in(lake, bus)
    gone = Tweet(**COMMON, **clocks(90), source_id="w1", text="", action="delete")
    put(bus, [gone])
    assert sum(done.erased for done in bring_in(lake, bus)) == 2
    put(bus, [posts[1], Tweet(**COMMON, **clocks(99), source_id="w2", text="", action="delete"), posts[2]])
    bring_in(lake, bus)
    texts = lake.scan(TWEETS.name).select("text").collect()["text"].to_list()
    assert sorted(texts) == ["", "", "secret 0"]
    raw = "\n".join(lake.scan("raw_tweets").select("value").collect()["value"])
    assert "secret 1" not in raw
    assert "secret 2" not in raw
    for table in (TWEETS.name, "raw_tweets"):
        lake.vacuum(table, 0, allow_short_retention=True)
    left = b"".join(file.read_bytes() for file in Path(lake.url).rglob("*.parquet") if "tweets" in str(file))
    assert b"secret 1" not in left


def test_an_author_who_left_is_erased_with_all_posts_and_those_that_come_later(lake: Lake, bus: MemoryBus) -> None:
    def post(number: int, author: str) -> Tweet:
        return Tweet(**COMMON, **clocks(number), source_id=f"w{number}", symbol="A", text=f"by {author}", author=author)

    put(bus, [post(1, "ann"), post(2, "bob"), post(3, "ann")])
    bring_in(lake, bus)
    left = Tweet(**COMMON, **clocks(9), source_id="user:ann", author="ann", text="", action="delete")
    put(bus, [left, post(4, "ann")])
    assert sum(done.erased for done in bring_in(lake, bus)) == 5
    put(bus, [post(1, "ann"), post(5, "ann"), post(6, "bob")])
    bring_in(lake, bus)
    rows = lake.scan(TWEETS.name).select("source_id", "text").collect().rows()
    assert sorted(rows) == [("user:ann", ""), ("w2", "by bob"), ("w6", "by bob")]
    assert not any("by ann" in value for value in lake.scan("raw_tweets").select("value").collect()["value"])


@pytest.mark.parametrize("steps", range(4))
def test_an_erasure_cut_short_after_any_step_is_finished_later(
    lake: Lake, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """The author's posts are known by the curated ones alone: those must not be gone before the raw ones are."""

    def post(name: str, author: str) -> Tweet:
        return Tweet(**COMMON, **clocks(1), source_id=name, text=f"by {author}", author=author)

    put(bus, [post("w1", "ann"), post("w2", "bob"), refused_post("w3", "ann"), refused_post("w4", "bob")])
    bring_in(lake, bus)
    put(bus, [Tweet(**COMMON, **clocks(9), source_id="user:ann", author="ann", text="", action="delete")])
    done: list[str] = []

    def dying(where: Lake, table: str, predicate: str) -> int:
        if len(done) == steps:
            raise LakeError("killed")
        done.append(table)
        return erase(where, table, predicate)

    with monkeypatch.context() as cut:
        cut.setattr(erasure, "erase", dying)
        with pytest.raises(LakeError, match="killed"):
            bring_in(lake, bus)
    bring_in(lake, bus)
    for table in ("raw_tweets", TWEETS.name, "raw_dead_letters", DEAD_LETTERS.name):
        text = lake.scan(table).collect().write_ndjson()
        assert "by ann" not in text, table
        assert "by bob" in text, table


def test_a_refused_post_goes_from_the_dead_letters_before_and_after_its_deletion(lake: Lake, bus: MemoryBus) -> None:
    before = [refused_post("7", "ann"), refused_post("8", "ann"), refused_post("9", "bob", whole=False)]
    put(bus, before)
    bring_in(lake, bus)
    deletions = [
        Tweet(**COMMON, **clocks(9), source_id=name, text="", author=author, action="delete")
        for name, author in (("7", "ann"), ("9", "bob"), ("5", "bob"), ("user:eve", "eve"))
    ]
    put(bus, deletions)
    assert sum(done.erased for done in bring_in(lake, bus)) == 4
    later = [refused_post("5", "bob"), refused_post("6", "bob"), refused_post("4", "eve")]
    put(bus, [*later, before[0]])
    assert sum(done.erased for done in bring_in(lake, bus)) == 3
    kept = {before[1].source_id, later[1].source_id}
    for table in ("raw_dead_letters", DEAD_LETTERS.name):
        assert set(lake.scan(table).select("source_id").collect()["source_id"]) == kept


def refused_post(name: str, author: str, *, whole: bool = True) -> DeadLetter:
    """A reply to post 7 that could not be accepted; not `whole`: cut off, and kept as base64."""
    written = f'{{"id":"{name}","author_id":"{author}","text":"by {author}"'
    payload = f'{written},"referenced_tweets":[{{"id":"7"}}]}}' if whole else b64encode(written.encode()).decode()
    return DeadLetter(
        **COMMON, **clocks(5), source_id=f"letter of {name}", intended_topic="tweets", reason="schema",
        detail="refused", payload=payload, encoding="utf-8" if whole else "base64",
    )  # fmt: skip


def test_exchange_replaces_only_its_scope_in_one_commit(lake: Lake, macro_rows) -> None:
    from project01.domain import MACRO

    add_to_set(lake, MACRO, macro_rows([("GDP", 1, 0, 1.0), ("GDP", 1, 5, 2.0), ("CPI", 1, 0, 7.0)]))
    before = lake.version("macro")
    new = macro_rows([("GDP", 1, 0, 1.0), ("GDP", 1, 4, 3.0)])
    identity = ("source", "series_id", "period", "knowledge_time")
    counts = exchange(lake, MACRO, new, pl.col("series_id") == "GDP", identity)
    assert (counts.added, counts.known) == (1, 1)
    assert lake.version("macro") == before + 1
    rows = lake.scan("macro").select("series_id", "value").collect().rows()
    assert sorted(rows) == [("CPI", 7.0), ("GDP", 1.0), ("GDP", 3.0)]
    exchange(lake, MACRO, new, pl.col("series_id") == "GDP", identity)
    assert lake.version("macro") == before + 1
