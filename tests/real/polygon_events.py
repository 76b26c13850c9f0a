"""AlgoSeek's trades as Polygon's socket would have sent them, and the lake's rows of them back in the file's form."""

from typing import Any

import polars as pl

from project01.etl.sale_conditions import CODES, Notation
from project01.lake import Lake

# Exchanges go by number on Polygon's socket, by letter on the tapes.
NUMBER_OF = {
    "A": 1, "B": 2, "C": 3, "D": 4, "I": 6, "J": 7, "K": 8, "M": 9, "N": 10, "P": 11, "Q": 12, "W": 16, "X": 17,
    "Y": 18, "Z": 19,
}  # fmt: skip
_TAPE_OF = {"SPY": 2}  # the others of the sample are listed in New York
_LETTER_OF = {str(number): letter for letter, number in NUMBER_OF.items()}
_NUMBERS: dict[str, int] = {}
for _code, _name in CODES[Notation.POLYGON].items():
    _NUMBERS.setdefault(_name, int(_code))


def numbers_of(bits: str) -> list[int]:
    """A bit field of AlgoSeek's as Polygon's numbers of the same conditions, lowest bit first."""
    field, known = int(bits, 16), CODES[Notation.ALGOSEEK]
    return [_NUMBERS[known[f"{1 << place:x}"]] for place in range(field.bit_length()) if field >> place & 1]


def trade_events(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """One event a row of `ticks`, times in milliseconds as the file has them."""
    conditions = {bits: numbers_of(bits) for bits in rows["condition"].unique()}
    columns = rows.select("place", "symbol", pl.col("ts").dt.timestamp("ms"), "price", "size", "exchange", "condition")
    return [
        {
            "ev": "T", "sym": symbol, "i": str(place), "x": NUMBER_OF[exchange], "p": price, "s": size,
            "c": conditions[bits], "t": at, "pt": at, "q": place, "z": _TAPE_OF.get(symbol, 1),
        }
        for place, symbol, at, price, size, exchange, bits in columns.iter_rows()
    ]  # fmt: skip


def trades_back(lake: Lake, like: pl.DataFrame) -> pl.DataFrame:
    """The lake's trades from Polygon in the form of the file, `suspicious` left out: the socket has no word for it."""
    bits_of = {"|".join(map(str, numbers_of(bits))): bits for bits in like["condition"].unique()}
    if len(bits_of) < like["condition"].n_unique():
        raise AssertionError("two bit fields of these rows have the same numbers; they cannot be told apart again")
    rows = lake.scan("trades").filter(pl.col("source") == "polygon").select(
        pl.col("sequence").cast(pl.UInt32).alias("place"), "symbol", pl.col("event_time").alias("ts"), "price",
        pl.col("size").cast(pl.Int64), pl.col("exchange").replace(_LETTER_OF),
        pl.col("conditions").replace(bits_of).alias("condition"),
    )  # fmt: skip
    return rows.collect().sort("place")
