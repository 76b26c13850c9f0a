"""Every secret is a marker; after runs that go well and badly, with debug logs, no marker is anywhere."""

import json
import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import polars as pl
import pyarrow as pa
import pytest
from tests.faults.canaries import Canary, canaries, hunt
from tests.pipelines.conftest import Done, run_cli

from project01.domain import TableSpec
from project01.ingest import VENDORS
from project01.ingest.stand_ins import Reply, Request, StandInServer
from project01.lake import Lake

SYMBOLS = {
    "polygon": "SIMA,SIMB", "ravenpack": "", "newsapi": "AAPL,MSFT", "twitter": "AAPL,MSFT",
    "quandl": "FRED/GDP,LBMA/GOLD", "fred": "UNRATE,CPIAUCSL", "edgar": "",
}  # fmt: skip
OVER_HTTP = tuple(name for name, spec in VENDORS.items() if spec.sdk is None)
HIDDEN = canaries()
ENVIRONMENT = {canary.variable: canary.value for canary in HIDDEN} | {"PROJECT01_LOG": "debug"}


def run(said: Path, *arguments: object) -> Done:
    """The command with all secrets set; what it said is kept."""
    done = run_cli(*map(str, arguments), **ENVIRONMENT)
    assert "Traceback" not in done.err
    said.mkdir(exist_ok=True)
    number = len(list(said.iterdir()))
    (said / f"{number}-{'-'.join(map(str, arguments[:2]))}").write_text(done.out + done.err)
    return done


def ingest(said: Path, name: str, out: Path, *more: object) -> Done:
    symbols = ("--symbols", SYMBOLS[name]) if SYMBOLS[name] else ()
    return run(said, "ingest", name, "--out", out, *symbols, *more)


def echo(statuses: Iterator[int]) -> StandInServer:
    """Answers with these statuses, and with all that was sent: as careless vendors and proxies do."""

    def answer(request: Request) -> Reply:
        seen = {
            "path": request.path, "query": request.query, "headers": dict(request.headers),
            "again": urlencode(request.query, doseq=True), "body": request.body.decode(errors="replace"),
        }  # fmt: skip
        return Reply(next(statuses), json.dumps(seen).encode(), {"Retry-After": "0"})

    return StandInServer(http=answer)


@contextmanager
def proxied(name: str, folder: Path, keys: Mapping[str, Canary]) -> Iterator[StandInServer]:
    """The vendor's stand-in behind a proxy that takes our marker for its key; so the key that is sent is the right one.

    Each answer has the marker in it once more, in a field that the vendor's documentation does not know.
    """
    play = import_module(f"project01.ingest.stand_ins.{name}").stand_in
    with play() as stand_in, httpx.Client(timeout=30.0) as client:
        connection = stand_in.connection(folder)
        right = {
            keys[credential.variables[0]].value: connection.secrets[credential.name].get_secret_value()
            for credential in VENDORS[name].credentials
            if credential.name in connection.secrets
        }

        def swap(text: str) -> str:
            for ours, theirs in right.items():
                text = text.replace(ours, theirs)
            return text

        def answer(request: Request) -> Reply:
            used = [
                ours
                for ours in right
                for value in chain(request.headers.values(), *request.query.values())
                if ours in value
            ]
            headers = {
                key: swap(value) for key, value in request.headers.items() if key not in {"host", "content-length"}
            }
            query = [(key, swap(value)) for key, values in request.query.items() for value in values]
            url = f"{connection.address.rstrip('/')}{request.path}"
            found = client.request(request.method, url, params=query, headers=headers, content=request.body)
            body = found.text.replace(connection.address.rstrip("/"), server.http_url)
            if used and body.startswith("{"):
                body = f'{{"your_key":{json.dumps(used[0])},{body[1:]}'
            kept = {key: value for key, value in found.headers.items() if key in {"content-type", "retry-after"}}
            return Reply(found.status_code, body.encode(), kept)

        with StandInServer(http=answer) as server:
            yield server


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def assert_no_canary(*places: Path) -> None:
    result = hunt(places, HIDDEN)
    assert result.found == []
    assert result.looked > 10_000, "there was nothing to look through"


def look_round(said: Path, out: Path) -> None:
    """The commands that show what there is."""
    run(said, "land", "--out", out)
    run(said, "dead-letters", "show", "--out", out, "--limit", "1000")
    run(said, "dead-letters", "show", "--out", out, "--json")
    run(said, "dead-letters", "replay", "--out", out)
    run(said, "sources", "show")
    run(said, "sources", "gaps", "--out", out)
    run(said, "doctor")
    run(said, "config", "show")


@pytest.mark.slow
def test_refused_keys_and_failing_servers_that_echo_leave_no_secret_anywhere(said: Path, out: Path) -> None:
    for name in OVER_HTTP:
        with echo(repeat(401)) as server:
            refused = ingest(said, name, out, "--address", server.http_url)
            assert refused.code in {1, 2}, name
            assert "DEBUG" in refused.err
            assert server.requests, f"{name} asked nothing"
        with echo(chain([429, 500, 503, 403], repeat(403))) as server:
            ingest(said, name, out, "--address", server.http_url)
        with echo(chain([429, 500], repeat(200))) as server:
            ingest(said, name, out, "--address", server.http_url)
            assert len(server.requests) >= 3, name
    look_round(said, out)
    assert_no_canary(said, out)


@pytest.mark.slow
def test_right_keys_leave_no_secret_anywhere(said: Path, out: Path, tmp_path: Path) -> None:
    keys = {canary.variable: canary for canary in HIDDEN}
    for name in OVER_HTTP:
        with proxied(name, tmp_path / "stand-ins" / name, keys) as server:
            done = ingest(said, name, out, "--address", server.http_url, "--json")
            assert done.code == 0, f"{name}: {done.err[-1500:]}"
            sent = str([(request.query, request.headers) for request in server.requests])
            variables = [variable for credential in VENDORS[name].credentials for variable in credential.variables]
            assert any(keys[variable].core in sent for variable in variables), f"{name} sent no key"
            assert json.loads(done.out)["records"] > 0, name
    look_round(said, out)
    assert_no_canary(said, out)


@pytest.mark.slow
def test_simulations_refused_streams_and_missing_libraries_leave_no_secret_anywhere(said: Path, out: Path) -> None:
    for name in VENDORS:
        assert run(said, "ingest", name, "--simulate", "--out", out).code == 0, name
        if VENDORS[name].sdk is not None:
            assert run(said, "ingest", name, "--symbols", "AAPL", "--out", out).code in {1, 2}
    play = import_module("project01.ingest.stand_ins.polygon").stand_in
    with play() as market:
        stream = ("--stream", "--seconds", "20", "--stream-address", market.server.socket_url)
        refused = ingest(said, "polygon", out, *stream, "--address", market.server.http_url)
        assert refused.code in {1, 2}
        assert "POLYGON_API_KEY" in refused.err or "key" in refused.err
    with echo(repeat(401)) as server:
        for name in ("twitter", "ravenpack"):
            ingest(said, name, out, "--stream", "--seconds", "5", "--address", server.http_url, *_stream_at(server))
    look_round(said, out)
    assert_no_canary(said, out)


def _stream_at(server: StandInServer) -> tuple[str, str]:
    return "--stream-address", server.http_url


def test_the_hunt_finds_each_form_in_files_databases_and_tables(tmp_path: Path) -> None:
    canary = HIDDEN[0]
    texts = [canary.value, quote(canary.value, safe=""), json.dumps({"key": canary.value})]
    texts += [b64encode(f"{'x' * n}{canary.value} and more".encode()).decode() for n in range(4)]
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "log").write_bytes(b"\xff before " + text.encode() + b" after")
        assert hunt([folder], HIDDEN).found, text
        assert not hunt([folder], [replace(canary, value="k/other", core="other")]).found
    folder = tmp_path / "packed"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "one.sqlite")) as database, database:
        database.execute("CREATE TABLE t (a)")
        database.execute("INSERT INTO t VALUES (?)", ("x" * 5_000 + canary.value,))
    spec = TableSpec("notes", pa.schema([pa.field("text", pa.string(), nullable=False)]), ("text",))
    Lake(folder / "lake").append(spec, pl.DataFrame({"text": [f"{n} {canary.value}" for n in range(50)]}))
    found = hunt([folder], [canary]).found
    assert any(place.endswith("one.sqlite, a row") for place in found)
    assert any(place.endswith("table notes") for place in found)
