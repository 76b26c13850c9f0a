import json
from datetime import UTC, datetime
from typing import Any

import pytest

from project01.bus import decode as decode_message
from project01.bus import encode
from project01.domain import Tweet
from project01.ingest.decoding import Reason, micros
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.elements import Origin, Refused
from project01.ingest.vendors.twitter import SPEC
from project01.ingest.vendors.twitter_decoding import TwitterDecoder, disconnect_reason, page_meta, time_of_id

NOW = int(datetime(2024, 6, 3, tzinfo=UTC).timestamp()) * 1_000_000
ORIGIN = Origin(spec=SPEC, licence="twitter", simulated=False, symbols=SymbolMap.default())
DECODER = TwitterDecoder(ORIGIN)
POST: dict[str, Any] = {
    "id": "1460000000000000001",
    "text": "$FB and $brk.b, $aapl $FB",
    "author_id": "2244",
    "created_at": "2021-11-15T14:30:05.123Z",
    "lang": "en",
    "edit_history_tweet_ids": ["1460000000000000001"],
    "public_metrics": {"retweet_count": 1, "reply_count": 0, "like_count": 3, "quote_count": 0},
}
USER = {"id": "2244", "verified": True, "public_metrics": {"followers_count": 10}}


def page(*posts: Any, **more: Any) -> bytes:
    return json.dumps(
        {"data": posts, "includes": {"users": [USER]}, "meta": {"result_count": len(posts)}, **more}
    ).encode()


def tweet(**changes: Any) -> Tweet:
    decoded = DECODER.decode("search", page(POST | changes), NOW)
    assert (len(decoded.records), len(decoded.letters)) == (1, 0), decoded.letters
    found = decoded.records[0]
    assert isinstance(found, Tweet)
    return found


def refusal(decoded: Decoded) -> str:
    assert (len(decoded.records), len(decoded.letters), decoded.accepted) == (0, 1, 0)
    return decoded.letters[0].reason


def test_every_field_of_a_post() -> None:
    found = tweet(referenced_tweets=[{"type": "quoted", "id": "7"}, {"type": "retweeted", "id": "1459"}])
    assert (found.source, found.source_id, found.licence, found.action) == ("twitter", POST["id"], "twitter", "new")
    assert found.event_time == found.knowledge_time == micros("2021-11-15T14:30:05.123Z")
    assert (found.author, found.followers, found.author_verified) == ("2244", 10, True)
    assert (found.retweets, found.likes, found.language, found.reposts) == (1, 3, "en", "1459")
    assert json.loads(bytes(found.raw)) == POST | {
        "referenced_tweets": [{"type": "quoted", "id": "7"}, {"type": "retweeted", "id": "1459"}]
    }


def test_cashtags_become_symbols_in_the_order_of_the_text() -> None:
    found = tweet()
    assert found.cashtags == ("FB", "brk.b", "aapl")
    assert found.symbols == ("FB", "BRK.B", "AAPL")
    assert found.symbol == "FB"
    tagged = tweet(entities={"cashtags": [{"start": 0, "end": 5, "tag": "MSFT"}, {"tag": "SHOP.TO"}]})
    assert (tagged.symbols, tagged.cashtags) == (("MSFT",), ("MSFT", "SHOP.TO"))
    assert tweet(text="US$AAPL is $5").symbol is None
    assert tweet(entities={}).symbols == ()


def test_a_cashtag_that_was_given_up_means_the_company() -> None:
    assert tweet(created_at="2023-01-03T12:00:00Z", text="$FB").symbol == "META"


def test_a_post_without_its_time_has_it_in_its_id() -> None:
    created = micros("2021-11-15T14:30:05.123Z")
    identifier = str(((created // 1000 - 1_288_834_974_657) << 22) | 77)
    assert time_of_id(identifier, NOW) == created
    bare = {"id": identifier, "text": "only default fields", "edit_history_tweet_ids": [identifier]}
    decoded = DECODER.decode("search", page(bare), NOW)
    assert decoded.records[0].event_time == decoded.records[0].knowledge_time == created
    assert refusal(DECODER.decode("search", page({"id": "20", "text": "an id without a time"}), NOW)) == Reason.SCHEMA


def test_an_edit_is_a_record_of_its_own() -> None:
    edited = tweet(id="1460000000000000009", edit_history_tweet_ids=["1460000000000000001", "1460000000000000009"])
    assert (edited.source_id, edited.action) == ("1460000000000000009", "edit")
    assert tweet(edit_history_tweet_ids=["1460000000000000001", "1460000000000000009"]).action == "new"


def test_long_posts_have_their_whole_text() -> None:
    assert tweet(note_tweet={"text": "$MSFT " + "x" * 1000}).text == "$MSFT " + "x" * 1000


def test_ids_above_two_to_the_53_stay_exact() -> None:
    ids = [str(2**60 + n) for n in range(1000)]
    decoded = DECODER.decode("search", page(*({**POST, "id": identifier} for identifier in ids)), NOW)
    assert [decode_message(encode(record)).source_id for record in decoded.records] == ids


@pytest.mark.parametrize(
    "text",
    [
        "🚀👨‍👩‍👧 $AAPL",
        "أسهم $AAPL اليوم \u202e",
        "$AAPL\u200b\u200d",
        "\x00\x1f$AAPL",
        "<script>alert(1)</script> $AAPL",
    ],
)
def test_all_kinds_of_text_stay_as_they_are(text: str) -> None:
    found = tweet(text=text)
    assert found.text == text
    assert found.symbols == ("AAPL",)
    assert decode_message(encode(found)) == found


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (b'{"id":"1460000000000000001","text":"\\ud800"}', Reason.UNREADABLE),
        (b'{"id":"1460000000000000001","text":"\xed\xa0\x80"}', Reason.UNREADABLE),
        (b'{"id":"1460000000000000001","text":"a","x":NaN}', Reason.UNREADABLE),
        (b'{"id":1460000000000000001,"text":"a"}', Reason.SCHEMA),
        (b'{"id":"14e5","text":"a"}', Reason.SCHEMA),
        (b'{"id":"1460000000000000001"}', Reason.SCHEMA),
        (b'{"id":"1460000000000000001","text":"a","created_at":"2021-11-15T14:30:05"}', Reason.SCHEMA),
        (b'{"id":"1460000000000000001","text":"a","created_at":"2031-11-15T14:30:05Z"}', Reason.IN_FUTURE),
        (b'{"id":"1460000000000000001","text":"a","public_metrics":{"like_count":-1}}', Reason.SCHEMA),
        (b'{"id":"1460000000000000001","text":"' + b"x" * (10 << 20) + b'"}', Reason.TOO_LARGE),
        (b"null", Reason.SCHEMA),
    ],
)
def test_one_bad_post_costs_no_other(spoilt: bytes, reason: str) -> None:
    good = json.dumps(POST).encode()
    decoded = DECODER.decode("search", b'{"data":[%b,%b,%b],"meta":{"result_count":3}}' % (good, spoilt, good), NOW)
    assert len(decoded.records) == decoded.accepted == 2
    assert [letter.reason for letter in decoded.letters] == [reason]
    # The letter decodes by itself to the same refusal, so that it can be replayed.
    assert refusal(DECODER.decode("search", spoilt, NOW)) in {reason, Reason.UNREADABLE, Reason.SCHEMA}


def test_a_letter_replays_as_a_post() -> None:
    (found,) = DECODER.decode("stream", json.dumps(POST).encode(), NOW).records
    assert found.source_id == POST["id"]
    assert found.symbol == "FB"


def test_a_line_of_the_stream_and_a_keep_alive() -> None:
    line = json.dumps({"data": POST, "includes": {"users": [USER]}, "matching_rules": [{"id": "1", "tag": "t"}]})
    assert DECODER.decode("stream", line.encode(), NOW).records == DECODER.decode("search", page(POST), NOW).records
    for blank in (b"", b"\r\n"):
        assert DECODER.decode("stream", blank, NOW) == Decoded((), (), 1)
    assert DECODER.decode("search", b'{"meta":{"result_count":0}}', NOW) == Decoded((), (), 1)


def test_errors_beside_good_posts() -> None:
    includes = {"section": "includes", "parameter": "referenced_tweets.id", "title": "Not Found Error", "type": "x"}
    other = {"title": "Unavailable", "detail": "try later", "type": "https://api.x.com/2/problems/x"}
    decoded = DECODER.decode("search", page(POST, errors=[includes, other]), NOW)
    assert (len(decoded.records), decoded.accepted) == (1, 2)
    assert [(letter.reason, "try later" in letter.detail) for letter in decoded.letters] == [(Reason.ERROR_BODY, True)]
    assert refusal(DECODER.decode("search", decoded.letters[0].payload.encode(), NOW)) == Reason.ERROR_BODY


def test_pages_say_what_they_hold() -> None:
    meta = page_meta(page(POST, POST, meta={"result_count": 2, "newest_id": "9", "next_token": "b26v"}))
    assert (meta.result_count, meta.posts, meta.newest_id, meta.next_token) == (2, 2, "9", "b26v")
    with pytest.raises(Refused):
        page_meta(b'{"errors":[{"title":"Service Unavailable"}]}')


def test_a_line_that_ends_the_stream_is_told_from_a_post() -> None:
    ending = {"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect", "detail": "bye"}
    assert "UpstreamOperationalDisconnect" in (disconnect_reason(json.dumps({"errors": [ending]}).encode()) or "")
    assert disconnect_reason(page(POST, errors=[ending])) is None
    assert disconnect_reason(b'{"errors":') is None
    assert disconnect_reason(b"") is None


def event(kind: str, **named: Any) -> bytes:
    return json.dumps({"data": {kind: {"event_at": "2022-01-02T03:04:05.000Z", **named}}}).encode()


@pytest.mark.parametrize("kind", ["delete", "drop", "withheld"])
def test_posts_to_erase(kind: str) -> None:
    (found,) = DECODER.decode("compliance", event(kind, tweet={"id": "146", "author_id": "2244"}), NOW).records
    assert isinstance(found, Tweet)
    assert (found.action, found.source_id, found.author, found.text) == ("delete", "146", "2244", "")
    assert found.event_time == found.knowledge_time == micros("2022-01-02T03:04:05Z")


@pytest.mark.parametrize("kind", ["user_delete", "user_suspend", "user_protect", "user_withheld"])
def test_authors_to_erase(kind: str) -> None:
    (found,) = DECODER.decode("compliance", event(kind, user={"id": "2244"}), NOW).records
    assert isinstance(found, Tweet)
    assert (found.action, found.source_id, found.author) == ("delete", "user:2244", "2244")


@pytest.mark.parametrize(
    "kind", ["undrop", "tweet_edit", "user_undelete", "user_unsuspend", "user_profile_modification"]
)
def test_events_that_erase_nothing(kind: str) -> None:
    assert DECODER.decode("compliance", event(kind, tweet={"id": "1"}, user={"id": "2"}), NOW) == Decoded((), (), 1)


@pytest.mark.parametrize(
    "payload", [event("delete"), event("eaten", tweet={"id": "1"}), event("user_delete", tweet={"id": "1"})]
)
def test_events_nobody_knows_are_kept(payload: bytes) -> None:
    decoded = DECODER.decode("compliance", payload, NOW)
    assert refusal(decoded) == Reason.SCHEMA
    assert decoded.letters[0].payload.encode() == payload


def test_posts_found_gone() -> None:
    created = micros("2021-11-15T14:30:05.123Z")
    identifier = str((created // 1000 - 1_288_834_974_657) << 22)
    problem = {"resource_id": identifier, "parameter": "ids", "type": "https://api.x.com/2/problems/resource-not-found"}
    answer = json.dumps({"data": [{"id": "1", "text": ""}], "errors": [problem]}).encode()
    first, later = (DECODER.decode("compliance", answer, at) for at in (NOW, NOW + 86_400_000_000))
    assert first.accepted == 2
    assert [(record.source_id, record.knowledge_time) for record in first.records] == [(identifier, created + 1)]
    assert [record.knowledge_time for record in later.records] == [created + 1]
    denied = json.dumps({"errors": [{"title": "Forbidden", "type": "about:blank", "parameter": "ids"}]}).encode()
    assert refusal(DECODER.decode("compliance", denied, NOW)) == Reason.ERROR_BODY
