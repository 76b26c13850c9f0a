"""The bus behind an address, as people give it."""

import re
from pathlib import Path

from project01.bus.bus import Bus
from project01.bus.memory import MemoryBus
from project01.bus.sqlite import SqliteBus
from project01.domain import InputError

_KNOWN = (
    "Known are: a file's path or sqlite:///absolute/path or sqlite://relative/path, kafka://host:port[,host:port], "
    "and memory:// (gone when the program ends)."
)
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")


def open_bus(url: str) -> Bus:
    """Open the bus that `url` names; a SQLite file is made where there is none.

    Args:
        url: ``memory://``, ``sqlite:///absolute/path``, ``sqlite://relative/path``, a plain path, or
            ``kafka://host:port[,host:port]``.

    Raises:
        InputError: the address is none of these. It is not repeated in the error, for it may hold a password.
        MissingExtraError: Kafka's client is not installed.
        BusError: the bus cannot be opened.
    """
    scheme, separator, rest = url.partition("://")
    if not separator and url.strip():
        return SqliteBus(Path(url))
    match scheme.lower():
        case "memory" if not rest:
            return MemoryBus()
        case "sqlite" if rest:
            return SqliteBus(Path(rest))
        case "kafka" if all(_SERVER.fullmatch(server) for server in rest.split(",")):
            from project01.bus.kafka import KafkaBus

            return KafkaBus(rest)
        case "memory" | "sqlite" | "kafka" as known:
            raise InputError(f"What follows {known}:// in the address of the bus cannot be read. {_KNOWN}")
        case _:
            raise InputError(f"The address of the bus begins with no kind of bus that Project01 knows. {_KNOWN}")
