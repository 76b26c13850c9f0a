"""Local servers that speak the vendors' protocols, for tests and for ``--simulate``."""

from project01.ingest.stand_ins.content import drift
from project01.ingest.stand_ins.exchange import Reply, Request, TlsFiles
from project01.ingest.stand_ins.faults import NO_FAULTS, SERVER_FAULTS, STREAM_FAULTS, Fault, FaultKind, FaultScript
from project01.ingest.stand_ins.feed import Feed, Subscription
from project01.ingest.stand_ins.server import StandInServer
from project01.ingest.stand_ins.sockets import Socket
from project01.ingest.stand_ins.trouble import Left

__all__ = [
    "NO_FAULTS",
    "SERVER_FAULTS",
    "STREAM_FAULTS",
    "Fault",
    "FaultKind",
    "FaultScript",
    "Feed",
    "Left",
    "Reply",
    "Request",
    "Socket",
    "StandInServer",
    "Subscription",
    "TlsFiles",
    "drift",
]
