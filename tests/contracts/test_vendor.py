"""The test card every vendor passes. A new vendor is one entry in `vendors.CASES`."""

import base64
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.contracts.vendor_case import VendorCase
from tests.contracts.vendor_running import content, ids, letters, records, running, take
from tests.contracts.vendors import CASES
from tests.effort import rest_slow

from project01.bus import decode, encode
from project01.domain import (
    LICENCES,
    AuthenticationError,
    FixedClock,
    InputError,
    SourceError,
    VendorError,
)
from project01.ingest.decoding import Reason
from project01.ingest.stand_ins import Fault
from project01.ingest.vendor import Query

# Of each vendor one dataset among the quick tests, all with the slow ones.
HISTORIES = [
    each
    for case in CASES
    for each in rest_slow(pytest.param(case, name, id=f"{case}-{name}") for name in case.histories)
]
THOROUGH = pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])
SERVED = [case for case in CASES if case.http]
REASONS = {value for name, value in vars(Reason).items() if name.isupper()}


def longest(case: VendorCase) -> Query:
    """The query that is used where one is enough: the first."""
    return next(iter(case.histories.values()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_specification_is_whole(case: VendorCase) -> None:
    spec = case.spec
    assert spec.licence in LICENCES
    assert set(case.histories) == {d.name for d in spec.datasets if d.history}, "a query for each dataset with history"
    assert set(case.streams) == {d.name for d in spec.datasets if d.stream}, "a query for each dataset with a stream"
    assert set(case.samples) == {d.name for d in spec.datasets}, "sample payloads for each dataset"


@pytest.mark.parametrize(("case", "dataset"), HISTORIES)
def test_history_gives_whole_records(case: VendorCase, dataset: str, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        pages = take(run.client.history(case.histories[dataset]))
    found, spec = records(pages), case.spec.dataset(dataset)
    assert found
    assert letters(pages) == []
    assert len(set(ids(found))) == len(found)
    for record in found:
        assert (record.source, record.topic, record.licence) == (case.spec.name, spec.topic, "simulated")
        assert record.simulated
        assert record.received_at > 0
        assert decode(encode(record)) == record
    assert all(page.cursor is not None and page.gap is None for page in pages)


@THOROUGH
@pytest.mark.parametrize(("case", "dataset"), HISTORIES)
def test_every_cursor_resumes_with_exactly_the_rest(
    case: VendorCase, dataset: str, thorough: bool, tmp_path: Path
) -> None:
    query = case.histories[dataset]
    with running(case, tmp_path) as run:
        pages = take(run.client.history(query))
    first_middle_last = {0, len(pages) // 2, len(pages) - 1}
    for number, page in enumerate(pages):
        if not thorough and number not in first_middle_last:
            continue
        # A fresh client: a cursor is all that is left after a restart.
        with running(case, tmp_path / str(number)) as run:
            rest = take(run.client.history(query, page.cursor))
        expected = {content(record) for record in records(pages[number + 1 :])}
        assert {content(record) for record in records(rest)} == expected


@pytest.mark.parametrize("case", [case for case in CASES if case.grow], ids=str)
def test_the_last_cursor_brings_only_what_is_new(case: VendorCase, tmp_path: Path) -> None:
    assert case.grow is not None
    query = longest(case)
    with running(case, tmp_path) as run:
        pages = take(run.client.history(query))
        cursor = pages[-1].cursor
        assert records(take(run.client.history(query, cursor))) == []
        case.grow(run.stand_in)
        new = records(take(run.client.history(query, cursor)))
        assert new
        assert not {content(record) for record in new} & {content(record) for record in records(pages)}


@pytest.mark.parametrize("case", [case for case in CASES if case.empty], ids=str)
def test_an_empty_range_is_no_error(case: VendorCase, tmp_path: Path) -> None:
    assert case.empty is not None
    with running(case, tmp_path) as run:
        pages = take(run.client.history(case.empty))
    assert records(pages) == []
    assert letters(pages) == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_unknown_dataset_or_cursor_is_named(case: VendorCase, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        with pytest.raises(InputError, match="no_such_thing"):
            take(run.client.history(Query(dataset="no_such_thing")))
        for cursor in ("", "[]", "no cursor", '{"a": 1}', "\ud800"):
            with pytest.raises(InputError):
                take(run.client.history(longest(case), cursor))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_our_own_clock_changes_no_record(case: VendorCase, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with running(case, tmp_path) as run:
        for dataset, samples in case.samples.items():
            for sample in samples:
                first, *others = (
                    run.client.decode(dataset, sample, int((now + skew).timestamp() * 1e6))
                    for skew in (timedelta(0), timedelta(seconds=-2), timedelta(hours=1))
                )
                assert first.records
                for other in others:
                    assert [content(r) for r in other.records] == [content(r) for r in first.records]
    with running(case, tmp_path / "late", clock=FixedClock(now + timedelta(hours=1))) as late:
        shifted = records(take(late.client.history(longest(case))))
    with running(case, tmp_path / "right") as right:
        assert {content(r) for r in records(take(right.client.history(longest(case))))} <= {content(r) for r in shifted}


@pytest.mark.parametrize("kind", ["401", "403"])
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_a_denied_entitlement_stops_at_once(case: VendorCase, kind: str, tmp_path: Path) -> None:
    never = Fault("500")
    with running(case, tmp_path, Fault(kind), never) as run:  # type: ignore[arg-type]
        with pytest.raises(AuthenticationError, match=kind):
            take(run.client.history(longest(case)))
        assert run.faults.struck == [Fault(kind)], "it asked again after it was told no"  # type: ignore[arg-type]


PASSING = ("429_seconds", "half_message", "refused", "429_date", "500", "503", "silence", "pause", "tls_error")


@THOROUGH
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_passing_faults_change_nothing(case: VendorCase, thorough: bool, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        expected = {content(record) for record in records(take(run.client.history(longest(case))))}
    for kind in PASSING if thorough else PASSING[:2]:
        for after in (0, 1):
            with running(case, tmp_path / f"{kind}{after}", Fault(kind, after=after, seconds=0.1)) as run:  # type: ignore[arg-type]
                pages = take(run.client.history(longest(case)))
                if after == 0:
                    assert run.faults.done
            assert {content(record) for record in records(pages)} == expected, kind
            assert letters(pages) == []


PAGING = [
    each
    for case in SERVED
    for each in rest_slow(pytest.param(case, kind, id=f"{case}-{kind}") for kind in case.paging_faults)
]


@pytest.mark.parametrize(("case", "kind"), PAGING)
def test_wrong_pages_are_found_out(case: VendorCase, kind: str, tmp_path: Path) -> None:
    """The run fails, or has everything exactly once; it never ends quietly with less, or turns in circles."""
    with running(case, tmp_path) as run:
        expected = {content(record) for record in records(take(run.client.history(longest(case))))}
    with running(case, tmp_path / kind, Fault(kind, after=1)) as run:  # type: ignore[arg-type]
        try:
            pages = take(run.client.history(longest(case)))
        except VendorError:
            return
    assert {content(record) for record in records(pages)} == expected


@pytest.mark.parametrize("case", SERVED, ids=str)
def test_an_error_in_a_body_with_status_200_is_an_error(case: VendorCase, tmp_path: Path) -> None:
    with running(case, tmp_path, *[Fault("error_body_200")] * 9) as run:
        try:
            pages = take(run.client.history(longest(case)))
        except SourceError:
            return
    assert letters(pages), "an error was taken for an empty answer"


DRIFTS = (
    "new_field",
    "renamed_field",
    "retyped_field",
    "missing_field",
    "not_a_number",
    "lone_surrogate",
    "ten_megabytes",
)


@THOROUGH
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_schema_drift_is_survived_and_accounted_for(case: VendorCase, thorough: bool, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        whole = records(take(run.client.history(longest(case))))
    for kind in DRIFTS if thorough else DRIFTS[:2]:
        with running(case, tmp_path / kind, Fault(kind)) as run:  # type: ignore[arg-type]
            try:
                pages = take(run.client.history(longest(case)))
            except SourceError:
                continue
        found = records(pages)
        assert {reason.reason for reason in letters(pages)} <= REASONS
        assert len(found) + len(letters(pages)) >= min(1, len(whole))
        if kind == "new_field":
            assert set(ids(found)) == set(ids(whole)), "a new field must not cost records"


ERRORS = ("401", "403", "500", "429_seconds", "half_message", "refused", "error_body_200")


@THOROUGH
@pytest.mark.parametrize("case", SERVED, ids=str)
def test_no_secret_is_told(case: VendorCase, thorough: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    secrets: list[str] = []
    for kind in (None, *(ERRORS if thorough else ERRORS[:2])):
        faults = [Fault(kind)] * 9 if kind else []  # type: ignore[arg-type]
        with running(case, tmp_path / str(kind), *faults) as run:
            secrets = [secret.get_secret_value() for secret in run.connection.secrets.values()]
            assert all(len(secret) >= 12 for secret in secrets), "too short to be told from other text"
            told += [repr(run.connection), str(run.connection), repr(run.client), repr(vars(run.client))]
            try:
                pages = take(run.client.history(longest(case)))
            except SourceError as error:
                told += [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
            else:
                told += [encode(record).decode() for record in (*records(pages), *letters(pages))]
                told += [repr(pages)]
    told += [record.getMessage() + repr(record.exc_info) for record in caplog.records]
    told += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    whole = "\n".join(told)
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
            assert form not in whole


@pytest.mark.parametrize("case", SERVED, ids=str)
def test_a_wrong_key_is_refused_and_not_told(case: VendorCase, tmp_path: Path) -> None:
    with running(case, tmp_path) as run:
        if not run.connection.secrets:
            pytest.skip("this vendor needs no key")
        wrong = dict.fromkeys(
            run.connection.secrets, type(next(iter(run.connection.secrets.values())))("wrong-key-0123")
        )
        client = case.connect(replace(run.connection, secrets=wrong))
        started = time.monotonic()
        try:
            with pytest.raises(AuthenticationError) as refused:
                take(client.history(longest(case)))
        finally:
            client.close()
    assert time.monotonic() - started < 2.0
    assert "wrong-key-0123" not in str(refused.value)
