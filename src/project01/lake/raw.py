"""The raw table of one topic: what has landed, landing a batch once, keeping its files few."""

from collections.abc import Sequence

import polars as pl
from deltalake import DeltaTable

from project01.domain import TableSpec, raw_table
from project01.lake.commits import check_schema, commit_append, open_or_create, open_table, until_committed
from project01.lake.faults import told_clearly
from project01.lake.lake import SMALL_FILE_BYTES, Compaction, Lake
from project01.lake.landing import LandingBatch, check_repeated, landed_offsets, landing_commit, rows_to_land

# Whoever wants to know what a topic held at a time asks by offset or published_at, never by table version: so the log
# of versions, one a second in a busy hour, need not be kept long. Numbers and times are what readers filter by;
# smallest and largest of long texts would only cost time.
RAW_PROPERTIES = {
    "delta.logRetentionDuration": "interval 2 days",
    "delta.dataSkippingStatsColumns": "topic_id,partition,offset,published_at,source,event_time,knowledge_time",
}


class RawTable:
    """Landing of one topic into one lake.

    Args:
        lake: where the table lies.
        topic: the topic's name.
        topic_id: its identity on the bus it comes from.
    """

    def __init__(self, lake: Lake, topic: str, topic_id: str) -> None:
        self._lake, self._topic, self._topic_id = lake, topic, topic_id
        self._spec = raw_table(topic)
        self._handle: DeltaTable | None = None

    @property
    def spec(self) -> TableSpec:
        """The table."""
        return self._spec

    def landed(self, partitions: Sequence[int]) -> dict[int, int]:
        """By partition, the offset of the next message to land; partitions of which nothing landed are absent.

        Raises:
            LakeError: the table cannot be read.
        """
        with told_clearly(f"Opening table {self._spec.name}", self._lake.location):
            handle = open_table(self._lake.location, self._spec.name)
            return landed_offsets(handle, self._topic, self._topic_id, partitions)

    def land(self, batch: LandingBatch) -> int:
        """Add the batch's rows that are not there yet, with their offsets, in one commit; how many were added.

        Landing a batch again, or one that overlaps another writer's, adds only what is missing.

        Raises:
            TransactionError: messages before the batch are missing, or an offset holds another message already.
            LakeError: the storage failed; the table is as before.
        """
        count = batch.rows.height
        with told_clearly(f"Landing {count} messages in table {self._spec.name}", self._lake.location):
            return until_committed(self._spec.name, lambda: self._attempt(batch))

    def _attempt(self, batch: LandingBatch) -> int:
        rows = batch.rows
        handle = self._fresh()
        landed = landed_offsets(handle, self._topic, self._topic_id, list(batch.spans))
        fresh = rows_to_land(rows, batch.spans, landed, self._spec.name)
        if fresh.height < rows.height:
            self._compare(handle, rows, fresh)
        ahead = {number: span for number, span in batch.spans.items() if landed.get(number, -1) < span.end}
        if not ahead:
            return 0
        try:
            commit_append(handle, fresh, self._spec.schema, landing_commit(self._topic, self._topic_id, ahead))
        except BaseException:
            self._handle = None
            raise
        return fresh.height

    def _fresh(self) -> DeltaTable:
        """A handle that knows every commit up to now; the one of the last landing is brought up to date."""
        if self._handle is None:
            self._handle = open_or_create(self._lake.location, self._spec, RAW_PROPERTIES)
            check_schema(self._handle, self._spec)
        else:
            self._handle.update_incremental()
        return self._handle

    def _compare(self, handle: DeltaTable, rows: pl.DataFrame, fresh: pl.DataFrame) -> None:
        again = rows.join(fresh, on=list(self._spec.key), how="anti")
        within = pl.col("offset").is_between(again["offset"].min(), again["offset"].max())
        there = pl.scan_delta(handle).filter(pl.col("topic_id") == self._topic_id, within)
        known = there.select(*self._spec.key, "value").collect().join(again, on=list(self._spec.key), how="semi")
        check_repeated(known, again, self._spec)

    def small_files(self) -> int:
        """How many data files are well below the size that compaction makes; 0 for a table that is not there."""
        return self._lake.small_files(self._spec.name)

    def compact(self) -> Compaction:
        """Join small files, those just joined included until they reach a good size."""
        return self._lake.compact(self._spec.name, target_bytes=2 * SMALL_FILE_BYTES)
