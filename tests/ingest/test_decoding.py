"""Instants to the microsecond, and dead letters that keep every byte."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.bus import decode, encode
from project01.domain import DeadLetter
from project01.ingest.decoding import Reason, letter, micros, micros_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(1901, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(instant=INSTANTS, minutes=st.integers(-14 * 60, 14 * 60))
def test_an_instant_in_any_zone_is_exact(instant: datetime, minutes: int) -> None:
    local = instant.astimezone(timezone(timedelta(minutes=minutes)))
    expected = (instant - EPOCH) // timedelta(microseconds=1)
    assert micros(local.isoformat()) == micros_of(local) == expected
    assert micros(instant.isoformat().replace("+00:00", "Z")) == expected


def test_digits_below_a_microsecond_are_cut() -> None:
    assert micros("2024-01-02T03:04:05.123456999Z") == micros("2024-01-02T03:04:05.123456Z")


@pytest.mark.parametrize("text", [
    "", "now", "2024-01-02", "2024-01-02T03:04:05", "1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-02-30T00:00:00Z", "2024-01-02T25:00:00Z", "\ud800",
])  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time zone|outside|isoformat|month|day|hour|surrogates"):
        micros(text)


@given(text=st.text(max_size=40))
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        found = micros(text)
    except ValueError:
        return
    assert -2_300_000_000_000_000 < found < 7_300_000_000_000_000


def made(payload: bytes, **changes: str) -> DeadLetter:
    fixed = {"dataset": "trades", "reason": Reason.SCHEMA} | changes
    return letter(
        source="vendor", licence="own", simulated=False, intended_topic="ticks", detail="found x",
        payload=payload, received_at=5, **fixed,
    )  # fmt: skip


@given(payload=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))))
def test_a_letter_keeps_every_byte(payload: bytes) -> None:
    back = decode(encode(made(payload)))
    assert isinstance(back, DeadLetter)
    kept = base64.b64decode(back.payload) if back.encoding == "base64" else back.payload.encode()
    assert kept == payload
    assert (back.encoding == "utf-8") == (payload.decode("utf-8", "replace").encode() == payload)


def test_the_same_refusal_is_one_letter_and_another_is_another() -> None:
    one = made(b"x")
    assert made(b"x").source_id == one.source_id
    assert len(one.source_id) == 32
    others = {
        made(b"y").source_id,
        made(b"x", dataset="quotes").source_id,
        made(b"x", reason=Reason.UNREADABLE).source_id,
    }
    assert len(others | {one.source_id}) == 4
