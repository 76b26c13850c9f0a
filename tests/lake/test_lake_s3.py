import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from project01.domain import MACRO, InputError, LakeError
from project01.lake import Lake, MergeCounts, Transaction

MacroRows = Callable[..., pl.DataFrame]


def test_every_operation_works_on_s3(bucket: str, s3_options: dict[str, str], macro_rows: MacroRows, day) -> None:
    lake = Lake(bucket, s3_options)
    assert lake.tables() == []
    assert not lake.exists("macro")
    first = macro_rows([("GDP", 1, 0, 1.0), ("CPI", 1, 0, 2.0)])
    landed = lake.append(MACRO, first, transaction=Transaction("t", 1))
    assert lake.append(MACRO, first, transaction=Transaction("t", 1)) == landed
    assert lake.merge(MACRO, macro_rows([("GDP", 1, 0, 1.0), ("GDP", 1, 5, 1.5)])) == MergeCounts(
        unchanged=1, revised=1
    )
    assert lake.tables() == ["macro"]
    assert lake.read("macro", as_of=day(1))["value"].to_list() == [2.0, 1.0]
    assert lake.read("macro", as_of=day(9))["value"].to_list() == [2.0, 1.5]
    digest = lake.digest("macro")
    assert lake.compact("macro").files_removed == 2
    assert lake.digest("macro") == digest
    assert len(lake.vacuum("macro", 0, allow_short_retention=True)) == 2
    assert lake.replace(MACRO, first) == lake.version("macro")
    assert lake.history("macro")["operation"].to_list()[0] == "WRITE"
    assert lake.scan("macro").collect().height == 2


def test_a_lake_on_s3_and_one_on_disk_have_the_same_digest(
    bucket: str, s3_options: dict[str, str], lake: Lake, macro_rows: MacroRows
) -> None:
    rows = macro_rows([("GDP", 1, 0, 1.0), ("CPI", 1, 3, 2.0)])
    remote = Lake(bucket, s3_options)
    remote.append(MACRO, rows)
    lake.append(MACRO, rows)
    assert remote.digest("macro") == lake.digest("macro")


def test_credentials_come_from_the_environment(
    bucket: str, s3_options: dict[str, str], macro_rows: MacroRows, day, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_options.items():
        monkeypatch.setenv(name, value)
    lake = Lake(bucket)
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    assert lake.read("macro", as_of=day(1)).height == 1
    assert lake.tables() == ["macro"]


def test_racing_writers_on_s3_lose_and_double_nothing(
    bucket: str, s3_options: dict[str, str], macro_rows: MacroRows
) -> None:
    """Three threads, each its own three rows by transaction, and all the same three rows by merge."""
    Lake(bucket, s3_options).merge(MACRO, macro_rows([("START", 1, 0, 0.0)]))
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        lake = Lake(bucket, s3_options)
        try:
            for number in range(1, 4):
                own = macro_rows([(f"W{writer}", number, 0, 1.0)])
                lake.append(MACRO, own, transaction=Transaction(f"w{writer}", number))
                lake.merge(MACRO, macro_rows([("SHARED", number, 0, 1.0)]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = Lake(bucket, s3_options).scan("macro").collect()["source_id"].to_list()
    expected = {f"{name}:{number}" for name in ("W0", "W1", "W2", "SHARED") for number in range(1, 4)}
    assert sorted(found) == sorted(expected | {"START:1"})


def test_secrets_stay_out_of_repr(s3_options: dict[str, str]) -> None:
    lake = Lake("s3://bucket/lake", s3_options)
    for text in (repr(lake), str(lake), lake.url, repr(lake.location)):
        assert "CANARY" not in text.upper()


# Refuses everything and, as S3 does, repeats the key id; here the secret as well. A process of its own, since delta-rs
# holds the interpreter while it lists a bucket.
ECHO = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = f"<Error><Code>SignatureDoesNotMatch</Code>{self.headers['Authorization']} canary/secret+value</Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    do_PUT = do_GET
    def log_message(self, *arguments):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def echoing_endpoint() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.terminate()


def test_secrets_stay_out_of_errors(
    echoing_endpoint: str, s3_options: dict[str, str], macro_rows: MacroRows, day
) -> None:
    lake = Lake("s3://bucket/lake", s3_options | {"AWS_ENDPOINT_URL": echoing_endpoint, "max_retries": "0"})
    rows = macro_rows([("GDP", 1, 0, 1.0)])
    for work in (lambda: lake.append(MACRO, rows), lambda: lake.read("macro", as_of=day(0)), lake.tables):
        with pytest.raises(LakeError, match="S3 refused the credentials") as caught:
            work()
        assert "CANARY" not in str(caught.value).upper()
        assert "***" in str(caught.value)
        assert caught.value.__cause__ is None, "a cause would print the secret in its traceback"
        assert caught.value.__suppress_context__


def test_a_missing_bucket_and_a_dead_endpoint_are_told_apart(
    s3_endpoint: str, s3_options: dict[str, str], macro_rows: MacroRows, day
) -> None:
    with pytest.raises(LakeError, match="bucket does not exist"):
        Lake("s3://no-such-bucket/lake", s3_options).append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    dead = s3_options | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "max_retries": "0"}
    with pytest.raises(LakeError, match="did not answer"):
        Lake("s3://bucket/lake", dead).read("macro", as_of=day(0))


@pytest.mark.parametrize("url", ["s3://AKID:hunter22@bucket/lake", "s3://bucket/lake?X-Amz-Signature=hunter22"])
def test_credentials_inside_the_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="in the environment") as caught:
        Lake(url)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_unsafe_renames_are_refused(by: str, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = "AWS_S3_ALLOW_UNSAFE_RENAME"
    if by == "environment":
        monkeypatch.setitem(os.environ, name, "true")
    else:
        s3_options[name.lower()] = "TRUE"
    with pytest.raises(InputError, match="conditional put"):
        Lake("s3://bucket/lake", s3_options)
