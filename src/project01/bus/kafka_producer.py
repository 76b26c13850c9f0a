"""The producer of `KafkaBus`: idempotent, acknowledged by all replicas, waits while librdkafka's queue is full."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from project01.bus.kafka_client import FRAME_BYTES, ClientSettings, ConnectionState, load
from project01.bus.memory import check_sizes
from project01.bus.topics import TopicSpec
from project01.domain import BusError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

BATCH_BYTES = 1_000_000
HAND_OVER = 1000
QUEUE_KIBIBYTES = 256 << 10
LARGEST_MESSAGE = 256 << 20
AFTER_FAILURE_S = 5.0


class KafkaProducer:
    """Publishes to Kafka; what librdkafka holds is not published before `flush` says so."""

    def __init__(
        self,
        settings: ClientSettings,
        topic_spec: Callable[[str], TopicSpec],
        queue_messages: int,
        delivery_timeout_s: float,
    ) -> None:
        """Prepare a producer; it connects with the first message.

        Args:
            settings: from `client_settings`.
            topic_spec: asks the broker for a topic's settings; raises `BusError` where there is none.
            queue_messages: most messages handed over and not acknowledged.
            delivery_timeout_s: a message not acknowledged after this counts as failed.
        """
        self._settings, self._topic_spec = settings, topic_spec
        self._queue_messages, self._delivery_timeout_s = queue_messages, delivery_timeout_s
        self._specs: dict[str, TopicSpec] = {}
        self._clients: dict[int, Producer] = {}
        self._state = ConnectionState()
        self._handed_over = 0
        self._failed = 0
        self._reason = ""

    def publish(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Hand the messages to librdkafka; waits for room in its queue."""
        client = self._client(self._checked_spec(topic, messages))
        for start in range(0, len(messages), HAND_OVER):
            some = messages[start : start + HAND_OVER]
            self._hand_over(client, topic, [{"key": key, "value": value} for key, value in some])

    def flush(self) -> int:
        """Wait until the brokers acknowledged everything; how many that were since the last flush."""
        waiting = self._drain(self._delivery_timeout_s + AFTER_FAILURE_S)
        handed_over, failed, reason = self._handed_over, self._failed + waiting, self._reason
        self._handed_over, self._failed, self._reason = waiting, 0, ""
        if failed:
            raise BusError(
                f"{failed} of {handed_over} messages were not acknowledged by {self._settings['bootstrap.servers']}: "
                f"{reason or self._state.text or 'no answer'}. Publish them again; those that did arrive are "
                f"recognised by their source_id on landing."
            )
        return handed_over

    def close(self) -> None:
        """Flush and disconnect."""
        try:
            self.flush()
        finally:
            self._disconnect()

    def __enter__(self) -> Self:
        """The producer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error, what is not delivered within seconds is given up, so that the error is seen."""
        if kind is None:
            self.close()
        else:
            self._drain(AFTER_FAILURE_S)
            self._disconnect()

    def _checked_spec(self, topic: str, messages: Sequence[tuple[bytes | None, bytes]]) -> TopicSpec:
        known = topic in self._specs
        if not known:
            self._specs[topic] = self._topic_spec(topic)
        try:
            check_sizes(self._specs[topic], messages)
        except BusError:
            if not known:
                raise
            # The limit may have been raised since it was asked for.
            self._specs[topic] = self._topic_spec(topic)
            check_sizes(self._specs[topic], messages)
        return self._specs[topic]

    def _client(self, spec: TopicSpec) -> "Producer":
        # A batch larger than the topic's limit is refused whole, and librdkafka has one batch size for each client.
        batch_bytes = min(BATCH_BYTES, spec.max_message_bytes)
        if batch_bytes not in self._clients:
            self._clients[batch_bytes] = load().Producer(
                {
                    **self._settings,
                    "error_cb": self._state,
                    "acks": "all",
                    "enable.idempotence": True,
                    "compression.type": "lz4",
                    "partitioner": "consistent",
                    "linger.ms": 5,
                    "batch.size": batch_bytes,
                    "message.max.bytes": LARGEST_MESSAGE,
                    "message.timeout.ms": round(self._delivery_timeout_s * 1000),
                    "queue.buffering.max.messages": self._queue_messages,
                    "queue.buffering.max.kbytes": max(QUEUE_KIBIBYTES, spec.max_message_bytes + FRAME_BYTES >> 9),
                    # A report in Python for each message costs more than sending it; successes are counted by `flush`.
                    "delivery.report.only.error": True,
                    "topic.metadata.refresh.interval.ms": 60_000,
                }
            )
        return self._clients[batch_bytes]

    def _hand_over(self, client: "Producer", topic: str, messages: list[dict[str, Any]]) -> None:
        give_up = time.monotonic() + self._delivery_timeout_s + AFTER_FAILURE_S
        while messages:
            taken = client.produce_batch(topic, messages, on_delivery=self._on_failure)
            self._handed_over += taken
            client.poll(0)
            if taken == len(messages):
                return
            if taken:
                give_up = time.monotonic() + self._delivery_timeout_s + AFTER_FAILURE_S
            messages = self._refused(messages)
            self._wait_for_room(client, give_up)

    def _refused(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those the full queue did not take: from the first that did not fit on, so that the order stays."""
        refused = [message for message in messages if "_error" in message]
        for message in refused:
            error: KafkaError = message.pop("_error")
            if error.name() != "_QUEUE_FULL":
                raise BusError(f"Kafka's client refused a message: {self._state.fatal or error.str()}.")
        return refused

    def _wait_for_room(self, client: "Producer", give_up: float) -> None:
        client.poll(0.01)
        while len(client) >= self._queue_messages and time.monotonic() < give_up:
            client.poll(0.1)
        if self._failed or time.monotonic() >= give_up:
            raise BusError(
                f"The queue to {self._settings['bootstrap.servers']} is full ({len(client)} messages) and the brokers "
                f"do not acknowledge: {self._reason or self._state.text or 'no answer'}. Nothing counts as published "
                f"until flush has returned."
            )

    def _on_failure(self, error: "KafkaError | None", _message: "Message") -> None:
        if error is None:
            return
        self._failed += 1
        self._reason = self._reason or error.str()

    def _drain(self, timeout_s: float) -> int:
        """Wait for acknowledgements; how many messages still wait. In short turns, so that Ctrl-C is heard."""
        deadline = time.monotonic() + timeout_s
        waiting = 0
        for client in self._clients.values():
            while (left := client.flush(0.5)) and time.monotonic() < deadline:
                continue
            waiting += left
        return waiting

    def _disconnect(self) -> None:
        for client in self._clients.values():
            client.purge()
            client.close()
        self._clients.clear()
