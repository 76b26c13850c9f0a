"""Numbers written as text."""

import polars as pl

MISSING = ("", "NA", "N/A", "#N/A", "n/a", "null", "NULL", "None", "none", "-", "--", ".")
_GROUPED = r"^[-+]?\$?\d{1,3}(,\d{3})+(\.\d+)?$"


def to_number(cells: pl.Series, separator: str) -> pl.Series:
    """Float64 of text cells; null where the cell is missing or no number (`is_unreadable` tells them apart).

    ``1,234.5`` and ``$12`` are read as numbers. In a file with semicolons a comma may be the decimal sign, so there a
    number with a comma stays unread rather than being read a thousand times too large.
    """
    plain = cells.cast(pl.Float64, strict=False)
    if plain.null_count() == cells.null_count():
        return plain
    text = cells.str.strip_chars()
    if separator != ";":
        grouped = text.str.contains(_GROUPED)
        text = pl.select(pl.when(grouped).then(text.str.replace_all(",", "")).otherwise(text)).to_series()
    return text.str.replace(r"^([-+]?)\$", "${1}").cast(pl.Float64, strict=False)


def is_unreadable(cells: pl.Series, numbers: pl.Series) -> pl.Series:
    """Which cells hold text that is neither a number nor one of the usual marks of a missing value."""
    return numbers.is_null() & cells.is_not_null() & ~cells.str.strip_chars().is_in(MISSING)
