"""A real Kafka broker for tests: one for each test process that asks, and another for tests that break it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from infra.kafka.broker import KafkaBroker, missing_tools


def _started(folder: Path) -> KafkaBroker:
    missing = missing_tools()
    if missing:
        pytest.skip(missing)
    broker = KafkaBroker(folder)
    broker.start()
    return broker


@pytest.fixture(scope="session")
def kafka_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker that lives as long as the test process; give topics names of their own."""
    broker = _started(tmp_path_factory.mktemp("kafka"))
    yield broker.servers
    broker.stop()


@pytest.fixture(scope="session")
def _kafka_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    broker = _started(tmp_path_factory.mktemp("broken-kafka"))
    yield broker
    broker.kill()


@pytest.fixture
def kafka_broker(_kafka_to_break: KafkaBroker) -> KafkaBroker:
    """A running broker to `kill()`, `start()`, `restart()`, `pause()`, `resume()`; give topics names of their own."""
    if _kafka_to_break.pid is None:
        _kafka_to_break.start()
    _kafka_to_break.resume()
    return _kafka_to_break
