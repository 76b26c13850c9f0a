"""Dates and times in whatever form a file has them, read over the whole column.

A form is chosen once for a column, never row by row, so that 03/04/2010 means the same day everywhere. Where the column
leaves two readings open, or mixes time zones, we refuse and say what to pass.
"""

from dataclasses import dataclass

import polars as pl

from project01.domain import SchemaError

MOST = 0.9  # a form must fit this share of the different values; the rest is refused row by row
_WALL = pl.Datetime("us")
_UTC = pl.Datetime("us", "UTC")
_ZONED = r"^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(Z|UTC|[+-]\d{2}:?\d{2}|[A-Za-z]+/[A-Za-z_/]+)$"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
# name -> pattern and strptime formats tried in turn; the two readings of 03/04/2010 are told apart in `_slashed`.
_TEXT_FORMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "YYYY-MM-DD": (r"^\d{4}-\d{1,2}-\d{1,2}$", ("%Y-%m-%d",)),
    "YYYY/MM/DD": (r"^\d{4}/\d{1,2}/\d{1,2}$", ("%Y/%m/%d",)),
    "YYYYMMDD": (r"^(?:19|20|21)\d{6}$", ("%Y%m%d",)),
    "DD.MM.YYYY": (r"^\d{1,2}\.\d{1,2}\.\d{4}$", ("%d.%m.%Y",)),
    "day, month name, year": (r"^\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}$", ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%d-%B-%Y")),
    "month name, day, year": (
        r"^[A-Za-z]{3,9}\.? \d{1,2},? \d{4}$",
        ("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
    ),
    "date and time": (
        rf"^\d{{4}}-\d{{2}}-\d{{2}}[T ]{_CLOCK}$",
        ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"),
    ),
}  # fmt: skip
_SLASHED = r"^\d{1,2}[/-]\d{1,2}[/-]\d{4}$"
_EPOCH = r"^-?\d{9,19}$"


@dataclass(frozen=True)
class Dates:
    """A column of dates or times as read.

    Attributes:
        wall: Datetime us without zone: the clock as written; null where it could not be read.
        instant: Datetime us UTC, or None where no zone is known.
        form: how the column is written, in words.
    """

    wall: pl.Series
    instant: pl.Series | None
    form: str

    @property
    def has_times(self) -> bool:
        """Whether any value has a time of day other than midnight."""
        return bool((self.wall.dt.truncate("1d") != self.wall).any())

    def sessions(self, exchange_zone: str) -> pl.Series:
        """The day each value belongs to: as written, or the exchange's day where an instant is known."""
        if self.instant is None or not self.has_times:
            return self.wall.dt.date()
        return self.instant.dt.convert_time_zone(exchange_zone).dt.date()


@dataclass(frozen=True)
class DateReader:
    """Reads date columns.

    Attributes:
        exchange_zone: IANA zone of the exchange, e.g. ``America/New_York``.
        date_format: strptime format of the user, or None to find the form.
        timezone: IANA zone of times without one, given by the user.
    """

    exchange_zone: str
    date_format: str | None = None
    timezone: str | None = None

    def read(self, column: pl.Series, where: str) -> Dates:
        """The column as dates.

        Args:
            column: Date, Datetime, whole numbers or text.
            where: file and column, for the error.
        Raises:
            SchemaError: no form fits most values, two readings are possible, or zones are mixed.
        """
        if column.dtype == pl.Date:
            return Dates(column.cast(_WALL), None, "dates")
        if isinstance(column.dtype, pl.Datetime):
            return self._datetimes(column)
        if column.dtype.is_numeric():
            column = column.cast(pl.Float64).cast(pl.Int64, strict=False).cast(pl.String)
        if column.dtype != pl.String:
            raise SchemaError(f"{where}: dates as {column.dtype}; expected dates, times, text or numbers.")
        trimmed = column.str.strip_chars().str.replace(r"^(\d{8,})\.0+$", "${1}")  # whole numbers written as floats
        values = trimmed.unique(maintain_order=True).drop_nulls()
        values = values.filter(values != "")
        if values.is_empty():
            raise SchemaError(f"{where}: no date in any row. Pass mapping={{'session': <the date column>}}.")
        found = self._text(values, where)
        table = pl.DataFrame(
            {
                "text": values,
                "wall": found.wall,
                "instant": found.wall.cast(_UTC) if found.instant is None else found.instant,
            }
        )
        back = pl.DataFrame({"text": trimmed}).join(table, on="text", how="left", maintain_order="left")
        return Dates(back["wall"], None if found.instant is None else back["instant"], found.form)

    def _datetimes(self, column: pl.Series) -> Dates:
        zone = column.dtype.time_zone  # type: ignore[attr-defined]
        if zone is None:
            return self._at_zone(column.cast(_WALL), "times")
        wall = column.dt.replace_time_zone(None).cast(_WALL)
        return Dates(wall, column.dt.convert_time_zone("UTC").cast(_UTC), f"times in {zone}")

    def _at_zone(self, wall: pl.Series, form: str) -> Dates:
        if self.timezone is None:
            return Dates(wall, None, f"{form}, no zone")
        local = wall.dt.replace_time_zone(self.timezone, ambiguous="earliest", non_existent="null")
        return Dates(wall, local.dt.convert_time_zone("UTC"), f"{form} in {self.timezone}")

    def _text(self, values: pl.Series, where: str) -> Dates:
        if self.date_format is not None:
            return self._as_told(values, self.date_format, where)
        zoned = values.str.contains(_ZONED)
        if zoned.any():
            return self._zoned(values, zoned, where)
        fits = {name: values.str.contains(pattern) for name, (pattern, _) in _TEXT_FORMS.items()}
        fits["D/M/Y or M/D/Y"] = values.str.contains(_SLASHED)
        fits["seconds since 1970"] = values.str.contains(_EPOCH)
        best = max(fits, key=lambda name: int(fits[name].sum()))
        if int(fits[best].sum()) < MOST * len(values):
            raise SchemaError(f"{where}: {_mixture(values, fits)}. Pass date_format=, or mend the column.")
        fitting = pl.select(pl.when(fits[best]).then(values)).to_series()
        if best == "D/M/Y or M/D/Y":
            return _slashed(fitting, where)
        if best == "seconds since 1970":
            return _epoch(fitting)
        wall = _parsed(fitting, _TEXT_FORMS[best][1])
        return self._at_zone(wall, best) if best == "date and time" else Dates(wall, None, best)

    def _as_told(self, values: pl.Series, date_format: str, where: str) -> Dates:
        if "%z" in date_format:
            instant = values.str.to_datetime(date_format, time_unit="us", strict=False).dt.convert_time_zone("UTC")
            wall = instant.dt.convert_time_zone(self.exchange_zone).dt.replace_time_zone(None)
            found = Dates(wall, instant, date_format)
        else:
            found = self._at_zone(_parsed(values, (date_format,)), date_format)
        if found.wall.null_count() > (1 - MOST) * len(values):
            bad = values.filter(found.wall.is_null())[0]
            raise SchemaError(f"{where}: date_format={date_format!r} does not fit values such as {bad!r}.")
        return found

    def _zoned(self, values: pl.Series, zoned: pl.Series, where: str) -> Dates:
        naive = values.filter(values.str.contains(_TEXT_FORMS["date and time"][0]))
        if len(naive):
            raise SchemaError(
                f"{where}: mixed time zones: some times carry a zone ({values.filter(zoned)[0]!r}), some do not "
                f"({naive[0]!r}). Write all of them with their offset."
            )
        if int(zoned.sum()) < MOST * len(values):
            raise SchemaError(f"{where}: only {int(zoned.sum())} of {len(values)} values are times with a zone.")
        parts = values.str.extract_groups(_ZONED).struct
        wall, zone = _parsed(parts.field("1"), _TEXT_FORMS["date and time"][1]), parts.field("2")
        names = zone.drop_nulls().unique().sort().to_list()
        if any("/" in name for name in names):
            if len(names) > 1:
                raise SchemaError(f"{where}: mixed time zones {', '.join(names)}. Write all times in one zone.")
            local = wall.dt.replace_time_zone(names[0], ambiguous="earliest", non_existent="null")
            return Dates(wall, local.dt.convert_time_zone("UTC"), f"times in {names[0]}")
        instant = (wall - _offset(zone)).dt.replace_time_zone("UTC")
        return Dates(wall, instant, self._one_zone(wall, instant, names, where))

    def _one_zone(self, wall: pl.Series, instant: pl.Series, offsets: list[str], where: str) -> str:
        """Summer and winter offsets of one zone are one zone; anything else with two offsets is mixed."""
        if len(offsets) == 1:
            return f"times at {offsets[0]}"
        zone = self.timezone or self.exchange_zone
        if (instant.dt.convert_time_zone(zone).dt.replace_time_zone(None) == wall).all():
            return f"times with the offsets of {zone}"
        raise SchemaError(
            f"{where}: mixed time zones: offsets {', '.join(offsets)}, which are not those of {zone} through the year. "
            "Write all times in one zone, or pass timezone= of the exchange they come from."
        )


def _offset(zone: pl.Series) -> pl.Series:
    digits = zone.str.extract_groups(r"([+-])(\d{2}):?(\d{2})").struct
    minutes = digits.field("2").cast(pl.Int64) * 60 + digits.field("3").cast(pl.Int64)
    signed = pl.select(pl.when(digits.field("1") == "-").then(-minutes).otherwise(minutes).fill_null(0)).to_series()
    return (signed * 60_000_000).cast(pl.Duration("us"))


def _parsed(values: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    tries = [pl.lit(values).str.to_datetime(form, time_unit="us", strict=False) for form in formats]
    return pl.select(pl.coalesce(tries)).to_series()


def _slashed(values: pl.Series, where: str) -> Dates:
    parts = values.str.extract_groups(r"^(\d{1,2})[/-](\d{1,2})[/-](\d{4})$").struct
    first, second = parts.field("1").cast(pl.Int64), parts.field("2").cast(pl.Int64)
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    if day_first == month_first:
        example = values.drop_nulls()[0]
        why = "some values have the day first, some the month" if day_first else f"{example!r} can be read both ways"
        raise SchemaError(
            f"{where}: {why}. Pass date_format='%d/%m/%Y' (day first) or date_format='%m/%d/%Y' (month first)."
        )
    order = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    return Dates(_parsed(values.str.replace_all("-", "/"), (order,)), None, "DD/MM/YYYY" if day_first else "MM/DD/YYYY")


def _epoch(values: pl.Series) -> Dates:
    number = values.cast(pl.Int64)
    size = float(number.abs().median() or 0)  # type: ignore[arg-type]
    unit, divisor, factor = next(
        (unit, divisor, factor)
        for limit, unit, divisor, factor in (
            (1e11, "s", 1, 1_000_000), (1e14, "ms", 1, 1_000), (1e17, "us", 1, 1), (float("inf"), "ns", 1_000, 1),
        )
        if size < limit
    )  # fmt: skip
    wall = (number // divisor * factor).cast(_WALL)
    return Dates(wall, wall.dt.replace_time_zone("UTC"), f"{unit} since 1970, UTC")


def _mixture(values: pl.Series, fits: dict[str, pl.Series]) -> str:
    met = [f"{name} ({int(fit.sum())}, e.g. {values.filter(fit)[0]!r})" for name, fit in fits.items() if fit.any()]
    if not met:
        return f"values such as {values[0]!r} are no dates we know"
    return f"dates in several forms: {', '.join(met)}"
