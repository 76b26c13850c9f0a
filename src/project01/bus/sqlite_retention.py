"""What a SQLite bus forgets: messages past their topic's retention, or replaced by a newer one of their key."""

import sqlite3

from project01.bus.sqlite_file import OFFSETS, SqliteFile
from project01.bus.topics import TopicSpec

# Messages removed in one transaction at most, so that nobody waits long to publish.
_AT_ONCE = 20_000


def remove_expired(file: SqliteFile, spec: TopicSpec, now: int) -> int:
    """Remove all that one topic need not keep at `now` (microseconds UTC); how many messages went."""
    if spec.cleanup == "compact":
        with file.writing() as connection:
            return _compact(connection, spec, now)
    removed = 0
    while True:
        with file.writing() as connection:
            gone = expire(connection, spec.name, now, _AT_ONCE)
        removed += gone
        if not gone:
            return removed


def expire(connection: sqlite3.Connection, topic: str, now: int, most: int) -> int:
    """Remove up to `most` messages past retention from each partition of a ``delete`` topic; how many went.

    Messages go from the front only, up to the first that must stay: a clock that was set back makes no holes.
    """
    query = "SELECT retention_ms FROM topics WHERE name = ? AND cleanup = 'delete' AND retention_ms >= 0"
    kept = connection.execute(query, (topic,)).fetchone()
    if kept is None:
        return 0
    removed = 0
    partitions = connection.execute("SELECT id, first, next FROM partitions WHERE topic = ?", (topic,)).fetchall()
    for partition, first, following in partitions:
        front, end = partition * OFFSETS + first, partition * OFFSETS + min(following, first + most)
        stays = connection.execute(
            "SELECT id FROM messages WHERE id >= ? AND id < ? AND published_at >= ? ORDER BY id LIMIT 1",
            (front, end, now - 1000 * kept[0]),
        ).fetchone()
        gone = (stays[0] if stays else end) - front
        if gone:
            connection.execute("DELETE FROM messages WHERE id >= ? AND id < ?", (front, front + gone))
            connection.execute("UPDATE partitions SET first = first + ? WHERE id = ?", (gone, partition))
        removed += gone
    return removed


def _compact(connection: sqlite3.Connection, spec: TopicSpec, now: int) -> int:
    """Remove what is past retention and replaced; offsets stay, so readers step over the holes, as on Kafka."""
    removed = 0
    for (partition,) in connection.execute("SELECT id FROM partitions WHERE topic = ?", (spec.name,)).fetchall():
        bounds = {"front": partition * OFFSETS, "end": (partition + 1) * OFFSETS}
        removed += connection.execute(
            "DELETE FROM messages WHERE id >= :front AND id < :end AND key IS NOT NULL AND published_at < :before "
            "AND id NOT IN (SELECT max(id) FROM messages WHERE id >= :front AND id < :end GROUP BY key)",
            {**bounds, "before": now - 1000 * max(spec.retention_ms, 0)},
        ).rowcount
    return removed
