"""Where the shared real data lies, settings every test needs, and how workers share the tests."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.effort import QUICK, THOROUGH

pytest_plugins = ("tests.kafka_broker",)

# Many an image forbids Python to keep what it has compiled. Here hundreds of processes begin, and most of the time of
# each would go into compiling the same libraries once more. Processes that tests start inherit it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Fixtures that stand for a server; their files take minutes.
SERVERS = frozenset({"spark", "cluster", "java", "spark_jars", "kafka_broker", "kafka_servers"})

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("thorough", **COMMON, max_examples=THOROUGH)
settings.register_profile("quick", **COMMON, max_examples=QUICK)


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is imported: decorators read how many examples there are to be."""
    settings.load_profile("quick" if config.option.markexpr == "not slow" else "thorough")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a server come first: taken last, the longest of them would keep one worker busy, and others idle."""
    longest = {item.path for item in items if SERVERS & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path not in longest)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n`` a whole file goes to one worker, so that its servers and what it compiles and runs once are once."""
    from xdist.scheduler import LoadFileScheduling

    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped, with this reason, where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PROJECT01_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set PROJECT01_SHARED_DATA to its folder")
    return folder
