"""The bus on Kafka, for more than one machine: `make kafka` starts a real broker without Docker."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from project01.bus.bus import PartitionRange
from project01.bus.kafka_client import (
    FRAME_BYTES,
    REACH_S,
    ConnectionState,
    client_settings,
    load,
    refused,
    unreachable,
)
from project01.bus.kafka_consumer import KafkaConsumer
from project01.bus.kafka_producer import KafkaProducer
from project01.bus.memory import check_start, no_such_topic
from project01.bus.topics import TopicSpec
from project01.domain import BusError

if TYPE_CHECKING:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.admin._config import ConfigResource
    from confluent_kafka.admin._topic import TopicDescription

Answer = TypeVar("Answer")
REQUEST_S = 15.0
# Answers of brokers that have just started, or have not yet heard of what the controller did.
NOT_YET = frozenset(
    {
        "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION", "UNKNOWN_LEADER_EPOCH", "FENCED_LEADER_EPOCH",
        "KAFKA_STORAGE_ERROR", "COORDINATOR_LOAD_IN_PROGRESS", "NETWORK_EXCEPTION", "_TRANSPORT",
    }
)  # fmt: skip
# Once the cluster has described a topic, a leader that does not know it will hear of it soon.
NOT_YET_OF_KNOWN_TOPIC = NOT_YET | {"UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_ID"}


class KafkaBus:
    """Topics on Kafka brokers; safe to share between threads, connects when first asked something."""

    def __init__(self, servers: str, *, queue_messages: int = 100_000, delivery_timeout_s: float = 120.0) -> None:
        """Name the brokers. Security comes from the environment, see `client_settings`.

        Args:
            servers: ``host:port``, several separated by commas.
            queue_messages: most messages a producer holds unacknowledged; publishing waits beyond it.
            delivery_timeout_s: how long a producer keeps trying a message; longer than a broker's restart.
        Raises:
            MissingExtraError: confluent-kafka is not installed.
            SettingsError: the address or a security variable cannot be used.
        """
        load()
        self._servers, self._settings = servers, client_settings(servers)
        self._queue_messages, self._delivery_timeout_s = queue_messages, delivery_timeout_s
        self._admin_client: AdminClient | None = None

    def __repr__(self) -> str:
        return f"KafkaBus({self._servers!r})"

    @property
    def url(self) -> str:
        """``kafka://`` and the brokers' addresses."""
        return f"kafka://{self._servers}"

    def identity(self, topic: str) -> str:
        """Kafka's topic id."""
        return str(self._describe(topic).topic_id)

    def topics(self) -> dict[str, TopicSpec]:
        """The topics of the cluster, without Kafka's own."""
        return self._specs(self._descriptions(self._names()))

    def create(self, spec: TopicSpec) -> None:
        """Make a topic, and wait until every partition has a leader.

        Raises:
            BusError: it exists, or the cluster cannot hold that many copies.
        """
        new = load().admin.NewTopic(spec.name, spec.partitions, spec.replication, config=_config(spec))
        try:
            _result(self._admin().create_topics([new], request_timeout=REQUEST_S)[spec.name])
        except load().KafkaException as error:
            if _code(error) == "TOPIC_ALREADY_EXISTS":
                raise BusError(f"Topic {spec.name} exists on {self.url} already. Use alter to change it.") from error
            raise self._refused(f"make topic {spec.name}", error) from error
        self._await(spec)

    def alter(self, spec: TopicSpec) -> None:
        """Change a topic's settings, or give it more partitions.

        Raises:
            BusError: fewer partitions or another replication were asked for.
        """
        held = self._spec(spec.name)
        if spec.partitions < held.partitions:
            raise BusError(
                f"Topic {spec.name} has {held.partitions} partitions; {spec.partitions} were asked for. "
                f"Partitions cannot be taken away: keep the number, or make another topic."
            )
        if spec.replication != held.replication:
            raise BusError(
                f"Topic {spec.name} holds {held.replication} copies; {spec.replication} were asked for. "
                f"Copies are moved with Kafka's own kafka-reassign-partitions; then run this again."
            )
        admin = self._admin()
        try:
            for future in admin.incremental_alter_configs([_changes(spec)], request_timeout=REQUEST_S).values():
                _result(future)
            if spec.partitions > held.partitions:
                more = load().admin.NewPartitions(spec.name, spec.partitions)
                _result(admin.create_partitions([more], request_timeout=REQUEST_S)[spec.name])
        except load().KafkaException as error:
            raise self._refused(f"change topic {spec.name}", error) from error
        self._await(spec)

    def ranges(self, topic: str) -> dict[int, PartitionRange]:
        """Offsets of every partition, as the leaders have them now."""
        partition, moment = load().TopicPartition, load().admin.OffsetSpec
        numbers = sorted(each.id for each in self._describe(topic).partitions)

        def offsets(spec: Any) -> list[int]:
            wanted = {partition(topic, number): spec for number in numbers}
            asked = self._admin().list_offsets(wanted, request_timeout=REQUEST_S)
            found = {each.partition: _result(future).offset for each, future in asked.items()}
            return [int(found[number]) for number in numbers]

        first = self._ask(f"give the offsets of {topic}", lambda: offsets(moment.earliest()), NOT_YET_OF_KNOWN_TOPIC)
        following = self._ask(f"give the offsets of {topic}", lambda: offsets(moment.latest()), NOT_YET_OF_KNOWN_TOPIC)
        return {number: PartitionRange(*pair) for number, *pair in zip(numbers, first, following, strict=True)}

    def producer(self) -> KafkaProducer:
        """A producer."""
        return KafkaProducer(self._settings, self._spec, self._queue_messages, self._delivery_timeout_s)

    def consumer(self, topic: str, start: Mapping[int, int]) -> KafkaConsumer:
        """A consumer of the partitions in `start`."""
        check_start(topic, start, self.ranges(topic))
        return KafkaConsumer(self._settings, topic, start)

    def close(self) -> None:
        """Let go of the admin connection."""
        self._admin_client = None

    def _admin(self) -> "AdminClient":
        if self._admin_client is None:
            self._admin_client = self._connected()
        return self._admin_client

    def _connected(self) -> "AdminClient":
        state, deadline = ConnectionState(), time.monotonic() + REACH_S
        client: AdminClient = load().admin.AdminClient({**self._settings, "error_cb": state})
        while True:
            try:
                client.list_topics(timeout=1.0)
                return client
            except load().KafkaException as error:
                client.poll(0)
                if state.refused:
                    raise refused(self._servers, state.refused) from error
                if time.monotonic() > deadline:
                    raise unreachable(self._servers, REACH_S, state.text or error.args[0].str()) from error

    def _names(self) -> list[str]:
        held = self._ask("list its topics", lambda: self._admin().list_topics(timeout=REACH_S).topics)
        return sorted(name for name in held if not name.startswith("__"))

    def _describe(self, topic: str) -> "TopicDescription":
        try:
            return self._descriptions([topic])[topic]
        except BusError as error:
            if error.__cause__ is not None and _code(error.__cause__) == "UNKNOWN_TOPIC_OR_PART":
                raise no_such_topic(topic, self.url, self._names()) from error.__cause__
            raise

    def _descriptions(self, names: list[str]) -> "dict[str, TopicDescription]":
        def describe() -> "dict[str, TopicDescription]":
            asked = self._admin().describe_topics(load().TopicCollection(names), request_timeout=REQUEST_S)
            return {name: _result(future) for name, future in asked.items()}

        return self._ask(f"describe {', '.join(names)}", describe) if names else {}

    def _spec(self, topic: str) -> TopicSpec:
        return self._specs({topic: self._describe(topic)})[topic]

    def _specs(self, topics: "Mapping[str, TopicDescription]") -> dict[str, TopicSpec]:
        def configs() -> dict[str, dict[str, str]]:
            kinds = load().admin.ResourceType
            resources = [load().admin.ConfigResource(kinds.TOPIC, name) for name in topics]
            asked = self._admin().describe_configs(resources, request_timeout=REQUEST_S)
            return {
                resource.name: {name: entry.value for name, entry in _result(future).items()}
                for resource, future in asked.items()
            }

        held = self._ask("give its topics' settings", configs, NOT_YET_OF_KNOWN_TOPIC) if topics else {}
        return {name: _spec_of(name, held[name], described) for name, described in topics.items()}

    def _await(self, spec: TopicSpec) -> None:
        """Brokers learn of a change a moment after the controller made it."""
        deadline = time.monotonic() + REQUEST_S
        while time.monotonic() < deadline:
            names = self._names()
            if spec.name in names and self._spec(spec.name) == spec and len(self.ranges(spec.name)) == spec.partitions:
                return
            time.sleep(0.02)
        raise BusError(
            f"{self.url} took the change of topic {spec.name}, but shows {self._spec(spec.name)} after "
            f"{REQUEST_S:.0f} s; asked for was {spec}."
        )

    def _ask(self, what: str, question: Callable[[], Answer], passing: frozenset[str] = NOT_YET) -> Answer:
        """Put a question that changes nothing; again while the answer is an error that passes."""
        deadline = time.monotonic() + REQUEST_S
        while True:
            try:
                return question()
            except load().KafkaException as error:
                if _code(error) not in passing or time.monotonic() > deadline:
                    raise self._refused(what, error) from error
            time.sleep(0.1)

    def _refused(self, what: str, error: "KafkaException") -> BusError:
        if _code(error) in {"_TIMED_OUT", "_TRANSPORT", "REQUEST_TIMED_OUT"}:
            return unreachable(self._servers, REQUEST_S, error.args[0].str())
        return BusError(f"{self.url} did not {what}: {error.args[0].str()}.")


def _code(error: BaseException) -> str:
    """The name of the error code that a `KafkaException` carries; empty for other errors."""
    name = getattr(error.args[0], "name", None) if error.args else None
    return str(name()) if callable(name) else ""


def _result(future: "Future[Any]") -> Any:
    # The request has its own, shorter timeout: this one is for a client that does not keep to it.
    return future.result(REQUEST_S * 2)


def _config(spec: TopicSpec) -> dict[str, str]:
    """Kafka's settings of a topic. All copies but one must have a message before it counts as acknowledged."""
    return {
        "cleanup.policy": spec.cleanup,
        "retention.ms": str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes + FRAME_BYTES),
        "min.insync.replicas": str(max(1, spec.replication - 1)),
        # The broker's clock: a producer's clock that is wrong must not make retention remove or keep messages.
        "message.timestamp.type": "LogAppendTime",
    }


def _changes(spec: TopicSpec) -> "ConfigResource":
    admin = load().admin
    setting = admin.AlterConfigOpType.SET
    entries = [admin.ConfigEntry(name, value, incremental_operation=setting) for name, value in _config(spec).items()]
    changes: ConfigResource = admin.ConfigResource(admin.ResourceType.TOPIC, spec.name, incremental_configs=entries)
    return changes


def _spec_of(name: str, config: Mapping[str, str], described: "TopicDescription") -> TopicSpec:
    return TopicSpec(
        name=name,
        partitions=len(described.partitions),
        retention_ms=int(config["retention.ms"]),
        # "compact,delete" of a foreign topic stays as it is, so that the difference is seen.
        cleanup=cast("Literal['delete', 'compact']", config["cleanup.policy"]),
        max_message_bytes=int(config["max.message.bytes"]) - FRAME_BYTES,
        replication=min((len(each.replicas) for each in described.partitions), default=0),
    )
