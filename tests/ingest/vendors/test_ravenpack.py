"""RavenPack beyond the contract: scales of both products, files in pieces, queries that are cut off."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.contracts.ravenpack_case import RECORD, RPNA_FILE, START, start

from project01.domain import AuthenticationError, FixedClock, InputError, NewsItem, Record, VendorError
from project01.ingest.connection import Connection
from project01.ingest.decoding import Reason
from project01.ingest.stand_ins import Fault, FaultScript
from project01.ingest.stand_ins.ravenpack import RavenPackStandIn, as_csv
from project01.ingest.symbols import SymbolMap
from project01.ingest.symbols_history import Spell
from project01.ingest.vendor import Page, Query
from project01.ingest.vendors import ravenpack_client, ravenpack_files
from project01.ingest.vendors.elements import Origin
from project01.ingest.vendors.ravenpack import SPEC, connect
from project01.ingest.vendors.ravenpack_client import RavenPackClient
from project01.ingest.vendors.ravenpack_decode import decode

RECEIVED = 1_760_000_000_000_000
PAST = Query(dataset="analytics", start=START - timedelta(days=1), end=START)


@pytest.fixture
def origin() -> Origin:
    return Origin(spec=SPEC, licence="ravenpack", simulated=False, symbols=SymbolMap.default())


@contextmanager
def client_of(server: RavenPackStandIn, folder: Path, **changes: Any) -> Iterator[RavenPackClient]:
    client = connect(replace(server.connection(folder), **changes))
    assert isinstance(client, RavenPackClient)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def keyless(tmp_path: Path) -> Iterator[RavenPackClient]:
    """A client made from an environment without any key, for files."""
    connection = Connection.from_environment(SPEC, environment={}, folder=tmp_path / "state", clock=FixedClock(START))
    client = connect(connection)
    assert isinstance(client, RavenPackClient)
    yield client
    client.close()
    connection.quota.close()


def items(pages: list[Page]) -> list[NewsItem]:
    found: list[Record] = [record for page in pages for record in page.decoded.records]
    return [item for item in found if isinstance(item, NewsItem)]


def one(origin: Origin, **changes: Any) -> NewsItem:
    (item,) = decode(origin, "analytics", json.dumps(RECORD | changes).encode(), RECEIVED).records
    assert isinstance(item, NewsItem)
    return item


def test_golden_item_of_rpa(origin: Origin) -> None:
    item = one(origin)
    assert item.source_id == "1FB2B3F5E99C4D3BCF59FDB3E8C8C9BD:D8442A:1"
    assert item.event_time == item.knowledge_time == 1_577_973_780_120_000  # 2020-01-02 14:03:00.120 UTC
    assert (item.relevance, item.sentiment, item.novelty) == (1.0, 0.44, 0.25)
    assert (item.headline, item.publisher) == ("Apple raises outlook", "Dow Jones Newswires")
    assert (item.entity_id, item.category) == ("D8442A", "earnings-above-expectations")


def test_golden_items_of_rpna(origin: Origin) -> None:
    found = decode(origin, "files", RPNA_FILE.read_bytes(), RECEIVED).records
    told = [(i.sentiment, i.novelty, i.relevance, i.headline) for i in found if isinstance(i, NewsItem)]
    assert told == [
        (0.44, 0.75, 1.0, "earnings-above-expectations"),  # ESS 72; the same news elsewhere counts: G_ENS before ENS
        (None, None, 0.2, "Other, Ltd."),  # no event
        (-0.4, 0.56, 0.9, "lawsuit"),  # no G_ENS
    ]


@pytest.mark.parametrize(
    ("changes", "sentiment", "novelty"),
    [
        ({"EVENT_SENTIMENT_SCORE": -1, "EVENT_SIMILARITY_DAYS": 0}, -1.0, 0.0),
        ({"EVENT_SENTIMENT_SCORE": 1.0, "EVENT_SIMILARITY_DAYS": 365}, 1.0, 1.0),
        ({"EVENT_SENTIMENT_SCORE": "0.5", "EVENT_SIMILARITY_DAYS": 999}, 0.5, 1.0),
        ({"EVENT_SENTIMENT_SCORE": None, "EVENT_SIMILARITY_DAYS": ""}, None, None),
    ],
)
def test_ends_of_the_scales(
    origin: Origin, changes: dict[str, Any], sentiment: float | None, novelty: float | None
) -> None:
    item = one(origin, **changes)
    assert (item.sentiment, item.novelty) == (sentiment, novelty)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"EVENT_SENTIMENT_SCORE": 72}, Reason.OUTSIDE_RANGE),
        ({"RELEVANCE": 101}, Reason.OUTSIDE_RANGE),
        ({"RELEVANCE": "high"}, Reason.SCHEMA),
        ({"TIMESTAMP_UTC": "27/01/2015"}, Reason.SCHEMA),
        ({"TIMESTAMP_UTC": "2034-01-02 14:03:00.120"}, Reason.IN_FUTURE),
        ({"RP_STORY_ID": ""}, Reason.SCHEMA),
        ({"HEADLINE": "x" * (2 << 20)}, Reason.TOO_LARGE),
    ],
)
def test_what_cannot_be_is_a_letter(origin: Origin, changes: dict[str, Any], reason: str) -> None:
    decoded = decode(origin, "analytics", json.dumps(RECORD | changes).encode(), RECEIVED)
    assert [letter.reason for letter in decoded.letters] == [reason]


def test_an_entity_has_the_ticker_of_the_day() -> None:
    changed = date(2022, 6, 9)
    spells = [
        Spell("1", "FB", date(2012, 5, 18), changed - timedelta(days=1)),
        Spell("1", "META", changed, date(2050, 12, 31)),
    ]
    symbols = SymbolMap(spells=spells, entities={("ravenpack", "D8442A"): "META"})
    origin = Origin(spec=SPEC, licence="ravenpack", simulated=False, symbols=symbols)
    assert one(origin).symbol == "FB"
    assert one(origin, TIMESTAMP_UTC="2023-01-03 14:03:00.120").symbol == "META"
    assert one(origin, RP_ENTITY_ID="000000").symbol is None


def test_one_bad_record_costs_itself(origin: Origin) -> None:
    spoilt = json.dumps({"records": [RECORD, "junk", RECORD | {"HEADLINE": "\\ud800"}, RECORD]})
    payload = spoilt.replace("\\\\ud800", "\\ud800").encode()
    decoded = decode(origin, "analytics", payload, RECEIVED)
    assert (len(decoded.records), decoded.accepted, len(decoded.letters)) == (2, 2, 2)


def test_one_bad_line_costs_itself_and_can_be_decoded_again(origin: Origin) -> None:
    lines = RPNA_FILE.read_bytes().splitlines(keepends=True)
    bad = [b'1,2,"3\n', b"too,few\n", b"\xff\xfe\n", lines[1].replace(b",72,", b",172,")]
    decoded = decode(origin, "files", b"".join([*lines[:2], *bad, *lines[2:]]), RECEIVED)
    assert (len(decoded.records), len(decoded.letters)) == (3, 4)
    assert [letter.reason for letter in decoded.letters] == [
        Reason.UNREADABLE, Reason.SCHEMA, Reason.UNREADABLE, Reason.OUTSIDE_RANGE,
    ]  # fmt: skip
    fixed = decode(origin, "files", decoded.letters[3].payload.replace(",172,", ",72,").encode(), RECEIVED)
    assert [r.source_id for r in fixed.records] == [decoded.records[0].source_id]


def test_a_blank_line_keeps_the_feed_alive(origin: Origin) -> None:
    decoded = decode(origin, "analytics", b"", RECEIVED)
    assert (decoded.accepted, len(decoded.records), len(decoded.letters)) == (1, 0, 0)


def written(folder: Path, count: int) -> Path:
    records = [RECORD | {"RP_STORY_EVENT_INDEX": number} for number in range(count)]
    path = folder / "2020-01.csv"
    path.write_bytes(as_csv(records))
    return path


def test_files_need_no_key_and_are_read_in_pieces(
    keyless: RavenPackClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ravenpack_files, "LINES_A_PAGE", 30)
    path = written(tmp_path, 100)
    query = Query(dataset="files", parameters={"path": str(path)})
    pages = list(keyless.history(query))
    assert [len(page.decoded.records) for page in pages] == [30, 30, 30, 10]
    assert {item.licence for item in items(pages)} == {"ravenpack"}
    for number, page in enumerate(pages):
        rest = items(list(keyless.history(query, page.cursor)))
        assert [item.source_id for item in rest] == [item.source_id for item in items(pages[number + 1 :])]
    with path.open("ab") as file:
        file.write(as_csv([RECORD | {"RP_STORY_EVENT_INDEX": 100}]).split(b"\n", 1)[1])
    new = items(list(keyless.history(query, pages[-1].cursor)))
    assert [item.source_id.rpartition(":")[2] for item in new] == ["100"]


def test_packed_files_give_the_same(keyless: RavenPackClient, tmp_path: Path) -> None:
    plain = written(tmp_path, 20)
    folder = tmp_path / "packed"
    folder.mkdir()
    (folder / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with zipfile.ZipFile(folder / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "b.csv")
    pages = list(keyless.history(Query(dataset="files", parameters={"path": str(folder)})))
    assert [len(page.decoded.records) for page in pages] == [20, 20]
    cursor = pages[0].cursor
    assert len(items(list(keyless.history(Query(dataset="files", parameters={"path": str(folder)}), cursor)))) == 20


@pytest.mark.parametrize("content", [None, b"not a zip file"])
def test_files_that_cannot_be_read_are_named(keyless: RavenPackClient, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.zip"):
        list(keyless.history(Query(dataset="files", parameters={"path": str(path)})))


def test_a_file_that_became_shorter_is_no_file_to_go_on_with(keyless: RavenPackClient, tmp_path: Path) -> None:
    path = written(tmp_path, 50)
    packed = tmp_path / "x.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    query = Query(dataset="files", parameters={"path": str(packed)})
    cursor = list(keyless.history(query))[-1].cursor
    packed.write_bytes(gzip.compress(path.read_bytes()[:500]))
    with pytest.raises(InputError, match="shorter"):
        list(keyless.history(query, cursor))


def test_without_a_key_the_others_say_what_to_set(keyless: RavenPackClient) -> None:
    with pytest.raises(InputError, match="RAVENPACK_API_KEY"):
        list(keyless.history(PAST))
    with pytest.raises(InputError, match="RAVENPACK_API_KEY"):
        next(keyless.stream(PAST, Event()))


def test_a_query_that_is_cut_off_is_asked_for_in_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(FaultScript()) as server, client_of(server, tmp_path) as client:
        expected = sorted(item.source_id for item in items(list(client.history(PAST))))
        monkeypatch.setattr(ravenpack_client, "MOST_RECORDS", 50)
        asked = len(server.server.requests)
        halved = sorted(item.source_id for item in items(list(client.history(PAST))))
        assert len(server.server.requests) - asked > 10
        assert halved == expected
        assert len(expected) == 400
        monkeypatch.setattr(ravenpack_client, "MOST_RECORDS", 1)
        with pytest.raises(VendorError, match="within a second"):
            list(client.history(PAST))


def test_symbols_are_filtered_by_the_mapping(tmp_path: Path) -> None:
    with start(FaultScript()) as server, client_of(server, tmp_path) as client:
        found = items(list(client.history(replace(PAST, symbols=("BRK.B",)))))
    assert {item.symbol for item in found} == {"BRK.B"}
    assert len(found) == 133


def test_a_data_file_is_waited_for_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ravenpack_files, "LINES_A_PAGE", 100)
    query = Query(dataset="datafile", start=START - timedelta(days=1), end=START - timedelta(hours=2))
    with start(FaultScript()) as server, client_of(server, tmp_path, sleep=lambda _: None) as client:
        pages = list(client.history(query))
        assert [len(page.decoded.records) for page in pages] == [100, 100, 100, 40]
        rest = items(list(client.history(query, pages[1].cursor)))
        assert [item.source_id for item in rest] == [item.source_id for item in items(pages[2:])]
        later = replace(query, end=START - timedelta(hours=1, minutes=30))
        new = items(list(client.history(later, pages[-1].cursor)))
    assert len(new) == 15
    assert not {item.source_id for item in new} & {item.source_id for item in items(pages)}


def test_the_datasets_id_is_checked(tmp_path: Path) -> None:
    with (
        start(FaultScript()) as server,
        client_of(server, tmp_path) as client,
        pytest.raises(InputError, match="us500"),
    ):
        list(client.history(replace(PAST, parameters={"dataset": "../jobs"})))


def test_the_feed_stops_at_a_refused_key(tmp_path: Path) -> None:
    with start(FaultScript(Fault("401"))) as server, client_of(server, tmp_path) as client:
        pages = client.stream(Query(dataset="analytics"), Event())
        with pytest.raises(AuthenticationError):
            next(pages)
