"""A real Kafka broker for tests: one for each test process that asks, and one of its own for a test that breaks it."""

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


@pytest.fixture
def kafka_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker for this test alone: `kill()`, `start()`, `restart()`, `pause()`, `resume()` as it likes."""
    broker = _started(tmp_path / "kafka")
    yield broker
    broker.kill()
