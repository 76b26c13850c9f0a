"""Posts that must be erased, by stream of events and by asking."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from tests.ingest.vendors.twitter_running import client_at, client_of, ids, until

from project01.domain import Tweet, VendorError
from project01.ingest.stand_ins import Fault, FaultScript, Reply, StandInServer
from project01.ingest.stand_ins.twitter import stand_in
from project01.ingest.vendor import Query


def test_erasures_come_by_stream_and_by_asking(tmp_path: Path) -> None:
    with stand_in(keep_alive_s=0.2, live=40) as x, client_of(x, tmp_path) as client:
        stop = Event()
        query = Query(dataset="compliance", parameters={"partition": "3"})
        taken = until(client.stream(query, stop), stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        erased = {record.source_id: record for page in taken for record in page.decoded.records}
        assert all(isinstance(record, Tweet) and record.action == "delete" for record in erased.values())
        assert sum(name.startswith("user:") for name in erased) == 4
        assert x.server.requests[0].first("partition") == "3"
        asked = replace(query, parameters={"ids": ",".join(x.past_ids)})
        found = ids(list(client.history(asked)))
        assert set(found) == {name for name in erased if not name.startswith("user:")}
        assert len(found) == 36


def test_after_a_break_events_are_asked_for_from_before_it(tmp_path: Path) -> None:
    faults = FaultScript(Fault("close_1006", after=10, where="stream"))
    with stand_in(faults=faults, keep_alive_s=0.2, live=40) as x, client_of(x, tmp_path) as client:
        stop = Event()
        pages = client.stream(Query(dataset="compliance", parameters={"about": "users"}), stop)
        taken = until(pages, stop, lambda pages: x.finished and set(x.sent) <= set(ids(pages)))
        assert set(x.sent) == set(ids(taken))
        first, second = (request for request in x.server.requests if request.path == "/2/users/compliance/stream")
        assert not first.first("start_time")
        gap = next(page.gap for page in taken if page.gap)
        assert datetime.fromisoformat(second.first("start_time")) <= gap.start - timedelta(seconds=14)


def test_a_lookup_that_forgets_posts_is_an_error(tmp_path: Path) -> None:
    with (
        stand_in() as x,
        StandInServer(http=lambda _: Reply(body=b'{"data":[{"id":"1","text":""}]}')) as server,
        client_at(server, x, tmp_path) as client,
    ):
        pages = client.history(Query(dataset="compliance", parameters={"ids": "1 2 3"}))
        assert next(pages).cursor == '{"after":"0"}'
        with pytest.raises(VendorError, match="asked for 3 posts and spoke of 1"):
            next(pages)
