"""Faults in the content of a JSON answer, done to whatever list of objects it holds."""

from collections.abc import Callable
from typing import Any

import msgspec

from project01.ingest.stand_ins.faults import FaultKind

Elements = list[dict[str, Any]]
_TEN_MEGABYTES = 10 << 20
# Tokens that no JSON library writes; put in after writing.
_NAN, _SURROGATE = "\u0001nan\u0001", "\u0001surrogate\u0001"


def _duplicated(elements: Elements, _: str) -> Elements:
    return [element for element in elements for _ in range(2)]


def _reversed(elements: Elements, _: str) -> Elements:
    return elements[::-1]


def _grown(elements: Elements, _: str) -> Elements:
    return [{**element, "brand_new_field": {"nested": [1, "two", None]}} for element in elements]


def _renamed(elements: Elements, field: str) -> Elements:
    return [{f"{key}_v2" if key == field else key: value for key, value in e.items()} for e in elements]


def _missing(elements: Elements, field: str) -> Elements:
    return [{key: value for key, value in element.items() if key != field} for element in elements]


def _changed(value: object) -> Callable[[Elements, str], Elements]:
    return lambda elements, field: [{**element, field: value} for element in elements]


_CHANGES: dict[str, Callable[[Elements, str], Elements]] = {
    "duplicates": _duplicated,
    "disorder": _reversed,
    "new_field": _grown,
    "renamed_field": _renamed,
    "missing_field": _missing,
    "retyped_field": _changed({"value": ["retyped"]}),
    "not_a_number": _changed(_NAN),
    "lone_surrogate": _changed(_SURROGATE),
    "ten_megabytes": _changed("x" * _TEN_MEGABYTES),
}


def drift(kind: FaultKind, body: bytes, field: str) -> bytes:
    """The JSON body with the fault done to `field` of the objects in its first list of objects.

    Other faults, and a body without such a list, give the body as it is. Ten megabytes are put into the first only.
    """
    change = _CHANGES.get(kind)
    whole = {"": msgspec.json.decode(body)}
    elements = _first_list(whole)
    if change is None or elements is None:
        return body
    touched = 1 if kind == "ten_megabytes" else len(elements)
    elements[:] = change(elements[:touched], field) + elements[touched:]
    text = msgspec.json.encode(whole[""])
    return text.replace(msgspec.json.encode(_NAN), b"NaN").replace(msgspec.json.encode(_SURROGATE), b'"\\ud800"')


def _first_list(value: object) -> Elements | None:
    if isinstance(value, list):
        if value and all(isinstance(element, dict) for element in value):
            return value
        return None
    if isinstance(value, dict):
        return next((found for inner in value.values() if (found := _first_list(inner)) is not None), None)
    return None
