"""After the kills: whether each message landed once, each record became one row, and nothing acknowledged is gone."""

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
from tests.faults.numbered_source import QUERY, SOURCE, TOPICS, NumberedSource, records_of_page

from project01.bus import Bus, Message, decode
from project01.domain import TABLES, NewsItem, SystemClock, Trade, raw_table
from project01.ingest import Publisher
from project01.lake import Lake, Lander
from project01.pipelines import Place
from project01.pipelines.landing import TopicFigures, curate_topic

TABLE_OF = {Trade: "trades", NewsItem: "news"}
Ids = dict[str, list[str]]


def messages_of(bus: Bus, topic: str) -> list[Message]:
    """Everything the topic holds."""
    ranges = bus.ranges(topic)
    wanted = sum(held.next - held.first for held in ranges.values())
    found: list[Message] = []
    with bus.consumer(topic, {number: held.first for number, held in ranges.items()}) as consumer:
        while len(found) < wanted:
            more = consumer.poll(10_000, 10.0)
            assert more, f"the bus gave {len(found)} of {wanted} messages of {topic}"
            found += more
    return found


def ids_of_pages(pages: range) -> Ids:
    """By table, the ids of the records that these pages hold."""
    ids: Ids = {name: [] for name in TABLE_OF.values()}
    for number in pages:
        for record in records_of_page(number):
            ids[TABLE_OF[type(record)]].append(record.source_id)
    return {name: sorted(found) for name, found in ids.items()}


def last_acknowledged(folder: Path) -> int:
    """How many pages the publisher was told are safe; a line that a kill cut short does not count."""
    lines = (folder / "acknowledged").read_text().split("\n")[:-1]
    return max(int(line) for line in lines if line)


def digests(lake: Lake) -> dict[str, str]:
    return {name: lake.digest(name) for name in TABLES if lake.exists(name)}


def curated_without_kills(folder: Path, pages: int) -> dict[str, str]:
    """Digests of the tables that the same pages give when nothing goes wrong and all is curated at once."""
    place = Place(folder)
    with place.bus() as bus:
        source = NumberedSource(lambda number: number >= pages)
        Publisher(bus, place.state(), SystemClock()).history(source, SOURCE, QUERY)
        for topic in TOPICS:
            Lander(place.lake, bus, topic).run(threading.Event(), until_caught_up=True)
            curate_topic(place.lake, topic, TopicFigures())
    return digests(place.lake)


def same(what: str, found: Iterable[Any], expected: Iterable[Any]) -> None:
    """Both hold the same items equally often; what differs is named."""
    there, wanted = Counter(found), Counter(expected)
    more, fewer = there - wanted, wanted - there
    told = f"{more.total()} too many, such as {list(more)[:3]}; {fewer.total()} missing, such as {list(fewer)[:3]}"
    assert more == fewer, f"{what}: {told}"


def check_raw(lake: Lake, topic: str, messages: list[Message]) -> None:
    """The raw table holds exactly the messages of the bus, each offset once, with its own content."""
    rows = lake.scan(raw_table(topic).name).select("partition", "offset", "value", "topic_id").collect()
    assert rows["topic_id"].n_unique() == 1, f"{topic} landed from more than one bus"
    landed = rows.select("partition", "offset", "value").rows()
    same(f"raw table of {topic}", landed, ((m.partition, m.offset, m.value.decode()) for m in messages))


def check_curated(lake: Lake, published: Ids) -> None:
    """Each record that was published, however often, is one row."""
    for table, ids in published.items():
        rows = lake.scan(table).filter(pl.col("source") == SOURCE).select("source_id").collect()
        same(f"table {table}", rows["source_id"], set(ids))


def check(place: Place, scratch: Path) -> str:
    """All of it; what was found, in one line.

    Args:
        place: where the killed processes worked.
        scratch: an empty folder for the run without kills.
    """
    published: Ids = {name: [] for name in TABLE_OF.values()}
    count = 0
    with place.bus() as bus:
        for topic in TOPICS:
            messages = messages_of(bus, topic)
            check_raw(place.lake, topic, messages)
            count += len(messages)
            for message in messages:
                record = decode(message.value)
                published[TABLE_OF[type(record)]].append(record.source_id)
    pages = int(place.state().cursor(SOURCE, QUERY) or 0)
    expected = ids_of_pages(range(pages))
    acknowledged = last_acknowledged(place.folder)
    assert acknowledged <= pages, f"{acknowledged} pages were acknowledged, and the cursor stands at {pages}"
    for table, ids in expected.items():
        same(f"what was published for {table}", set(published[table]), ids)
    check_curated(place.lake, published)
    same("digests with and without kills", digests(place.lake).items(), curated_without_kills(scratch, pages).items())
    records = sum(map(len, expected.values()))
    return f"{pages} pages, {records} records, {count} messages ({count - records} repeated after kills)"
