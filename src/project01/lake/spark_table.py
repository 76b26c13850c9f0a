"""What Spark's driver does with a micro-batch: hand out the work, then commit all its files and offsets at once.

The commit goes through delta-rs, as the Python landing's does: it refuses to land an offset that another writer landed
since the table was looked at, which Spark's own ``txnAppId`` does not, and it is safe beside other writers on S3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from project01.domain import raw_table
from project01.lake.commits import check_schema, open_or_create, until_committed
from project01.lake.faults import told_clearly
from project01.lake.lake import Lake
from project01.lake.landing import Span, landed_offsets, landing_commit, refuse_holes
from project01.lake.raw import RAW_PROPERTIES
from project01.lake.spark_files import KAFKA_COLUMNS, WRITTEN_SCHEMA, WriteTask, Written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class SparkLanded:
    """What became of a micro-batch.

    Attributes:
        rows: messages added; those that another writer had landed are not counted.
        unreadable: of those, how many hold no record of ours.
        ends: by partition, the offset after the batch's last message.
    """

    rows: int
    unreadable: int
    ends: Mapping[int, int]


class SparkTable:
    """Landing of one topic into one lake from Spark.

    Args:
        lake: where the table lies.
        topic: the topic's name.
        topic_id: its identity on the bus it comes from.
    """

    def __init__(self, lake: Lake, topic: str, topic_id: str) -> None:
        self._lake, self._topic, self._topic_id = lake, topic, topic_id
        self._spec = raw_table(topic)

    def land(self, batch: "DataFrame", positions: Mapping[int, int]) -> SparkLanded:
        """Add the batch's messages that are not there yet, with their offsets, in one commit.

        Args:
            batch: rows of Spark's Kafka source.
            positions: every partition of the topic, with the offset at which its part of the batch begins.

        Raises:
            TransactionError: messages before the batch are missing.
            LakeError: the storage failed; the table is as before.
        """
        with told_clearly(f"Landing a batch of Spark's in table {self._spec.name}", self._lake.location):
            return until_committed(self._spec.name, lambda: self._attempt(batch, positions))

    def _attempt(self, batch: "DataFrame", positions: Mapping[int, int]) -> SparkLanded:
        # The handle that says what has landed also commits: delta-rs refuses if another writer landed in between.
        handle = open_or_create(self._lake.location, self._spec, RAW_PROPERTIES)
        check_schema(handle, self._spec)
        landed = landed_offsets(handle, self._topic, self._topic_id, list(positions))
        written = self._written(batch, landed)
        ends: dict[int, int] = {}
        for each in written:
            ends |= {number: max(end, ends.get(number, 0)) for number, end in each.ends.items()}
        spans = {number: Span(positions[number], end) for number, end in ends.items()}
        refuse_holes(spans, landed, self._spec.name)
        ahead = {number: span for number, span in spans.items() if landed.get(number, -1) < span.end}
        if ahead:
            handle.create_write_transaction(
                [each.action(each.path) for each in written if each.path is not None],
                "append",
                handle.schema(),
                commit_properties=landing_commit(self._topic, self._topic_id, ahead),
            )
        return SparkLanded(sum(each.rows for each in written), sum(each.unreadable for each in written), ends)

    def _written(self, batch: "DataFrame", landed: Mapping[int, int]) -> list[Written]:
        location = self._lake.location
        indexed = RAW_PROPERTIES["delta.dataSkippingStatsColumns"].split(",")
        address = location.address(self._spec.name)
        task = WriteTask(self._topic, self._topic_id, address, location.options, landed, indexed)
        found = batch.select(*KAFKA_COLUMNS).mapInArrow(task, WRITTEN_SCHEMA).collect()
        return [msgspec.json.decode(row["written"], type=Written) for row in found]
