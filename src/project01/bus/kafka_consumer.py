"""The consumer of `KafkaBus`: partitions and offsets as told, no group, nothing committed."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from project01.bus.bus import Message
from project01.bus.kafka_client import REACH_S, ClientSettings, ConnectionState, load, unreachable
from project01.domain import BusError

if TYPE_CHECKING:
    import confluent_kafka

PATIENCE_S = 60.0
# librdkafka's messages become ours while they are still in the processor's cache: half the time of 10,000 at once.
PIECE = 1000
# A fetch brings hundreds of messages in several pieces; this long we wait for the next piece.
GATHER_S = 0.005


class KafkaConsumer:
    """Reads partitions of one topic; lives through restarts of the broker."""

    def __init__(self, settings: ClientSettings, topic: str, start: Mapping[int, int]) -> None:
        """Begin to read.

        Args:
            settings: from `client_settings`.
            topic: its name.
            start: partition -> first offset wanted, all inside the partition's range.
        """
        self._servers, self._topic = str(settings["bootstrap.servers"]), topic
        self._state = ConnectionState()
        self._error: BusError | None = None
        self._down_since: float | None = None
        kafka = load()
        self._client: confluent_kafka.Consumer = kafka.Consumer(
            {
                **settings,
                "error_cb": self._state,
                # Asked for by the client; without a subscription nobody joins it and nothing is committed.
                "group.id": "project01",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                # By default a full local queue stops fetching for a second, which halves the speed.
                "fetch.queue.backoff.ms": 5,
                # And a partition that is read to its end holds up the fetch of the others, by default 500 ms.
                "fetch.wait.max.ms": 50,
                "queued.min.messages": 50_000,
                "queued.max.messages.kbytes": 64 << 10,
            }
        )
        self._some_partition = kafka.TopicPartition(topic, next(iter(start), 0))
        self._client.assign([kafka.TopicPartition(topic, number, offset) for number, offset in start.items()])

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """Messages that are here, or come within `timeout_s`."""
        if self._error is not None:
            raise self._error
        found = self._client.consume(min(max_messages, PIECE), 0)
        if not found:
            found = self._client.consume(1, timeout_s)
            if found and max_messages > 1:
                found += self._client.consume(min(max_messages, PIECE) - 1, GATHER_S)
        if not found:
            self._check_connection()
            return []
        self._down_since, self._state.brokers_down = None, False
        messages = self._messages(found)
        while found and self._error is None and len(messages) < max_messages:
            found = self._client.consume(min(max_messages - len(messages), PIECE), 0)
            messages += self._messages(found)
        if not messages and self._error is not None:
            raise self._error
        return messages

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def __enter__(self) -> Self:
        """The consumer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _messages(self, found: "Sequence[confluent_kafka.Message]") -> list[Message]:
        messages = [
            # Kafka's clock counts milliseconds; a tombstone of a compacted topic has no value.
            Message(
                each.partition() or 0, each.offset() or 0, each.key(), each.value() or b"", each.timestamp()[1] * 1000
            )
            for each in found
            if each.error() is None
        ]
        if len(messages) < len(found):
            self._keep_error(found)
        return messages

    def _keep_error(self, found: "Sequence[confluent_kafka.Message]") -> None:
        """Raised with the next poll: what was read before it must still reach the caller."""
        for each in found:
            error = each.error()
            if error is None or error.name() in {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE"}:
                continue
            if error.name() in {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}:
                self._error = BusError(
                    f"Topic {self._topic}, partition {each.partition()}: messages from offset {each.offset()} on are "
                    f"gone before they were read; retention removed them, or the topic was made anew ({error.str()}). "
                    f"They are lost: raise the topic's retention, run landing more often, and fetch the span from the "
                    f"source again."
                )
            else:
                self._error = BusError(
                    f"Topic {self._topic} on {self._servers} cannot be read: {error.str()}. Look at the broker's log, "
                    f"and run `project01 topics` to see whether the topic is there."
                )
            return

    def _check_connection(self) -> None:
        if self._state.fatal:
            raise BusError(f"Kafka's client gave up: {self._state.fatal}. Start again.")
        if not self._state.brokers_down:
            return
        now = time.monotonic()
        if self._down_since is None:
            self._down_since = now
        if now - self._down_since > PATIENCE_S:
            self._ask_again()

    def _ask_again(self) -> None:
        """An idle topic says nothing after a reconnect: ask the broker before saying that it is away."""
        kafka = load()
        try:
            self._client.get_watermark_offsets(self._some_partition, timeout=REACH_S)
        except kafka.KafkaException as error:
            raise unreachable(self._servers, PATIENCE_S + REACH_S, self._state.text) from error
        self._down_since, self._state.brokers_down = None, False
