import hashlib
import math
import tempfile
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from project01.domain import MACRO, FixedClock, SchemaError
from project01.lake import Lake
from project01.lake.order import canonical_order, content_digest

texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=4)
frames = st.lists(
    st.tuples(texts, st.none() | st.integers(-(2**63), 2**63 - 1), st.floats() | st.none(), st.booleans() | st.none()),
    max_size=12,
).map(
    lambda rows: pl.DataFrame(
        rows, schema={"name": pl.String, "number": pl.Int64, "value": pl.Float64, "flag": pl.Boolean}, orient="row"
    )
)


@settings(max_examples=examples(150), deadline=None)
@given(frame=frames, seed=st.integers(0, 99), key=st.permutations(["name", "number", "value", "flag"]))
def test_canonical_order_agrees_with_polars_sort(frame: pl.DataFrame, seed: int, key: list[str]) -> None:
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    ordered, code = canonical_order(shuffled, tuple(key))
    assert ordered.equals(frame.sort(key), null_equal=True)
    same_key = (
        ordered.select(pl.struct(key)).to_series() == ordered.select(pl.struct(key)).to_series().shift(1)
    ).to_list()
    assert (code == code.shift(1)).to_list()[1:] == same_key[1:]


@settings(max_examples=examples(100), deadline=None)
@given(frame=frames, seed=st.integers(0, 99))
def test_digest_ignores_row_order_and_ingested_at(frame: pl.DataFrame, seed: int) -> None:
    stamped = frame.with_columns(ingested_at=pl.lit(datetime(2020, 1, 1, tzinfo=UTC)))
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed).with_columns(
        ingested_at=pl.lit(datetime(2021, 1, 1, tzinfo=UTC))
    )
    pieces = pl.concat([shuffled[:3], shuffled[3:]], rechunk=False)
    assert content_digest(stamped, ("name",)) == content_digest(pieces, ("name",))


@settings(max_examples=examples(100), deadline=None)
@given(frame=frames.filter(lambda drawn: drawn.height > 0), data=st.data())
def test_digest_sees_any_changed_value(frame: pl.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, frame.height - 1))
    column = data.draw(st.sampled_from(frame.columns))
    old = frame[row, column]
    new = {"name": f"{old}x", "number": 1 if old in {None, 0} else 0, "value": 0.0 if old is None else None}.get(
        column, None if old else True
    )
    values = frame[column].to_list()
    values[row] = new
    changed = frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))
    assert content_digest(frame, ("name",)) != content_digest(changed, ("name",))


def test_a_null_is_not_a_zero_and_a_doubled_row_is_not_one() -> None:
    def of(*values: float | None) -> str:
        return content_digest(pl.DataFrame({"v": pl.Series(values, dtype=pl.Float64)}), ("v",))

    assert len({of(None), of(0.0), of(math.nan), of(), of(0.0, 0.0)}) == 5


def test_the_sign_of_zero_and_the_kind_of_nan_do_not_hang_on_row_order() -> None:
    twins = pl.DataFrame({"k": [1, 1, 2, 2], "v": [0.0, -0.0, math.nan, -math.nan]})
    assert content_digest(twins, ("k",)) == content_digest(twins.reverse(), ("k",))


def test_text_cannot_slide_from_one_row_to_the_next() -> None:
    first = pl.DataFrame({"k": [1, 2], "t": ["ab", "c"]})
    second = pl.DataFrame({"k": [1, 2], "t": ["a", "bc"]})
    assert content_digest(first, ("k",)) != content_digest(second, ("k",))


def test_digest_is_the_hash_written_down_here() -> None:
    """Bytes laid out by hand: a change of the digest would break every manifest made before."""
    frame = pl.DataFrame({"k": [2, 1], "t": ["c", None]}, schema={"k": pl.Int32, "t": pl.String})
    by_hand = (
        b"2\nk:int32\n\x00"
        + (1).to_bytes(4, "little")
        + (2).to_bytes(4, "little")
        + b"\nt:string\n"
        + b"\x80"
        # lengths of null (as an empty text) and "c", then the text itself
        + (0).to_bytes(4, "little")
        + (1).to_bytes(4, "little")
        + b"c"
    )
    assert content_digest(frame, ("k",)) == hashlib.sha256(by_hand).hexdigest()


def test_names_and_types_count() -> None:
    small, large = pl.DataFrame({"k": [1]}, schema={"k": pl.Int32}), pl.DataFrame({"k": [1]})
    dates = pl.DataFrame({"k": [date(1970, 1, 2)]})
    assert (
        len({content_digest(frame, (frame.columns[0],)) for frame in (small, large, dates, large.rename({"k": "j"}))})
        == 4
    )


def test_nested_columns_are_refused() -> None:
    with pytest.raises(SchemaError, match="Flatten"):
        content_digest(pl.DataFrame({"k": [1], "v": [[1, 2]]}), ("k",))


def test_table_digest_survives_compaction_permutation_and_another_clock(lake: Lake, macro_rows, day) -> None:
    rows = [("GDP", month, known, float(known)) for month in range(1, 9) for known in (0, 5)]
    for row in rows:
        lake.append(MACRO, macro_rows([row]))
    before = lake.digest("macro"), lake.digest("macro", day(2)), lake.digest("macro", day(9))
    assert len(set(before)) == 3
    lake.compact("macro")
    assert (lake.digest("macro"), lake.digest("macro", day(2)), lake.digest("macro", day(9))) == before
    with tempfile.TemporaryDirectory() as folder:
        other = Lake(folder, clock=FixedClock(day(1)))
        other.append(MACRO, macro_rows(rows[::-1]))
        assert (other.digest("macro"), other.digest("macro", day(2)), other.digest("macro", day(9))) == before


def test_an_as_of_digest_does_not_change_when_later_news_comes_in(lake: Lake, macro_rows, day) -> None:
    lake.append(MACRO, macro_rows([("GDP", 1, 0, 1.0)]))
    then = lake.digest("macro", day(2))
    lake.append(MACRO, macro_rows([("GDP", 1, 3, 9.0), ("CPI", 1, 3, 9.0)]))
    assert lake.digest("macro", day(2)) == then != lake.digest("macro", day(3))
