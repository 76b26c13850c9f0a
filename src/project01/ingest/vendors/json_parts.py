"""Members of objects and elements of lists, each as it stands in the JSON text, even where parts cannot be read."""

from collections.abc import Sequence

import msgspec

from project01.ingest.decoding import Reason
from project01.ingest.vendors.elements import Refused, shown
from project01.ingest.vendors.salvage import items, members


def envelope_of(payload: bytes) -> dict[str, bytes]:
    """The members of a JSON object.

    Raises:
        Refused: it is no JSON object.
    """
    try:
        return {name: bytes(raw) for name, raw in msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).items()}
    except msgspec.ValidationError as error:
        raise Refused(Reason.SCHEMA, f"{shown(error)}; expected an object") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            return {name: value for name, value in members(payload).items() if name.isprintable()}
        except (ValueError, RecursionError) as error:
            raise Refused(Reason.UNREADABLE, f"no JSON object: {shown(error)}") from error


def list_of(fragment: bytes | None) -> Sequence[bytes]:
    """The elements of a JSON list; an object counts as a list of one, nothing as an empty one.

    Raises:
        Refused: it is something else.
    """
    if fragment is None:
        return []
    if fragment[:1] == b"{":
        return [fragment]
    try:
        return [bytes(raw) for raw in msgspec.json.decode(fragment, type=list[msgspec.Raw])]
    except msgspec.ValidationError as error:
        raise Refused(Reason.SCHEMA, f"{shown(error)}; expected a list") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            return items(fragment)
        except (ValueError, RecursionError) as error:
            raise Refused(Reason.UNREADABLE, f"no JSON list: {shown(error)}") from error
