import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen
from zlib import crc32

import polars as pl
import pytest
from infra.kafka.broker import free_port

from project01.domain import FixedClock
from project01.lake import Lake

Version = tuple[str, int, int, float]  # series, month of the period, days until known, value
START = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def macro_rows() -> Callable[[Sequence[Version]], pl.DataFrame]:
    """Rows of the macro table, all columns but ingested_at, from (series, month, day known, value)."""

    def build(versions: Sequence[Version]) -> pl.DataFrame:
        return pl.DataFrame(
            [
                (
                    "test",
                    f"{series}:{month}",
                    START,
                    START + timedelta(days=known),
                    False,
                    series,
                    date(2020, month, 1),
                    v,
                )
                for series, month, known, v in versions
            ],
            schema={
                "source": pl.String,
                "source_id": pl.String,
                "event_time": pl.Datetime("us", "UTC"),
                "knowledge_time": pl.Datetime("us", "UTC"),
                "simulated": pl.Boolean,
                "series_id": pl.String,
                "period": pl.Date,
                "value": pl.Float64,
            },
            orient="row",
        )

    return build


@pytest.fixture
def day() -> Callable[[int], datetime]:
    return lambda number: START + timedelta(days=number)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A moto server on loopback; it honours conditional puts as S3 does."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the moto server ended before it answered"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the moto server did not answer within 30 s")


@pytest.fixture
def s3_options(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    return {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "AKIDCANARY0001",
        "AWS_SECRET_ACCESS_KEY": "canary/secret+value",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def bucket(s3_endpoint: str, request: pytest.FixtureRequest) -> str:
    name = f"b{crc32(request.node.nodeid.encode())}"
    with urlopen(Request(f"{s3_endpoint}/{name}", method="PUT"), timeout=30):  # noqa: S310 - loopback
        return f"s3://{name}/lake"
