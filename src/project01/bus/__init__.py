"""Topics between the sources and the lake: in memory, in one SQLite file, or on Kafka; the same interface for all."""

from project01.bus.bus import Bus, Consumer, Message, PartitionRange, Producer, partition_of
from project01.bus.codec import decode, decode_header, encode, key_of_record
from project01.bus.kafka import KafkaBus
from project01.bus.kafka_java import java_settings
from project01.bus.memory import MemoryBus
from project01.bus.opening import open_bus
from project01.bus.plan import FieldChange, TopicChange, apply, difference
from project01.bus.sqlite import SqliteBus
from project01.bus.topics import TOPICS, TopicSpec

__all__ = [
    "TOPICS",
    "Bus",
    "Consumer",
    "FieldChange",
    "KafkaBus",
    "MemoryBus",
    "Message",
    "PartitionRange",
    "Producer",
    "SqliteBus",
    "TopicChange",
    "TopicSpec",
    "apply",
    "decode",
    "decode_header",
    "difference",
    "encode",
    "java_settings",
    "key_of_record",
    "open_bus",
    "partition_of",
]
