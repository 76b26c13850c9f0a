"""Records to bytes and back: JSON, so that every other program reads the topics too.

A message of a newer schema version than this program knows is refused by name, never half understood.
"""

import msgspec

from project01.domain import SCHEMA_VERSION, AnyRecord, Header, MessageError, Record

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(AnyRecord)
_HEADER = msgspec.json.Decoder(Header)


def encode(record: Record) -> bytes:
    """The message of a record."""
    return _ENCODER.encode(record)


def key_of_record(record: Record) -> bytes:
    """The key a record is published under: its symbol, or its id where it belongs to none."""
    return (record.symbol or record.source_id).encode()


def decode(value: bytes | str) -> AnyRecord:
    """The record of a message.

    Raises:
        MessageError: not JSON, not a kind we know, a field missing or of the wrong type, or a newer schema version.
    """
    try:
        record: AnyRecord = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MessageError(f"A message is no record of ours: {error}. It stays in the raw table as it is.") from error
    _refuse_newer(record.version)
    return record


def decode_header(value: bytes | str) -> Header:
    """The common part of a message, everything else unread.

    Raises:
        MessageError: as `decode`.
    """
    try:
        header = _HEADER.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MessageError(f"A message is no record of ours: {error}. It stays in the raw table as it is.") from error
    _refuse_newer(header.version)
    return header


def _refuse_newer(version: int) -> None:
    if version > SCHEMA_VERSION:
        raise MessageError(
            f"A message has schema version {version}; this program knows up to {SCHEMA_VERSION}. Upgrade Project01, "
            f"then replay it from the raw table."
        )
