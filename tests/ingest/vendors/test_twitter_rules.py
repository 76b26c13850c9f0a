"""Rules of X's filtered stream."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import VendorError
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import Reply, Request, StandInServer
from project01.ingest.stand_ins.twitter import TwitterStandIn, stand_in
from project01.ingest.transport import HeaderKey, HttpClient
from project01.ingest.vendors.twitter_rules import TAG, Rule, apply, difference, standing_rules


def rules_client(x: TwitterStandIn, folder: Path) -> HttpClient:
    connection: Connection = x.connection(folder)
    key = HeaderKey("Authorization", connection.secrets["bearer token"], "Bearer ")
    return HttpClient(x.server.http_url, source="twitter", key=key, connection=connection)


def test_rules_become_those_wanted_and_stay(tmp_path: Path) -> None:
    with stand_in() as x, contextlib.closing(rules_client(x, tmp_path)) as client:
        x.rules = [
            {"id": "a", "value": "$OLD", "tag": TAG},
            {"id": "b", "value": "$MSFT", "tag": TAG},
            {"id": "c", "value": "cats", "tag": "of another program"},
        ]
        change = apply(client, ["$AAPL", "$MSFT"])
        assert str(change) == "- $OLD\n+ $AAPL\n  $MSFT\n! cats"
        assert {(rule["value"], rule["tag"]) for rule in x.rules} == {
            ("$AAPL", TAG), ("$MSFT", TAG), ("cats", "of another program"),
        }  # fmt: skip
        before, asked = list(x.rules), len(x.server.requests)
        again = apply(client, ["$AAPL", "$MSFT"])
        assert (again.add, again.delete) == ((), ())
        assert x.rules == before
        assert [request.method for request in x.server.requests[asked:]] == ["GET"]


@given(st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdef"), max_size=6))
def test_applying_a_difference_gives_what_is_wanted(standing: list[str], wanted: list[str]) -> None:
    rules = [Rule(str(number), value, TAG) for number, value in enumerate(standing)]
    change = difference(wanted, rules)
    gone = {identifier for identifier, _ in change.delete}
    after = [rule.value for rule in rules if rule.id not in gone] + list(change.add)
    assert sorted(after) == sorted(set(wanted))


def test_a_refused_rule_is_told(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.method == "GET":
            return Reply(body=b'{"meta":{"result_count":0}}')
        return Reply(201, b'{"errors":[{"value":"$$$","title":"Invalid Rule","detail":"no viable alternative"}]}')

    with stand_in() as x, StandInServer(http=answer) as server:
        connection = replace(x.connection(tmp_path), address=server.http_url)
        key = HeaderKey("Authorization", connection.secrets["bearer token"], "Bearer ")
        client = HttpClient(server.http_url, source="twitter", key=key, connection=connection)
        with contextlib.closing(client), pytest.raises(VendorError, match="no viable alternative"):
            apply(client, ["$$$"])
        with contextlib.closing(rules_client(x, tmp_path / "own")) as own:
            assert standing_rules(own) == ()
