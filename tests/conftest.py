"""Where the shared real data lies, and settings every test needs."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.effort import QUICK, THOROUGH

pytest_plugins = ("tests.kafka_broker",)

COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("thorough", **COMMON, max_examples=THOROUGH)
settings.register_profile("quick", **COMMON, max_examples=QUICK)


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is imported: decorators read how many examples there are to be."""
    settings.load_profile("quick" if config.option.markexpr == "not slow" else "thorough")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped, with this reason, where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PROJECT01_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set PROJECT01_SHARED_DATA to its folder")
    return folder
