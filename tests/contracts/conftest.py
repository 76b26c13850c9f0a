"""Each bus in turn."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.contracts.bus_running import BACKENDS, Backend

from project01.bus import Bus


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = request.param(request, tmp_path)
    with closing(made.bus):
        yield made


@pytest.fixture
def bus(backend: Backend) -> Bus:
    return backend.bus
