"""Trades that were cancelled, corrected or sent twice with other content: from when until when each row counts.

Rows that refer to each other are one trade. Of the rows known at a time:

- a cancel ends the trade, also a cancel that came before it, and whichever of its rows it names; nothing revives it;
- else a correction stands for it, the one that no other correction corrects, the newest if there are several;
- else the print itself.

Only what is known at a time is looked at, also for the question which rows belong together: a correction whose own
correction arrives first is taken for a trade of its own until then.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from project01.etl.bar_kernel import FOREVER

PRINT, CORRECTION, CANCEL = range(3)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tape.

    Attributes:
        number: its place in the caller's table.
        key: source and source_id.
        action: PRINT, CORRECTION or CANCEL.
        refers_to: source and source_id of the row it changes; None for a print.
        known: knowledge time, microseconds.
        rank: place in the order of action and content; of two rows with one key the higher counts.
        end: end of the bar its event time lies in, microseconds.
    """

    number: int
    key: tuple[str, str]
    action: int
    refers_to: tuple[str, str] | None
    known: int
    rank: int
    end: int


@dataclass
class Outcome:
    """What became of the rows.

    Attributes:
        spans: row number, known from, known until (FOREVER: for good), one entry for each time it counted.
        late: numbers of the rows that came too late to change a bar.
        unmatched_cancels: how many cancels name a trade that never came.
    """

    spans: list[tuple[int, int, int]] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    unmatched_cancels: int = 0


def resolve(rows: Iterable[Row], print_limit: int, amendment_limit: int) -> Outcome:
    """Follow every trade through its prints, corrections and cancels, in the order in which they became known.

    Args:
        rows: in any order; every row that names another or is named, and all rows that share a key.
        print_limit: microseconds after a bar's end in which a trade may still be added to it.
        amendment_limit: the same for taking a trade out or changing it; it must hold for all bars that change.
    """
    outcome = Outcome()
    for trade in _trades(rows):
        _follow(trade, print_limit, amendment_limit, outcome)
    outcome.spans.sort()
    outcome.late.sort()
    return outcome


def _trades(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows in groups that are connected by key or reference."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = parent.setdefault(above, above)
            key = above
        return key

    every = list(rows)
    for row in every:
        if row.refers_to is not None:
            parent[root(row.key)] = root(row.refers_to)
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in every:
        groups[root(row.key)].append(row)
    return list(groups.values())


def _follow(trade: Sequence[Row], print_limit: int, amendment_limit: int, outcome: Outcome) -> None:
    """Let the rows of one trade become known one after the other; each counts unless it is too late for a bar."""
    known: dict[tuple[str, str], Row] = {}
    counting: dict[int, tuple[Row, int]] = {}
    for row in sorted(trade, key=lambda row: (row.known, row.action, row.rank)):
        other = known.get(row.key)
        if other is not None and other.rank > row.rank:
            continue
        after = {found.number: found for found in _in_force({**known, row.key: row})}
        removed = [found for number, (found, _) in counting.items() if number not in after]
        added = [found for number, found in after.items() if number not in counting]
        limit = amendment_limit if removed else print_limit
        if any(row.known - changed.end > limit for changed in (*removed, *added)):
            outcome.late.append(row.number)
            continue
        known[row.key] = row
        for gone in removed:
            _, since = counting.pop(gone.number)
            outcome.spans.append((gone.number, since, row.known))
        counting.update((new.number, (new, row.known)) for new in added)
    outcome.spans += [(number, since, FOREVER) for number, (_, since) in counting.items()]
    keys = {row.key for row in trade}
    outcome.unmatched_cancels += sum(row.action == CANCEL and row.refers_to not in keys for row in trade)


def _in_force(known: dict[tuple[str, str], Row]) -> list[Row]:
    """The rows that count, one a trade at most."""
    if len(known) == 1:
        return [row for row in known.values() if row.action != CANCEL]
    return [row for trade in _trades(known.values()) if (row := _standing(trade)) is not None]


def _standing(trade: Sequence[Row]) -> Row | None:
    """The row that stands for a trade of which these rows are known."""
    if any(row.action == CANCEL for row in trade):
        return None
    corrections = [row for row in trade if row.action == CORRECTION]
    if not corrections:
        return max(trade, key=_newest)
    corrected = {row.refers_to for row in corrections}
    # References in a ring are a vendor's error; then the newest of all stands.
    leaves = [row for row in corrections if row.key not in corrected] or corrections
    return max(leaves, key=_newest)


def _newest(row: Row) -> tuple[int, int]:
    return row.known, row.rank
