"""Shared parts of the store's tests: a catalogue, small feature tables and the slow, obvious point-in-time join."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from tests.redis_server import missing_server, redis_server

from project01.store.feast_import import ONLINE_STORE, REDIS_STORE

UTC_TIME = pl.Datetime("us", "UTC")
DAY = timedelta(days=1)
START = datetime(2024, 3, 1, 21, tzinfo=UTC)


def entities(*asked: tuple[str, datetime]) -> pl.DataFrame:
    return pl.DataFrame(list(asked), schema={"symbol": pl.String, "as_of": UTC_TIME}, orient="row")


@dataclass(frozen=True)
class Info:
    name: str
    group: str
    unit: str = "1"
    description: str = "a feature of the tests"
    source: str = "made up"


@dataclass(frozen=True)
class Row:
    """One row of a feature table; `value` tells rows apart."""

    key: str | None
    event: datetime | None
    known: datetime | None
    value: float


def newest_known_value(
    rows: Iterable[Row], key: str | None, at: datetime, ttl: timedelta | None, by_knowledge: bool
) -> float | None:
    """The oracle: look at every row, keep the newest event, of it the newest version, of these the last row."""
    best: Row | None = None
    for row in rows:
        if row.key is None or row.key != key or row.event is None or row.event > at:
            continue
        if by_knowledge and (row.known is None or row.known > at):
            continue
        order = (row.event, row.known or datetime.min.replace(tzinfo=UTC))
        if best is None or order >= (best.event, best.known or datetime.min.replace(tzinfo=UTC)):
            best = row
    if best is None or best.event is None or (ttl and best.event < at - ttl):
        return None
    return best.value


def table_of(rows: Sequence[Row], **columns: Callable[[Row], Any]) -> pl.DataFrame:
    """A feature table with columns symbol, session, event_time, knowledge_time, `a` = value and more computed ones."""
    frame = pl.DataFrame(
        {
            "symbol": [row.key for row in rows],
            "session": [row.event.date() if row.event else None for row in rows],
            "event_time": [row.event for row in rows],
            "knowledge_time": [row.known for row in rows],
            "a": [row.value for row in rows],
        },
        schema={
            "symbol": pl.String,
            "session": pl.Date,
            "event_time": UTC_TIME,
            "knowledge_time": UTC_TIME,
            "a": pl.Float32,
        },
    )
    return frame.with_columns(
        pl.Series(name, [compute(row) for row in rows], dtype=pl.Float32) for name, compute in columns.items()
    )


@pytest.fixture(scope="session")
def oracle() -> Callable[..., float | None]:
    return newest_known_value


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pl.DataFrame]:
    return table_of


@pytest.fixture(scope="session")
def row_type() -> type[Row]:
    return Row


@pytest.fixture(scope="session")
def info_type() -> type[Info]:
    return Info


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, pl.DataFrame], Path]:
    """Write a Delta table under a lake and return the lake's folder."""

    def write_table(name: str, table: pl.DataFrame) -> Path:
        write_deltalake(str(tmp_path / "lake" / name), table.to_arrow(), mode="overwrite")
        return tmp_path / "lake"

    return write_table


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Redis server for this test process; the test is skipped where there is no server or no client."""
    missing = missing_server() or (None if find_spec("redis") else "the extra 'redis' is not installed")
    if missing:
        pytest.skip(missing)
    with redis_server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(params=["sqlite", "redis"])
def online_section(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Feast's ``online_store`` section of an empty store of each kind."""
    if request.param == "sqlite":
        return {"type": ONLINE_STORE, "path": "deep/online.db"}
    port = request.getfixturevalue("redis_port")
    return empty_redis(port)


def empty_redis(port: int) -> dict[str, Any]:
    """The section of a Redis store without any key."""
    import redis

    with redis.Redis(port=port) as client:
        client.flushall()
    return {"type": REDIS_STORE, "url": f"redis://127.0.0.1:{port}/0"}
