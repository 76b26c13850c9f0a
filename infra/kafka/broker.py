#!/usr/bin/env python3
"""A real Kafka broker, one node on loopback, from Maven jars on Java 17: for `make kafka` and for tests.

Standard library only. From the repository's root::

    python -m infra.kafka.broker run --port 9092 --data data/kafka

From a test::

    with KafkaBroker(tmp_path) as broker:
        bus = KafkaBus(broker.servers)
        broker.kill()
        broker.start()
"""

import argparse
import atexit
import contextlib
import errno
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra import maven

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
STARTED = b"Kafka Server started"
START_S, STOP_S = 90.0, 20.0


class BrokerError(Exception):
    """The broker cannot be had; the message is one line that says what to do."""


def missing_tools() -> str | None:
    """What is not installed, in one line; None where all is there."""
    return maven.missing_tools("kafka")


def _jars() -> Path:
    try:
        return maven.fetch_jars("kafka")
    except maven.JarsError as error:
        raise BrokerError(str(error)) from error


def _path_of(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        raise BrokerError(missing_tools() or f"{tool} is not on the PATH.")
    return found


def free_port() -> int:
    """A loopback port nobody listens on now.

    Below those that systems hand to outgoing connections (from 32768 on Linux, 49152 elsewhere), so that none of these
    takes it before its server starts; by chance, so that two programs that look at once seldom find the same.
    """
    while True:
        port = secrets.choice(range(20_000, 32_768))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
        return port


class KafkaBroker:
    """One broker process; it can be stopped, killed, frozen and started again on the same data and ports."""

    def __init__(self, folder: Path, port: int = 0, properties: Mapping[str, str] | None = None) -> None:
        """Prepare a broker.

        Args:
            folder: where its data, settings and log lie; made if it is not there.
            port: loopback port; 0 takes a free one.
            properties: settings of the broker beside those in ``server.properties``, or instead of them.
        """
        self.folder, self._extra = folder.resolve(), dict(properties or {})
        self.port, self._controller_port = port or free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        """Address for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """File with everything the broker said, over all its starts."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int | None:
        """Process id, None while the broker is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start, and wait until clients are served.

        Raises:
            BrokerError: Java is missing, the port is taken, or the broker did not come up.
        """
        if self.pid is not None:
            raise BrokerError(f"The broker on {self.servers} is running already.")
        self._refuse_taken_port()
        classpath = f"{_jars()}/*"
        self._format(classpath)
        position = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._die_with_parent(), *self._java(classpath), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self.kill)
        self._wait_until_ready(position)

    def stop(self) -> None:
        """Stop in order; killed if it takes longer than 20 s."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._gone()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._gone()

    def restart(self) -> None:
        """Kill, then start on the same data and ports."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open and nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self._running().send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Wait until the process ends by itself; its exit status."""
        return self._running().wait()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise BrokerError(f"The broker on {self.servers} is not running.")
        return self._process

    def _gone(self) -> None:
        self._process = None
        atexit.unregister(self.kill)

    @staticmethod
    def _java(classpath: str) -> list[str]:
        # Serial collection: half the memory of the default on a heap this small, and no threads to fight for the cores.
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"]
        options += [f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}", "-Djava.awt.headless=true"]
        return [_path_of("java"), *options, "-cp", classpath]

    @staticmethod
    def _die_with_parent() -> list[str]:
        # A test process that is itself killed leaves no broker behind. The kernel watches the thread, hence the check.
        setpriv = shutil.which("setpriv")
        if setpriv is None or threading.current_thread() is not threading.main_thread():
            return []
        return [setpriv, "--pdeathsig", "KILL"]

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise BrokerError(
                    f"Port {self.port} on 127.0.0.1 is taken, perhaps by another broker. Stop it, or pass --port."
                ) from error

    def _format(self, classpath: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        template = string.Template((HERE / "server.properties").read_text())
        data = self.folder / "log"
        ports = {"port": self.port, "controller_port": self._controller_port}
        extra = "".join(f"{name}={value}\n" for name, value in self._extra.items())
        self._properties.touch(mode=0o600)
        self._properties.write_text(template.substitute(ports, data=data) + extra)
        if (data / "meta.properties").exists():
            return
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = [*self._java(classpath), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
        command += ["--config", str(self._properties)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)  # noqa: S603
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise BrokerError(f"Kafka could not format {data}: {said[-1] if said else 'no message'}")

    def _wait_until_ready(self, position: int) -> None:
        process, deadline = self._running(), time.monotonic() + START_S
        while time.monotonic() < deadline:
            with self.log.open("rb") as log:
                log.seek(position)
                if STARTED in log.read():
                    return
            if process.poll() is not None:
                self._gone()
                raise BrokerError(f"The broker ended with status {process.returncode}: see {self.log}")
            time.sleep(0.05)
        self.kill()
        raise BrokerError(f"The broker on {self.servers} was not up within {START_S:.0f} s: see {self.log}")


def _run(port: int, data: Path) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with KafkaBroker(data, port) as broker:
        sys.stdout.write(
            f"Kafka serves on {broker.servers}, this machine only. Data: {data}, log: {broker.log}\n"
            f"Topics: project01 topics apply --bus kafka://{broker.servers}\n"
            f"Stop it with Ctrl-C.\n"
        )
        sys.stdout.flush()
        return broker.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a broker in the foreground")
    run.add_argument("--port", type=int, default=9092, help="loopback port, 9092 by default")
    run.add_argument("--data", type=Path, default=REPOSITORY / "data" / "kafka", help="folder of its data and log")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen.port, chosen.data)
    except BrokerError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
