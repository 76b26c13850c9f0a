"""Run as a program: connects a vendor whose SDK cannot be imported, and says what came of it and how long it took."""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from project01.domain import FixedClock, InputError
from project01.ingest.connection import Connection
from project01.ingest.registry import VENDORS, connect

name, module = sys.argv[1:]
# How Python marks a module that must not be found.
sys.modules[module] = None  # type: ignore[assignment]
with tempfile.TemporaryDirectory() as folder:
    connection = Connection.from_environment(
        VENDORS[name],
        environment={"LSEG_APP_KEY": "key-that-nobody-asks-for"},
        folder=Path(folder),
        clock=FixedClock(datetime(2024, 1, 2, tzinfo=UTC)),
    )
    started = time.monotonic()
    try:
        connect(connection)
    except InputError as error:
        sys.stdout.write(f"{time.monotonic() - started:.3f} {error}\n")
    connection.quota.close()
