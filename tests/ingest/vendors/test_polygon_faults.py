"""What is wrong with an element is said, element by element, and what is right beside it goes on."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import DeadLetter
from project01.ingest.decoding import Reason
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendors.polygon_decode import Asked, PolygonDecoder
from project01.ingest.vendors.polygon_origin import Origin
from project01.ingest.vendors.salvage import items, members

NOW = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1e6)
BAR: dict[str, Any] = {
    "ev": "A", "sym": "AAPL", "v": 200, "vw": 402.5, "o": 402.0, "c": 403.0, "h": 403.5, "l": 401.5,
    "s": 1705329000000, "e": 1705329001000,
}  # fmt: skip
TRADE: dict[str, Any] = {"ev": "T", "sym": "AAPL", "i": "1", "x": 4, "p": 156.43, "s": 10, "t": 1705329000000}
QUOTE: dict[str, Any] = {"ev": "Q", "sym": "AAPL", "bp": 10, "bs": 1, "ap": 11, "as": 1, "t": 1705329000000}
STATUS = {"ev": "status", "status": "success", "message": "subscribed to: A.AAPL"}


def make() -> PolygonDecoder:
    return PolygonDecoder(Origin("polygon", False, SymbolMap.default()))


FAULTS = [
    (BAR | {"o": 0}, Reason.NOT_POSITIVE),
    (BAR | {"l": -1}, Reason.NOT_POSITIVE),
    (BAR | {"vw": 0}, Reason.NOT_POSITIVE),
    (BAR | {"h": 401.0}, Reason.HIGH_BELOW_LOW),
    (BAR | {"c": 404.0}, Reason.OUTSIDE_RANGE),
    (BAR | {"o": 401.0}, Reason.OUTSIDE_RANGE),
    (BAR | {"v": -1}, Reason.NEGATIVE_SIZE),
    (BAR | {"e": BAR["s"] + 2000}, Reason.SCHEMA),
    (BAR | {"s": BAR["s"] // 1000, "e": BAR["e"] // 1000}, Reason.WRONG_UNIT_OF_TIME),
    (BAR | {"s": BAR["s"] * 1000, "e": BAR["e"] * 1000}, Reason.WRONG_UNIT_OF_TIME),
    (BAR | {"s": BAR["s"] * 1000000, "e": BAR["e"] * 1000000}, Reason.WRONG_UNIT_OF_TIME),
    (BAR | {"s": NOW // 1000 + 120_000, "e": NOW // 1000 + 121_000}, Reason.IN_FUTURE),
    (BAR | {"s": -1000, "e": 0}, Reason.TOO_OLD),
    (BAR | {"sym": "X:BTCUSD"}, Reason.UNKNOWN_SYMBOL),
    (BAR | {"sym": ""}, Reason.MISSING_SYMBOL),
    (BAR | {"c": "403"}, Reason.SCHEMA),
    ({name: value for name, value in BAR.items() if name != "sym"}, Reason.MISSING_SYMBOL),
    ({name: value for name, value in BAR.items() if name != "c"}, Reason.SCHEMA),
    (BAR | {"ev": "LULD"}, Reason.SCHEMA),
    (BAR | {"x": "y" * 600_000}, Reason.TOO_LARGE),
    (TRADE | {"p": 0}, Reason.NOT_POSITIVE),
    (TRADE | {"s": -1}, Reason.NEGATIVE_SIZE),
    (TRADE | {"t": TRADE["t"] * 1_000_000}, Reason.WRONG_UNIT_OF_TIME),
    (TRADE | {"pt": 1}, Reason.TOO_OLD),
    (TRADE | {"ds": "many"}, Reason.SCHEMA),
    (TRADE | {"q": 2**64}, Reason.SCHEMA),
    ({name: value for name, value in TRADE.items() if name != "t"}, Reason.SCHEMA),
    (QUOTE | {"bp": 12}, Reason.CROSSED_QUOTE),
    (QUOTE | {"bs": -1}, Reason.NEGATIVE_SIZE),
    (QUOTE | {"bp": 0, "ap": 0}, Reason.NOT_POSITIVE),
    (QUOTE | {"bp": -1}, Reason.NOT_POSITIVE),
]


@pytest.mark.parametrize(("event", "reason"), FAULTS, ids=[f"{n}-{reason}" for n, (_, reason) in enumerate(FAULTS)])
def test_a_faulty_event_alone_is_refused_and_can_be_read_again(event: dict[str, Any], reason: str) -> None:
    decoded = make().decode("aggregates", json.dumps([BAR, event, TRADE, STATUS]).encode(), NOW)
    assert [record.source_id[:9] for record in decoded.records] == ["AAPL:1s:1", "AAPL:trad"]
    assert decoded.accepted == 3
    (letter,) = decoded.letters
    assert letter.reason == reason, letter.detail
    assert json.loads(letter.payload) == [event]
    assert make().decode(letter.dataset, letter.payload.encode(), NOW).letters == [letter]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (b"NaN", Reason.NOT_FINITE),
        (b"-Infinity", Reason.NOT_FINITE),
        (b"1e999", Reason.NOT_FINITE),
        (b'"\\ud800"', Reason.UNREADABLE),
        (b'"\xff"', Reason.UNREADABLE),
        (b"01", Reason.UNREADABLE),
        (b"null", Reason.SCHEMA),
    ],
)
def test_a_token_that_breaks_the_frame_costs_its_own_element_only(token: bytes, reason: str) -> None:
    bad = json.dumps(BAR).encode().replace(b"403.5", token)
    frame = b"[" + b", ".join([json.dumps(BAR).encode(), bad, json.dumps(TRADE).encode()]) + b"]"
    decoded = make().decode("aggregates", frame, NOW)
    assert len(decoded.records) == decoded.accepted == 2
    assert [letter.reason for letter in decoded.letters] == [reason]
    body = b'{"status":"OK","ticker":"AAPL","resultsCount":2,"results":[' + b",".join(
        json.dumps({"o": 1, "h": 2, "l": 1, "c": 1, "v": 1, "t": 1705329000000})
        .encode()
        .replace(b'"h": 2', b'"h": ' + h)
        for h in (b"2", token)
    )
    answered = make().decode("aggregates", body + b"]}", NOW)
    assert len(answered.records) == answered.accepted == 1
    assert [letter.reason for letter in answered.letters] == [reason]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", Reason.UNREADABLE),
        (b"[", Reason.UNREADABLE),
        (b'[{"ev":"A"', Reason.UNREADABLE),
        (b"[" * 100_000, Reason.UNREADABLE),
        (b'{"status":"ERROR","request_id":"a","error":"Unknown API Key"}', Reason.ERROR_BODY),
        (b'{"status":"NOT_AUTHORIZED","message":"upgrade"}', Reason.ERROR_BODY),
        (b"{}", Reason.UNREADABLE),
        (b"7", Reason.UNREADABLE),
    ],
)
def test_what_cannot_be_taken_apart_is_one_letter_with_all_of_it(payload: bytes, reason: str) -> None:
    decoded = make().decode("trades", payload, NOW)
    assert (decoded.accepted, decoded.records) == (0, ())
    (letter,) = decoded.letters
    assert (letter.reason, letter.payload) == (reason, payload.decode())


def test_an_answer_says_nothing_of_whose_it_is_but_its_letters_do() -> None:
    payload = json.dumps(
        {"status": "OK", "results": [{"price": -1, "size": 1, "id": "1", "sip_timestamp": 1}]}
    ).encode()
    assert make().decode("trades", payload, NOW).letters[0].reason == Reason.MISSING_SYMBOL
    (letter,) = make().answer("trades", payload, NOW, Asked("AAPL")).letters
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.symbol) == (Reason.TOO_OLD, "AAPL")
    assert make().decode("trades", letter.payload.encode(), NOW).letters == [letter]


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 0), (-1, 2), (5e-324, 20), (1e300, 1e-300)])
def test_a_split_without_a_ratio_is_refused(old: float, new: float) -> None:
    result = {"ticker": "GOOG", "execution_date": "2022-07-18", "split_from": old, "split_to": new}
    payload = json.dumps({"status": "OK", "results": [result]}).encode()
    assert [letter.reason for letter in make().decode("splits", payload, NOW).letters] == [Reason.NOT_POSITIVE]


def test_bars_of_other_lengths_are_read_again_as_such() -> None:
    result = {"o": 5, "h": 2, "l": 1, "c": 1, "v": 1, "t": 1705329000000}
    payload = json.dumps({"status": "OK", "ticker": "AAPL", "adjusted": True, "results": [result]}).encode()
    (letter,) = make().answer("aggregates", payload, NOW, Asked("AAPL", "5m")).letters
    mended = letter.payload.replace('"o": 5', '"o": 2').encode()
    (record,) = make().decode("aggregates", mended, NOW).records
    assert record.source_id == "AAPL:5m:1705329000000:adjusted"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 2]))
def test_an_array_is_cut_where_a_parser_would(elements: list[Any], indent: int | None) -> None:
    for ensure_ascii in (True, False):
        text = json.dumps(elements, indent=indent, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
        assert [json.loads(item.decode("utf-8", "surrogatepass")) for item in items(text)] == elements


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_an_object_is_cut_where_a_parser_would(values: dict[str, Any]) -> None:
    text = json.dumps(values).encode()
    assert {name: json.loads(value) for name, value in members(text).items()} == values


@given(st.lists(st.sampled_from([BAR, TRADE, QUOTE, STATUS, BAR | {"o": 0}, 7, None, {"ev": 3}]), max_size=12))
def test_counts_add_up_whatever_is_mixed(events: list[Any]) -> None:
    decoded = make().decode("quotes", msgspec.json.encode(events), NOW)
    assert decoded.elements == len(events)
    assert decoded.accepted == sum(event in (BAR, TRADE, QUOTE, STATUS) for event in events)
