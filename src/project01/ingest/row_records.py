"""Rows of the sources that are not vendors (files, samples, the simulator) as records for the bus."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from project01.domain import (
    BARS,
    CORPORATE_ACTIONS,
    DEAD_LETTERS,
    FACTS,
    MACRO,
    NEWS,
    TWEETS,
    Bar,
    CorporateAction,
    DeadLetter,
    Fact,
    NewsItem,
    Observation,
    Record,
    SchemaError,
    Tweet,
)
from project01.ingest.source import Batch

_RECORD_OF: dict[str, Callable[..., Record]] = {
    BARS.name: Bar,
    NEWS.name: NewsItem,
    TWEETS.name: Tweet,
    FACTS.name: Fact,
    MACRO.name: Observation,
    CORPORATE_ACTIONS.name: CorporateAction,
    DEAD_LETTERS.name: DeadLetter,
}
_RENAMED = {
    CORPORATE_ACTIONS.name: {"kind": "action"},
    DEAD_LETTERS.name: {"table": "intended_topic", "raw": "payload"},
}
_LISTS = {"symbols", "cashtags", "conditions"}
_NOT_IN_MESSAGE = {DEAD_LETTERS.name: {"session"}}


def records_of(batch: Batch, received_at: int, licence: str) -> Iterator[Record]:
    """One record for each row, in the same order.

    Args:
        batch: rows of a source.
        received_at: microseconds UTC; a dead letter's only clock.
        licence: tag of the rows that carry none.

    Raises:
        SchemaError: the table's rows have no form on the bus, or a bar has no close.
    """
    make = _RECORD_OF.get(batch.spec.name)
    if make is None:
        raise SchemaError(f"Rows of table {batch.spec.name} have no form on the bus; known: {', '.join(_RECORD_OF)}.")
    names = _RENAMED.get(batch.spec.name, {})
    left_out = _NOT_IN_MESSAGE.get(batch.spec.name, set())
    if batch.spec is BARS and batch.rows["close"].null_count():
        raise SchemaError("A bar without a close has no form on the bus; let the gate sort such bars out first.")
    for row in batch.rows.iter_rows(named=True):
        values = {names.get(name, name): _value(name, value) for name, value in row.items() if name not in left_out}
        values = {name: value for name, value in values.items() if value is not None}
        values = {"licence": licence, "event_time": received_at, "knowledge_time": received_at, **values}
        yield make(**values, received_at=received_at)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1_000_000)
    if isinstance(value, date):
        return value.isoformat()
    if name in _LISTS and isinstance(value, str):
        return tuple(value.split("|")) if value else ()
    return value
