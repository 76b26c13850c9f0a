"""Messages survive the way to bytes and back, and those written once can be read for ever."""

import copy
import json
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.bus import decode, decode_header, encode, key_of_record
from project01.domain import RECORD_TYPES, SCHEMA_VERSION, Header, MessageError, Record, Trade

HERE = Path(__file__).parent
# Both files stay as they are: they say what was published under schema version 1.
GOLDEN = (HERE / "messages_v1.jsonl").read_bytes().splitlines()
SCHEMA = json.loads((HERE / "schema_v1.json").read_text())

TEXT = st.text(max_size=30)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RAW = JSON_VALUES.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Draws for a field: Hypothesis's own for the type, with numbers as JSON can hold them."""
    parts = get_args(annotation)
    if type(None) in parts:
        (other,) = (part for part in parts if part is not type(None))
        return st.none() | values_of(other)
    if get_origin(annotation) is Annotated:
        return st.integers(parts[1].ge, parts[1].le)
    own = {int: st.integers(-(2**63), 2**63 - 1), float: NUMBERS, str: TEXT, msgspec.Raw: RAW}
    return own[annotation] if annotation in own else st.from_type(annotation)


def records_of(record_type: type[Record]) -> st.SearchStrategy[Record]:
    fields = {field.name: values_of(field.type) for field in msgspec.structs.fields(record_type)}
    return st.builds(record_type, **{**fields, "version": st.just(SCHEMA_VERSION)})


@pytest.mark.parametrize("record_type", RECORD_TYPES)
def test_a_record_survives_the_way_to_bytes_and_back(record_type: type[Record]) -> None:
    @given(record=records_of(record_type))
    def survives(record: Record) -> None:
        message = encode(record)
        back = decode(message)
        assert type(back) is record_type
        assert back == record
        assert encode(back) == message
        header = decode_header(message)
        for field in msgspec.structs.fields(Header):
            if field.name != "kind":
                assert getattr(header, field.name) == getattr(record, field.name), field.name
        assert header.kind == record_type.__struct_config__.tag
        assert key_of_record(record) == (record.symbol or record.source_id).encode()

    survives()


@pytest.mark.parametrize("line", GOLDEN, ids=range(len(GOLDEN)))
def test_a_message_of_version_1_reads_as_on_the_day_it_was_written(line: bytes) -> None:
    record = decode(line)
    assert record.version == 1
    written, back = json.loads(line), json.loads(encode(record))
    assert {name: back[name] for name in written} == written
    assert decode_header(line).source_id == record.source_id


def test_the_golden_messages_give_every_field_of_every_kind() -> None:
    lines = [json.loads(line) for line in GOLDEN]
    for kind in SCHEMA.keys() - {"header"}:
        given_fields = set().union(*(line for line in lines if line["kind"] == kind))
        assert SCHEMA[kind]["properties"].keys() - {"version", "simulated", "symbol"} <= given_fields, kind


def schema_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON schema of a record; `raw`, whose default msgspec cannot put into a schema, stands as any value."""
    fields: list[tuple[Any, ...]] = []
    for field in msgspec.structs.fields(struct):
        if field.type is msgspec.Raw:
            fields.append((field.name, Any, None))
        else:
            fields.append((field.name, field.type) if field.required else (field.name, field.type, field.default))
    config = struct.__struct_config__
    twin = msgspec.defstruct(struct.__name__, fields, tag_field=config.tag_field, tag=config.tag, kw_only=True)
    (described,) = msgspec.json.schema(twin)["$defs"].values()
    return dict(json.loads(json.dumps(described)))


def present_schema() -> dict[str, Any]:
    structs = {str(struct.__struct_config__.tag): struct for struct in RECORD_TYPES}
    return {kind: schema_of(struct) for kind, struct in (structs | {"header": Header}).items()}


def what_breaks(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What in `now` keeps messages written under `before` from being read, or gives them another meaning."""
    broken = []
    for kind, old in before.items():
        new = now.get(kind)
        if new is None:
            broken.append(f"{kind} is gone")
            continue
        for name, described in old["properties"].items():
            if name not in new["properties"]:
                broken.append(f"{kind}.{name} is gone")
            elif new["properties"][name] != described:
                # Defaults count: they are left out of messages, so another default is another meaning.
                broken.append(f"{kind}.{name} was {described}, is {new['properties'][name]}")
        broken += [f"{kind}.{name} has no default" for name in set(new["required"]) - set(old["required"])]
    return broken


def test_messages_only_ever_gain_fields_with_defaults() -> None:
    broken = what_breaks(SCHEMA, present_schema())
    assert not broken, (
        f"Old messages would be read wrongly: {broken}. Add a field with a default instead, and leave "
        f"schema_v1.json as it is."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda schema: schema.pop("trade"), "trade is gone"),
        (lambda schema: schema["trade"]["properties"].pop("price"), "trade.price is gone"),
        (lambda schema: schema["trade"]["properties"].update(price={"type": "string"}), "trade.price was"),
        (lambda schema: schema["bar"]["properties"]["adjusted"].update(default="splits"), "bar.adjusted was"),
        (lambda schema: schema["header"]["properties"]["version"].update(default=2), "header.version was"),
        (lambda schema: schema["news"]["required"].append("body"), "news.body has no default"),
    ],
)
def test_the_check_sees_what_breaks_old_messages(change: Any, said: str) -> None:
    changed = copy.deepcopy(SCHEMA)
    change(changed)
    assert [said in line for line in what_breaks(SCHEMA, changed)] == [True]


def test_a_new_field_with_a_default_breaks_nothing() -> None:
    changed = copy.deepcopy(SCHEMA)
    changed["trade"]["properties"]["venue_fee"] = {"type": "number", "default": 0.0}
    assert what_breaks(SCHEMA, changed) == []


def test_a_newer_schema_version_is_refused_by_name() -> None:
    newer = json.dumps({**json.loads(GOLDEN[0]), "version": SCHEMA_VERSION + 1}).encode()
    for read in (decode, decode_header):
        with pytest.raises(MessageError, match=f"version {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}.*Upgrade"):
            read(newer)


def test_unknown_fields_are_skipped() -> None:
    richer = GOLDEN[0][:-1] + b',"colour":{"deep":[1,2,{"er":null}]}}'
    assert decode(richer) == decode(GOLDEN[0])
    assert decode_header(richer) == decode_header(GOLDEN[0])


@pytest.mark.parametrize(
    "value",
    [
        b"", b"null", b"[]", b"{", b"\x00", b"\xff\xfe", b'{"kind": "trade"}', b'{"kind": "alien"}', b"[" * 100_000,
        GOLDEN[0].replace(b'"price":254.37', b'"price":"254.37"'),
        GOLDEN[0].replace(b"1790861400000000", b"1790861400000000.5"),
        GOLDEN[0].replace(b"AAPL", b"\xed\xa0\x80"),
        GOLDEN[0][:-1],
    ],
)  # fmt: skip
def test_what_is_no_message_is_a_message_error(value: bytes) -> None:
    with pytest.raises(MessageError, match="raw table"):
        decode(value)


@given(value=st.binary(max_size=200) | st.text(max_size=200))
def test_random_bytes_raise_nothing_but_a_message_error(value: bytes | str) -> None:
    for read in (decode, decode_header):
        with pytest.raises(MessageError):
            read(value)


@given(cut=st.integers(0, 2), position=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_message_is_read_or_refused_and_nothing_else(cut: int, position: int, byte: int) -> None:
    message = bytearray(GOLDEN[6])
    message[position % len(message)] = byte
    try:
        assert isinstance(decode(bytes(message[: len(message) - cut])), Record)
    except MessageError:
        return


def test_a_raw_fragment_travels_as_it_came() -> None:
    record = decode(GOLDEN[0])
    assert isinstance(record, Trade)
    assert bytes(record.raw) == b'{"ev":"T","p":254.37,"s":100}'
