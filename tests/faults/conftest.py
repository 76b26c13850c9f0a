"""A disk that can be made full or read-only."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB of its own."""
    folder, mount = tmp_path / "disk", shutil.which("mount")
    folder.mkdir()
    if mount is None:
        pytest.skip("there is no mount command here")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting a small tmpfs needs more rights than this user has")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def remount(small_disk: Path) -> Callable[[str], None]:
    """Change an option of the small disk, such as ``ro`` or ``size=64m``."""
    return lambda option: subprocess.run(["mount", "-o", f"remount,{option}", small_disk], check=True) and None


@pytest.fixture
def leave(small_disk: Path) -> Callable[[int], None]:
    """Fill the small disk until only so many KiB are free; 0 frees all of the filling again."""
    filler = small_disk / "filler"

    def fill(kibibytes: int) -> None:
        filler.unlink(missing_ok=True)
        if kibibytes:
            filler.write_bytes(b"\1" * (shutil.disk_usage(small_disk).free - (kibibytes << 10)))

    return fill
