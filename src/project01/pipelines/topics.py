"""Topics as code: what would change on a bus, and changing it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from project01.bus import TOPICS, TopicSpec, apply, difference, open_bus
from project01.domain import InputError


def wanted_topics(partitions: Sequence[str], replication: int | None) -> list[TopicSpec]:
    """The topics as code has them, with the sizes of a cluster.

    Args:
        partitions: as ``ticks=24``.
        replication: copies of each message; None: one.

    Raises:
        InputError: an unknown topic, or no whole number above 0.
    """
    counts: dict[str, int] = {}
    for text in partitions:
        name, separator, count = text.partition("=")
        if not separator or name not in TOPICS or not count.isdecimal() or int(count) < 1:
            raise InputError(f"--partitions {text!r} is not of the form TOPIC=N with one of {', '.join(TOPICS)}.")
        counts[name] = int(count)
    return [
        replace(spec, partitions=counts.get(name, spec.partitions), replication=replication or spec.replication)
        for name, spec in TOPICS.items()
    ]


def apply_topics(url: str, specs: Sequence[TopicSpec], *, dry_run: bool) -> list[str]:
    """Bring a bus to `specs`; the changes, a line each, done unless it is a dry run.

    Raises:
        BusError: the bus cannot be reached, or refuses.
    """
    bus = open_bus(url)
    try:
        changes = difference(bus, specs)
        if not dry_run:
            apply(bus, changes)
        return [str(change) for change in changes]
    finally:
        bus.close()


def show_topics(url: str) -> list[dict[str, Any]]:
    """Every topic of a bus: settings in force, messages held, offset of the next one by partition."""
    bus = open_bus(url)
    try:
        rows = []
        for name, spec in sorted(bus.topics().items()):
            ranges = bus.ranges(name)
            held = sum(span.next - span.first for span in ranges.values())
            rows.append(
                {
                    "topic": name,
                    "partitions": spec.partitions,
                    "messages": held,
                    "retention_h": spec.retention_ms // 3_600_000 if spec.retention_ms >= 0 else "for ever",
                    "cleanup": spec.cleanup,
                    "max_message_bytes": spec.max_message_bytes,
                    "replication": spec.replication,
                }
            )
        return rows
    finally:
        bus.close()
