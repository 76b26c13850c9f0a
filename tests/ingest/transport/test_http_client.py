"""The HTTP client against a real server, with every fault a server can have."""

import base64
import gzip
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from tests.ingest.transport.conftest import MARKER, NOON, Authority, MakeConnection, SleepingClock

from project01.domain import AuthenticationError, InputError, QuotaError, SourceError, UnreachableError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.stand_ins import Fault, FaultKind, FaultScript, Reply, Request, StandInServer, TlsFiles
from project01.ingest.transport import HeaderKey, HttpClient, NoKey, QueryKey
from project01.ingest.vendor import Budget

KEYS = [
    pytest.param(QueryKey("apiKey", SecretStr(MARKER)), id="query"),
    pytest.param(HeaderKey("Authorization", SecretStr(MARKER), "Bearer "), id="header"),
]


def hello(_: Request) -> Reply:
    return Reply(body=b'{"hello": "world"}')


@contextmanager
def serving(
    connection: Connection,
    *faults: Fault,
    answer: Callable[[Request], Reply] = hello,
    key: QueryKey | HeaderKey | NoKey = NoKey(),  # noqa: B008 - frozen
    tls: TlsFiles | None = None,
    max_body_bytes: int = 64 << 20,
) -> Iterator[tuple[HttpClient, StandInServer]]:
    with StandInServer(http=answer, faults=FaultScript(*faults), tls=tls) as server:
        client = HttpClient(
            server.http_url, source="vendor", key=key, connection=connection, max_body_bytes=max_body_bytes
        )
        try:
            yield client, server
        finally:
            client.close()


def test_an_answer_is_whole(connect: MakeConnection) -> None:
    with serving(connect()) as (client, server):
        answer = client.get("/v1/things", {"a": 1, "b": "x y&z"})
        posted = client.post("rules", b'{"add": []}', {"dry": "run"})
    assert (answer.status, answer.body) == (200, b'{"hello": "world"}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.url == f"{server.http_url}/v1/things?a=1&b=x+y%26z"
    get, post = server.requests
    assert (get.method, get.path, get.query) == ("GET", "/v1/things", {"a": ["1"], "b": ["x y&z"]})
    assert get.headers["user-agent"] == "project01"
    assert (post.method, post.body, post.first("dry")) == ("POST", b'{"add": []}', "run")
    assert posted.status == 200


def test_connections_are_kept(connect: MakeConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    genuine = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: opened.append(a) or genuine(*a, **k))
    with serving(connect()) as (client, _):
        for _number in range(20):
            client.get("x")
    assert len(opened) == 1


@pytest.mark.parametrize("key", KEYS)
def test_the_key_goes_to_the_vendor_and_nowhere_else(
    connect: MakeConnection, key: QueryKey | HeaderKey, caplog: pytest.LogCaptureFixture
) -> None:
    """Also under httpx's and httpcore's own logs at debug level."""
    caplog.set_level(logging.DEBUG)
    with serving(connect(), Fault("500"), Fault("half_message"), key=key) as (client, server):
        answer = client.get("things", {"limit": 5})
        told = [
            answer.url,
            repr(answer),
            str(answer),
            repr(client),
            repr(vars(client)),
            *map(str, client.__dict__.values()),
        ]
    for request in server.requests:
        sent = request.first("apiKey") if isinstance(key, QueryKey) else request.headers["authorization"]
        assert sent == ("" if isinstance(key, QueryKey) else "Bearer ") + MARKER
    assert len(server.requests) == 3
    assert any(record.name.startswith("httpx") for record in caplog.records)
    told += [record.getMessage() for record in caplog.records]
    for form in (MARKER, quote(MARKER), quote(MARKER, safe=""), base64.b64encode(MARKER.encode()).decode()):
        assert form not in "\n".join(told)


def echo_key(status: int) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        key = request.first("apiKey") or request.headers.get("authorization", "")
        spelt = [key, quote(key), base64.b64encode(key.removeprefix("Bearer ").encode()).decode()]
        return Reply(status, json.dumps({"message": "no", "you sent": spelt}).encode())

    return answer


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 418, 500])
def test_a_key_that_the_vendor_echoes_is_masked(
    connect: MakeConnection, key: QueryKey | HeaderKey, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(connect(), answer=echo_key(status), key=key) as (client, _):
        if status == 200:
            told = client.get("things").body.decode()
        else:
            with pytest.raises(SourceError) as raised:
                client.get("things")
            error: BaseException | None = raised.value
            told = ""
            while error is not None:
                told += f"{error!r} {error}"
                error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    told += "\n".join(record.getMessage() for record in caplog.records)
    assert "you sent" in told
    for form in (MARKER, quote(MARKER), quote(MARKER, safe=""), base64.b64encode(MARKER.encode()).decode()):
        assert form not in told


PASSING: tuple[FaultKind, ...] = (
    "refused", "tls_error", "429_seconds", "429_date", "500", "503", "silence", "half_message", "pause",
)  # fmt: skip


@pytest.mark.parametrize("kind", PASSING)
def test_a_passing_fault_is_survived(connect: MakeConnection, clock: SleepingClock, kind: FaultKind) -> None:
    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        time.sleep(min(seconds, 0.05))

    # The stand-in dates its answers by the real clock.
    clock.instant = datetime.now(UTC)
    with serving(connect(sleep=sleep), Fault(kind, seconds=0.05)) as (client, server):
        assert client.get("things").body == b'{"hello": "world"}'
    if kind != "pause":
        assert clock.slept
        assert all(wait > 0 for wait in clock.slept)
    assert len(server.requests) == (1 if kind == "pause" else 2)


@pytest.mark.parametrize(("kind", "seconds"), [("429_seconds", 30), ("429_date", 30)])
def test_the_vendor_decides_how_long_we_wait(
    connect: MakeConnection, clock: SleepingClock, kind: FaultKind, seconds: float
) -> None:
    clock.instant = datetime.now(UTC)
    with serving(connect(), Fault(kind, seconds=seconds), Fault(kind, seconds=seconds)) as (client, _):
        client.get("things")
    assert len(clock.slept) == 2
    # With jitter on top, so that many clients do not come back in the same moment; dates are rounded up to a second.
    assert seconds - 0.2 <= clock.slept[0] <= seconds + 2.5


def test_a_rate_limit_reset_is_waited_for(connect: MakeConnection, clock: SleepingClock) -> None:
    resets = iter([429, 200])

    def answer(_: Request) -> Reply:
        return Reply(next(resets), b"{}", {"x-rate-limit-reset": str(int((NOON + timedelta(minutes=10)).timestamp()))})

    with serving(connect(), answer=answer) as (client, _):
        client.get("things")
    assert 600 <= clock.slept[0] <= 602


def test_a_longer_wait_than_a_process_should_sleep_is_an_error(connect: MakeConnection, clock: SleepingClock) -> None:
    with serving(connect(), Fault("429_seconds", seconds=3_600)) as (client, server):
        with pytest.raises(QuotaError, match=r"Try again from 2026-11-20 13:00:0\d UTC"):
            client.get("things")
        assert (len(server.requests), clock.slept) == (1, [])


@pytest.mark.parametrize(("kind", "error"), [
    ("500", VendorError), ("503", VendorError), ("half_message", UnreachableError), ("429_seconds", QuotaError),
])  # fmt: skip
def test_a_lasting_fault_ends_in_its_own_error(
    connect: MakeConnection, clock: SleepingClock, kind: FaultKind, error: type[Exception]
) -> None:
    with serving(connect(), *[Fault(kind, seconds=1)] * 9) as (client, server):
        with pytest.raises(error, match="failed 4 times"):
            client.get("things")
        assert (len(server.requests), len(clock.slept)) == (4, 3)


def test_nobody_there_is_unreachable(connect: MakeConnection, clock: SleepingClock) -> None:
    with StandInServer() as server:
        url = server.http_url
    client = HttpClient(url, source="vendor", key=NoKey(), connection=connect())
    with pytest.raises(UnreachableError, match=r"refused.*Check the network"):
        client.get("things")
    client.close()
    assert len(clock.slept) == 3


def test_silence_ends_at_the_timeout(connect: MakeConnection) -> None:
    started = time.monotonic()
    silent = serving(connect(timeout_s=0.2), *[Fault("silence")] * 9)
    with silent as (client, _), pytest.raises(UnreachableError, match="Timeout"):
        client.get("things")
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("kind", ["401", "403"])
def test_a_refused_key_is_not_tried_again(connect: MakeConnection, clock: SleepingClock, kind: FaultKind) -> None:
    with serving(connect(), Fault(kind)) as (client, server):
        with pytest.raises(AuthenticationError, match=f"status {kind}.*no use"):
            client.get("things")
        assert (len(server.requests), clock.slept) == (1, [])


@pytest.mark.parametrize("status", [301, 304, 400, 404, 422])
def test_other_refusals_show_the_start_of_the_body(connect: MakeConnection, status: int) -> None:
    def answer(_: Request) -> Reply:
        body = b"" if status == 304 else b"bad symbol \xff " + b"x" * 10_000
        return Reply(status, body, {"Location": "http://evil.invalid/"})

    with serving(connect(), answer=answer) as (client, server):
        with pytest.raises(VendorError, match=f"status {status}: {'' if status == 304 else 'bad symbol'}") as raised:
            client.get("things")
        assert len(str(raised.value)) < 700
        assert len(server.requests) == 1


def test_ten_megabytes_pass_and_more_than_allowed_does_not(connect: MakeConnection) -> None:
    size = 10 << 20

    def answer(request: Request) -> Reply:
        body = b"x" * size
        if request.path == "/packed":
            return Reply(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return Reply(body=body)

    with serving(connect(), answer=answer, max_body_bytes=size) as (client, server):
        assert len(client.get("plain").body) == len(client.get("packed").body) == size
    with serving(connect(), answer=answer, max_body_bytes=size - 1) as (client, server):
        for path in ("plain", "packed"):
            with pytest.raises(VendorError, match="larger than 10,485,759 bytes"):
                client.get(path)
        assert len(server.requests) == 2, "asking again would not make it smaller"


def test_a_body_that_is_not_what_its_header_says_is_a_vendors_error(connect: MakeConnection) -> None:
    def answer(_: Request) -> Reply:
        return Reply(body=b"this is no gzip", headers={"Content-Encoding": "gzip"})

    with serving(connect(), answer=answer) as (client, _), pytest.raises(VendorError, match="DecodingError"):
        client.get("things")


def test_a_link_to_the_next_page_keeps_its_parameters_and_gets_the_key(connect: MakeConnection) -> None:
    key = QueryKey("apiKey", SecretStr(MARKER))
    with serving(connect(), key=key) as (client, server):
        client.get(f"{server.http_url}/v3/trades?cursor=abc%3D&limit=2", {"limit": 5})
    assert server.requests[0].query == {"cursor": ["abc="], "limit": ["5"], "apiKey": [MARKER]}


@pytest.mark.parametrize("link", [
    "https://evil.invalid/x", "http://evil.invalid/x", "//evil.invalid/x", "HTTPS://EVIL.invalid/", "http://127.0.0.1:1/x",
    "http://127.0.0.1.evil.invalid/", "http://user@127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x",
    "http://127.0.0.1:{port}@evil.invalid/x", "\\\\evil.invalid\\x", "http:evil.invalid", "file:///etc/passwd",
])  # fmt: skip
def test_the_key_never_goes_to_another_host(connect: MakeConnection, link: str) -> None:
    """A hostile next_url is refused, or stays on the vendor's host."""
    with serving(connect(), key=QueryKey("apiKey", SecretStr(MARKER))) as (client, server):
        port = server.http_url.rsplit(":", 1)[1]
        try:
            answer = client.get(link.replace("{port}", port))
        except SourceError as error:
            assert "a link leads to" in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert answer.url.startswith(server.http_url + "/")


def test_plain_http_is_for_this_machine_only(connect: MakeConnection) -> None:
    with pytest.raises(InputError, match="https://HOST"):
        HttpClient("http://api.vendor.com", source="vendor", key=NoKey(), connection=connect())


def test_certificates_are_verified(connect: MakeConnection, authority: Authority) -> None:
    files = authority.issue()
    with (
        serving(connect(), tls=files) as (client, _),
        pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get("things")
    with serving(connect(trust=authority.file), tls=files) as (client, _):
        assert client.get("things").status == 200
    elsewhere = serving(connect(trust=authority.file), tls=authority.issue("127.0.0.9"))
    with elsewhere as (client, _), pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get("things")


def test_a_broken_handshake_is_tried_again(connect: MakeConnection, authority: Authority) -> None:
    with serving(connect(trust=authority.file), Fault("tls_error"), tls=authority.issue()) as (client, server):
        assert client.get("things").status == 200
        assert len(server.requests) == 2


def test_every_attempt_is_counted(connect: MakeConnection) -> None:
    budgets = (Budget(unit="call", limit=10, period_s=86_400), Budget(unit="post", limit=100, period_s=86_400))
    connection = connect(budgets=budgets)
    with serving(connection, Fault("500"), Fault("503")) as (client, _):
        client.get("things", units={"call": 1, "post": 20})
    assert connection.quota.left("vendor", budgets) == {budgets[0]: 7, budgets[1]: 40}


def test_a_budget_that_frees_up_soon_is_waited_for(connect: MakeConnection, clock: SleepingClock) -> None:
    """Five calls a minute: twelve calls take two full minutes, and none is refused."""
    started = clock.instant
    with serving(connect(budgets=(Budget(unit="call", limit=5, period_s=60),))) as (client, server):
        for _ in range(12):
            client.get("things")
    assert len(server.requests) == 12
    assert clock.instant - started == timedelta(minutes=2)


def test_a_budget_used_up_for_long_is_an_error_before_the_call(connect: MakeConnection, clock: SleepingClock) -> None:
    with serving(connect(budgets=(Budget(unit="call", limit=2, period_s=86_400),))) as (client, server):
        client.get("things")
        client.get("things")
        with pytest.raises(QuotaError, match=r"2 calls in 86400 s.*from 2026-11-21 00:00:00 UTC"):
            client.get("things")
        assert (len(server.requests), clock.slept) == (2, [])


def test_an_answer_that_drips_is_cut_off(connect: MakeConnection) -> None:
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.05)
            yield b"x"

    def answer(_: Request) -> Reply:
        return Reply(lines=drip())

    connection = connect(timeout_s=0.08)
    started = time.monotonic()
    with serving(connection, answer=answer) as (client, _), pytest.raises(VendorError, match="too slowly"):
        client.get("things")
    assert time.monotonic() - started < 8.0
