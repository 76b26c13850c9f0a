"""Finds what a log must never do, from what was sent, acknowledged and read; after Jepsen's checkers of queues."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Read:
    """One message as one reader saw it."""

    partition: int
    offset: int
    value: str


def anomalies(
    sent: Mapping[str, Sequence[str]],
    acknowledged: Set[str],
    final: Sequence[Read],
    readings: Iterable[Sequence[Read]] = (),
) -> list[str]:
    """Every anomaly in words; none for a log that kept its promises.

    Args:
        sent: for each key its values in order of sending; every value is unique.
        acknowledged: the values that the log promised to keep.
        final: everything the log holds at the end, each partition in order.
        readings: what readers saw on the way, each partition in order.
    """
    held = Counter(read.value for read in final)
    known = {value for values in sent.values() for value in values}
    found = [f"lost: {value}" for value in acknowledged - held.keys()]
    found += [f"duplicate: {value}" for value, times in held.items() if times > 1]
    found += [f"never sent: {value}" for value in held.keys() - known]
    found += _gaps(final, "the log") + _out_of_order(sent, final)
    values_at: dict[tuple[int, int], set[str]] = defaultdict(set)
    for reading in (final, *readings):
        for read in reading:
            values_at[read.partition, read.offset].add(read.value)
    found += [f"two values at one offset: {place}: {values}" for place, values in values_at.items() if len(values) > 1]
    for number, reading in enumerate(readings):
        found += _gaps(reading, f"reader {number}")
        if {read.value for read in reading} - held.keys():
            found.append(f"read and gone: reader {number}")
    return found


def _gaps(reading: Sequence[Read], who: str) -> list[str]:
    """Each partition must be read from 0, every offset once, upwards."""
    following: dict[int, int] = defaultdict(int)
    found = []
    for read in reading:
        if read.offset != following[read.partition]:
            found.append(f"gap: {who} saw {read.offset} in {read.partition} after {following[read.partition] - 1}")
        following[read.partition] = read.offset + 1
    return found


def _out_of_order(sent: Mapping[str, Sequence[str]], final: Sequence[Read]) -> list[str]:
    place = {read.value: (read.partition, read.offset) for read in final}
    found = []
    for key, values in sent.items():
        places = [place[value] for value in values if value in place]
        if len({partition for partition, _ in places}) > 1:
            found.append(f"key in two partitions: {key}")
        found += [f"out of order: {key} at {later}" for earlier, later in pairwise(places) if earlier[1] >= later[1]]
    return found
