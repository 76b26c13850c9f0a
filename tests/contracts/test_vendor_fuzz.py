"""Any bytes at all: each payload ends in records or dead letters, counts add up, nothing hangs, memory stays flat."""

import gc
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.fuzzing import payloads
from tests.contracts.vendor_case import VendorCase
from tests.contracts.vendor_running import running
from tests.contracts.vendors import CASES
from tests.effort import examples, rest_slow

from project01.bus import decode, encode
from project01.domain import Record
from project01.ingest.decoding import Reason
from project01.ingest.vendor import Decoded

REASONS = {value for name, value in vars(Reason).items() if name.isupper()}
RECEIVED_AT = 1_760_000_000_000_000
# Of each vendor one dataset among the quick tests, all with the slow ones.
DATASETS = [
    each for case in CASES for each in rest_slow(pytest.param(case, name, id=f"{case}-{name}") for name in case.samples)
]
# Alone on two cores the slowest of all takes 0.8 s; where other work shares them the clock of a thread runs twice that.
LONGEST_CALL_S = 2.0
# Python's allocator keeps some of what the 10 MB payloads took.
MOST_GROWTH_BYTES = 64 << 20


def check(decoded: Decoded) -> None:
    """What holds for every result."""
    assert decoded.accepted >= 0
    assert decoded.elements >= 1 or not decoded.records
    if decoded.records:
        assert decoded.accepted
    for record in decoded.records:
        check_record(record)
    for letter in decoded.letters:
        assert letter.reason in REASONS
        assert letter.detail
        assert encode(letter)


def check_record(record: Record) -> None:
    message = encode(record)
    # No bare comparison: pytest would explain the difference of two texts of 10 MB, for minutes.
    same = decode(message) == record
    assert same, "it does not come back from its message as it was"
    # By the letter of the standard, as other programs read it: no NaN, no invalid UTF-8; numbers of any length.
    json.loads(message.decode(), parse_constant=_no_constant, parse_int=str)
    assert record.source_id
    assert -3e15 < record.event_time < 8e15
    assert -3e15 < record.knowledge_time < 8e15
    for name in record.__struct_fields__:
        value = getattr(record, name)
        assert not isinstance(value, float) or math.isfinite(value), name


def _no_constant(token: str) -> None:
    raise ValueError(f"{token} is no JSON")


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def timed(call: Callable[[], Decoded]) -> tuple[Decoded, float]:
    """What it gives, and the seconds of this thread; the least of three where the machine's other work slowed it."""
    took = math.inf
    for _ in range(3):
        started = time.thread_time()
        decoded = call()
        took = min(took, time.thread_time() - started)
        if took < LONGEST_CALL_S:
            break
    return decoded, took


def fuzz(case: VendorCase, count: int, seed: int, folder: Path) -> None:
    names = list(case.samples)
    before = 0
    with running(case, folder) as run:
        for number, dataset in enumerate(names):
            share = count // len(names)
            for index, payload in enumerate(payloads(case.samples[dataset], share, seed + number)):
                if number == 0 and index == share // 4:
                    before = resident_bytes()
                decoded, took = timed(lambda given=payload, of=dataset: run.client.decode(of, given, RECEIVED_AT))
                assert took < LONGEST_CALL_S, f"{dataset}: {took:.2f} s for {payload[:100]!r}... ({len(payload)} bytes)"
                try:
                    check(decoded)
                except Exception as error:
                    raise AssertionError(f"{dataset}, payload {index}, {payload[:400]!r}: {error}") from error
    assert resident_bytes() - before < MOST_GROWTH_BYTES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_50_fuzzed_payloads(case: VendorCase, tmp_path: Path) -> None:
    fuzz(case, 50, seed=1, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_10_000_fuzzed_payloads(case: VendorCase, tmp_path: Path) -> None:
    fuzz(case, 10_000, seed=2, folder=tmp_path)


UNRELATED = st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))


@pytest.mark.parametrize(("case", "dataset"), DATASETS)
def test_unrelated_bytes_are_one_letter_at_most(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:

        @settings(max_examples=examples(60))
        @given(UNRELATED)
        def one_letter_at_most(payload: bytes) -> None:
            decoded = run.client.decode(dataset, payload, RECEIVED_AT)
            check(decoded)
            assert decoded.elements <= 1 + sum(payload.count(mark) for mark in (b"\n", b",", b"{"))

        one_letter_at_most()


@pytest.mark.parametrize(("case", "dataset"), DATASETS)
def test_accepted_and_refused_elements_are_those_sent(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    """One element of a good payload spoilt at a time: it alone becomes a letter, whole, and all others stay."""
    tried = 0
    with running(case, tmp_path) as run:
        for sample in case.samples[dataset]:
            try:
                parsed = msgspec.json.decode(sample)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            elements = case.elements(dataset, parsed)
            if not elements:
                continue
            good = run.client.decode(dataset, sample, RECEIVED_AT)
            assert good.elements == len(elements)
            for place in range(len(elements)):
                for junk in (None, 7, "junk", [], {"junk": 1}, [[["junk"]]]):
                    kept, elements[place] = elements[place], junk
                    spoilt = run.client.decode(dataset, msgspec.json.encode(parsed), RECEIVED_AT)
                    elements[place] = kept
                    tried += 1
                    assert spoilt.elements == good.elements, f"{junk!r} at {place}: elements were lost or made up"
                    assert len(spoilt.letters) == len(good.letters) + 1, f"{junk!r} at {place} was accepted"
    if not tried:
        pytest.skip("no sample of this dataset is JSON with a list of elements")


@pytest.mark.parametrize(("case", "dataset"), DATASETS)
def test_decoding_is_pure(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        for payload in payloads(case.samples[dataset], 40, seed=3):
            first, second = (run.client.decode(dataset, payload, RECEIVED_AT) for _ in range(2))
            assert list(first.records) == list(second.records)
            assert list(first.letters) == list(second.letters)
