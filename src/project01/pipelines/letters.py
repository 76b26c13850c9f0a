"""Dead letters: what they are, and replaying them after a parser was mended, each once."""

from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from project01.domain import DEAD_LETTERS, TIMESTAMP, InputError, Record, SystemClock, TableSpec
from project01.ingest import VENDORS, Connection, Publisher, connect
from project01.lake import Lake, add_to_set
from project01.pipelines.place import Place

# Letters whose records were published again.
REPLAYED = TableSpec(
    "replayed_letters",
    pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            pa.field("source_id", pa.string(), nullable=False),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("ingested_at", TIMESTAMP, nullable=False),
        ]
    ),
    ("source", "source_id", "reason"),
)
_KEY = ["source", "source_id", "reason"]


@dataclass
class ReplayFigures:
    """What became of dead letters.

    Attributes:
        letters: that could be replayed and had not been before.
        replayed: whose records are on the bus now.
        records: records published for them.
        still_refused: that the parser of today refuses too, by reason.
    """

    letters: int
    replayed: int
    records: int
    still_refused: Mapping[str, int]


def waiting_letters(lake: Lake, source: str | None = None, reason: str | None = None) -> pl.DataFrame:
    """Vendors' dead letters that were not replayed yet, oldest first.

    Raises:
        InputError: the lake holds no dead letters at all.
    """
    if not lake.exists(DEAD_LETTERS.name):
        raise InputError(f"{lake.url} holds no dead letters. Land and curate first: project01 land.")
    rows = lake.scan(DEAD_LETTERS.name).filter(pl.col("dataset").fill_null("") != "")
    rows = rows if source is None else rows.filter(pl.col("source") == source)
    rows = rows if reason is None else rows.filter(pl.col("reason") == reason)
    letters = rows.collect().unique(subset=_KEY, keep="first").sort("ingested_at", *_KEY)
    if lake.exists(REPLAYED.name):
        letters = letters.join(lake.scan(REPLAYED.name).collect(), on=_KEY, how="anti", maintain_order="left")
    return letters


def letter_rows(lake: Lake, source: str | None, reason: str | None, limit: int) -> dict[str, Any]:
    """Counts by source and reason, and the newest letters with the start of their payload."""
    letters = waiting_letters(lake, source, reason)
    counts = letters.group_by("source", "reason").len("letters").sort("source", "reason").to_dicts()
    shown = letters.tail(limit).with_columns(pl.col("raw").str.slice(0, 120), pl.col(pl.Datetime).dt.to_string("iso"))
    return {
        "counts": counts,
        "letters": shown.select("source", "dataset", "reason", "detail", "raw", "ingested_at").to_dicts(),
    }


def replay_letters(place: Place, source: str | None = None, reason: str | None = None) -> ReplayFigures:
    """Decode waiting letters with the parser of today and publish what it accepts; each letter once.

    A crash after the publication and before the note publishes some again, which the lake recognises by their ids.

    Raises:
        InputError: there are no dead letters, or a vendor's SDK is missing.
        BusError: the bus failed.
    """
    letters = waiting_letters(place.lake, source, reason)
    replayed = records = 0
    refused: Counter[str] = Counter()
    with place.bus() as bus:
        publisher = Publisher(bus, place.state(), SystemClock())
        for (name, simulated), rows in letters.partition_by("source", "simulated", as_dict=True).items():
            if name not in VENDORS:
                continue
            accepted, made, reasons = _decode_again(place, str(name), bool(simulated), rows)
            refused.update(reasons)
            records += publisher.records(made)
            add_to_set(place.lake, REPLAYED, rows.filter(pl.Series(accepted)).select(_KEY))
            replayed += sum(accepted)
    return ReplayFigures(letters.height, replayed, records, dict(sorted(refused.items())))


def _decode_again(
    place: Place, name: str, simulated: bool, rows: pl.DataFrame
) -> tuple[list[bool], list[Record], list[str]]:
    """For each letter whether it is accepted now, all records, and the reasons of those refused again."""
    accepted: list[bool] = []
    records: list[Record] = []
    reasons: list[str] = []
    connection = replace(_without_key(place, name), simulated=simulated)
    with closing(connection.quota), closing(connect(connection)) as client:
        for dataset, raw, encoding, stamp in rows.select("dataset", "raw", "encoding", "ingested_at").iter_rows():
            payload = b64decode(raw) if encoding == "base64" else raw.encode()
            again = client.decode(dataset, payload, round(stamp.timestamp() * 1_000_000))
            accepted.append(not again.letters)
            reasons += [letter.reason for letter in again.letters]
            if not again.letters:
                records += again.records
    return accepted, records, reasons


def _without_key(place: Place, name: str) -> Connection:
    """A connection for decoding only: no key is needed, and none is read."""
    spec = VENDORS[name]
    stand_ins = {credential.variables[0]: "not-used-for-decoding" for credential in spec.credentials}
    return Connection.from_environment(spec, environment=stand_ins, folder=place.memory, clock=SystemClock())
