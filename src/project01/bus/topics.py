"""Topics as code: names, partitions, retention. `project01 topics apply` brings a bus to this."""

from dataclasses import dataclass
from typing import Literal

from project01.domain import DEAD_LETTER_TOPIC, FUNDAMENTALS, NEWS_TOPIC, TICKS, TWEETS_TOPIC

DAY_MS = 86_400_000
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class TopicSpec:
    """Settings of one topic.

    Attributes:
        name: lower case, as in `domain.messages`.
        partitions: messages of one key stay in one partition; more can be added later, fewer cannot.
        retention_ms: how long messages are kept at least; -1 keeps them for ever.
        cleanup: ``delete`` drops messages past retention, ``compact`` keeps the newest of each key.
        max_message_bytes: larger messages are refused.
        replication: copies on a cluster; a broker alone holds one.
    """

    name: str
    partitions: int
    retention_ms: int
    cleanup: Literal["delete", "compact"] = "delete"
    max_message_bytes: int = MEBIBYTE
    replication: int = 1


# Posts must be erasable: the lake erases on a delete event, and the bus forgets within its retention.
TOPICS: dict[str, TopicSpec] = {
    spec.name: spec
    for spec in (
        TopicSpec(TICKS, partitions=6, retention_ms=3 * DAY_MS),
        TopicSpec(NEWS_TOPIC, partitions=3, retention_ms=14 * DAY_MS, max_message_bytes=16 * MEBIBYTE),
        TopicSpec(TWEETS_TOPIC, partitions=3, retention_ms=7 * DAY_MS),
        TopicSpec(FUNDAMENTALS, partitions=3, retention_ms=30 * DAY_MS, max_message_bytes=4 * MEBIBYTE),
        TopicSpec(DEAD_LETTER_TOPIC, partitions=1, retention_ms=30 * DAY_MS, max_message_bytes=48 * MEBIBYTE),
    )
}
