"""Addresses of buses, as people type them."""

from contextlib import closing
from pathlib import Path

import pytest

from project01.bus import MemoryBus, SqliteBus, open_bus
from project01.domain import InputError


def test_memory_is_a_bus_of_its_own_each_time() -> None:
    one, other = open_bus("memory://"), open_bus("MEMORY://")
    assert isinstance(one, MemoryBus)
    assert one is not other


@pytest.mark.parametrize("form", ["sqlite://{0}/a b/bus.db", "{0}/a b/bus.db", "sqlite://a b/bus.db", "a b/bus.db"])
def test_a_file_is_opened_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_bus(form.format(tmp_path))) as bus:
        assert isinstance(bus, SqliteBus)
        assert bus.url == f"sqlite://{tmp_path}/a b/bus.db"
    assert (tmp_path / "a b" / "bus.db").exists()
    with closing(open_bus(bus.url)) as again:
        assert again.url == bus.url


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "://", "memory://x", "sqlite://", "kafka://", "kafka://host", "kafka://host:port", "kafka://a:1,",
        "kafka://user:hunter2@host:9092", "redis://:hunter2@host", "https://host/?key=hunter2",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_known(address: str) -> None:
    with pytest.raises(InputError, match=r"Known are: .*sqlite:///absolute/path.*kafka://.*memory://") as caught:
        open_bus(address)
    assert "hunter2" not in str(caught.value)
