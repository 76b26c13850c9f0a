"""What must change for a bus to hold the topics as code has them; shown first, then done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from project01.bus.bus import Bus
from project01.bus.topics import TopicSpec
from project01.domain import BusError


@dataclass(frozen=True)
class FieldChange:
    """One setting of a topic that differs: its name, what is in force, and what is wanted."""

    field: str
    before: str | int
    after: str | int


@dataclass(frozen=True)
class TopicChange:
    """One topic to make or to alter.

    Attributes:
        spec: the topic as it shall be.
        fields: what differs; empty where the topic does not exist yet.
    """

    spec: TopicSpec
    fields: tuple[FieldChange, ...] = ()

    @property
    def creates(self) -> bool:
        """Whether the topic does not exist yet."""
        return not self.fields

    def __str__(self) -> str:
        """One line for people, such as ``alter ticks: partitions: 3 -> 6``."""
        if self.creates:
            settings = ", ".join(
                f"{field.name}: {getattr(self.spec, field.name)}" for field in fields(self.spec) if field.name != "name"
            )
            return f"create {self.spec.name}: {settings}"
        changes = ", ".join(f"{change.field}: {change.before} -> {change.after}" for change in self.fields)
        return f"alter {self.spec.name}: {changes}"


def difference(bus: Bus, specs: Iterable[TopicSpec]) -> list[TopicChange]:
    """What `apply` would do to bring a bus to `specs`; nothing where the bus is as wanted.

    Topics that `specs` does not name are left alone.

    Raises:
        BusError: a topic has more partitions than wanted; they cannot be taken away.
    """
    held = bus.topics()
    changes = []
    for spec in specs:
        now = held.get(spec.name)
        if now is None:
            changes.append(TopicChange(spec))
        elif now != spec:
            _refuse_fewer(now, spec, bus.url)
            changes.append(TopicChange(spec, _fields_that_differ(now, spec)))
    return changes


def apply(bus: Bus, changes: Sequence[TopicChange]) -> None:
    """Make and alter topics, in order.

    Raises:
        BusError: the bus refuses a change; those before it are done, and `difference` shows what is left.
    """
    for change in changes:
        if change.creates:
            bus.create(change.spec)
        else:
            bus.alter(change.spec)


def _fields_that_differ(now: TopicSpec, wanted: TopicSpec) -> tuple[FieldChange, ...]:
    pairs = ((field.name, getattr(now, field.name), getattr(wanted, field.name)) for field in fields(TopicSpec))
    return tuple(FieldChange(name, before, after) for name, before, after in pairs if before != after)


def _refuse_fewer(now: TopicSpec, wanted: TopicSpec, url: str) -> None:
    if wanted.partitions < now.partitions:
        raise BusError(
            f"Topic {now.name} on {url} has {now.partitions} partitions; {wanted.partitions} are wanted. Partitions "
            f"cannot be taken away, since messages of a key stay in theirs: keep {now.partitions}, or name a new topic."
        )
