"""How vendors are reached: HTTP, WebSockets and endless lines, with keys, quotas, retries and reconnects."""

from project01.ingest.transport.backlog import Backlog, Waiting
from project01.ingest.transport.backoff import Backoff, RetryPolicy
from project01.ingest.transport.http_client import Answer, HttpClient
from project01.ingest.transport.line_session import LineSession
from project01.ingest.transport.listening import listen
from project01.ingest.transport.quota import QuotaLedger
from project01.ingest.transport.redaction import HeaderKey, Key, NoKey, QueryKey, redact, redact_data
from project01.ingest.transport.session import Disconnected, Session
from project01.ingest.transport.spilling_queue import Received, Reconnected, SpillingQueue, StreamEvent
from project01.ingest.transport.websocket import WebSocketSession

__all__ = [
    "Answer",
    "Backlog",
    "Backoff",
    "Disconnected",
    "HeaderKey",
    "HttpClient",
    "Key",
    "LineSession",
    "NoKey",
    "QueryKey",
    "QuotaLedger",
    "Received",
    "Reconnected",
    "RetryPolicy",
    "Session",
    "SpillingQueue",
    "StreamEvent",
    "Waiting",
    "WebSocketSession",
    "listen",
    "redact",
    "redact_data",
]
