"""The same small market as the pipeline tests."""

from tests.pipelines.conftest import bars_folder, finished

__all__ = ["bars_folder", "finished"]
