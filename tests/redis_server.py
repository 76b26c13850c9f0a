"""A real Redis server on loopback for tests: memory only, no persistence, gone with the test process."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.kafka.broker import free_port

START_S = 20.0


def missing_server() -> str | None:
    """What is not installed, in one line; None where all is there."""
    if shutil.which("redis-server") is None:
        return "redis-server is not on the PATH; on Debian: apt-get install redis-server"
    return None


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[int]:
    """A server on a free port.

    Yields:
        Its port.
    """
    program = shutil.which("redis-server")
    assert program is not None
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait_until_open(port, process, folder / "redis.log")
            yield port
        finally:
            process.terminate()
            process.wait(START_S)


def _wait_until_open(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"redis-server ended with status {process.returncode}: {log.read_text()}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"redis-server was not up within {START_S:.0f} s: {log.read_text()}")
