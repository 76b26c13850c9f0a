"""A JSON text cut at its outermost commas: the pieces are those of the standard library, and hostile text ends soon."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.ingest.vendors.salvage import items, members

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=examples(300))
@given(st.lists(VALUES, max_size=6), st.booleans(), st.sampled_from([None, 2]))
def test_the_items_of_any_array(values: list[object], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode()
    assert [json.loads(piece) for piece in items(text)] == values


@settings(max_examples=examples(300))
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=6), st.booleans())
def test_the_members_of_any_object(values: dict[str, object], ascii_only: bool) -> None:
    text = json.dumps(values, ensure_ascii=ascii_only).encode()
    assert {name: json.loads(piece) for name, piece in members(text).items()} == values


def test_a_piece_that_cannot_be_read_leaves_the_others() -> None:
    assert items(b'[1, NaN, "\\"],[", {"a": [2, 3]}, "\xff"]') == [
        b"1",
        b"NaN",
        b'"\\"],["',
        b'{"a": [2, 3]}',
        b'"\xff"',
    ]
    assert members(b'{"a": 1, "b": [,], "a": 2}') == {"a": b"2", "b": b"[,]"}
    assert items(b"[ ]") == []
    deep = b"[" * 100_000 + b"]" * 100_000
    assert items(b"[" + deep + b",7]") == [deep, b"7"]


@pytest.mark.parametrize(
    "text",
    [b"", b"7", b"[", b"]", b"[1", b"[1]]", b"[[1]", b"[1][2]", b'["a]', b'[1]"', b"{1}", b"[1,\\]"],
)
def test_what_is_no_array_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected text|brackets that do not match|does not end"):
        items(text)


def test_more_elements_than_any_page_has_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100000 elements"):
        items(b"[" + b"0," * 100_001 + b"0]")
