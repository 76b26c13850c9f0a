"""Which column of a file holds what, guessed from the header."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from project01.domain import SchemaError

# Normalised names (lower case, letters and digits only, a leading number such as Alpha Vantage's "1. open" taken off),
# the surest first.
ALIASES: dict[str, tuple[str, ...]] = {
    "session": (
        "session", "date", "tradedate", "tradingdate", "tradingday", "day", "sessionclose", "timestamp", "datetime",
        "time", "ts", "eventtime", "dt", "t", "index", "unnamed0", "",
    ),
    "symbol": ("symbol", "ticker", "sym", "tickersymbol", "instrument", "stock", "ric", "code", "name"),
    "open": ("open", "openprice", "priceopen", "pxopen", "o"),
    "high": ("high", "highprice", "pricehigh", "pxhigh", "h"),
    "low": ("low", "lowprice", "pricelow", "pxlow", "l"),
    "close": ("close", "closeprice", "priceclose", "closelast", "pxlast", "lastprice", "last", "price", "c"),
    "adj_close": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjprice"),
    "volume": ("volume", "vol", "sharevolume", "tradingvolume", "pxvolume", "v"),
}  # fmt: skip
REQUIRED = ("session", "close")


@dataclass(frozen=True)
class ColumnMapping:
    """How one file, or several of the same header, is read.

    Attributes:
        files: names of the files, relative to the folder given.
        columns: our column -> the file's column.
        symbol_from: where the symbol comes from, in words.
        date_form: how the dates are written, in words; empty until the dates have been read.
        ignored: columns of the file that are not used.
    """

    files: tuple[str, ...]
    columns: Mapping[str, str]
    symbol_from: str
    date_form: str
    ignored: tuple[str, ...]

    @property
    def _shown(self) -> str:
        return self.files[0] if len(self.files) == 1 else f"{self.files[0]} and {len(self.files) - 1} more"

    def sentence(self) -> str:
        """The mapping in one line: what is read from which column, what is missing, what is not used."""
        found = [
            ours if ours == theirs else f"{ours} from {theirs!r}"
            for ours, theirs in ((name, self.columns.get(name)) for name in ALIASES)
            if theirs is not None
        ]
        if "symbol" not in self.columns:
            found.append(f"symbol {self.symbol_from}")
        missing = [name for name in ALIASES if name not in self.columns and name != "symbol"]
        parts = [f"{self._shown}: {', '.join(found)}; {self.date_form}"]
        parts += [f"no {', '.join(missing)}"] if missing else []
        parts += [f"not used: {', '.join(self.ignored)}"] if self.ignored else []
        return "; ".join(parts)

    def describe(self) -> str:
        """The mapping as a small table, one line for each of our columns."""
        rows = [("our column", "their column"), ("-" * 10, "-" * 12)]
        rows += [(ours, self.columns.get(ours, self._absent(ours))) for ours in ALIASES]
        lines = [f"{ours:<12}{theirs}" for ours, theirs in rows]
        tail = [f"dates:      {self.date_form}"]
        if self.ignored:
            tail.append(f"not used:   {', '.join(self.ignored)}")
        return "\n".join([self._shown, *lines, *tail])

    def _absent(self, ours: str) -> str:
        return self.symbol_from if ours == "symbol" else "(none: stays missing)"


def normalise(name: str) -> str:
    """A column name without case, spaces, punctuation and leading number."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^\s*\d+\s*[.)]\s*", "", name.lower()))


def guess_columns(header: Sequence[str], override: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our column -> the file's column, as far as the header tells.

    Args:
        header: the file's column names.
        override: our column -> the file's column; it wins over the guess.
    Raises:
        SchemaError: the override names a column that does not exist, on either side, or two columns of the file have
            the same meaning.
    """
    override = dict(override or {})
    check_override(override)
    absent = [theirs for theirs in override.values() if theirs not in header]
    if absent:
        raise SchemaError(f"The mapping names column(s) {', '.join(absent)}; found {', '.join(header)}.")
    free = [name for name in header if name not in override.values()]
    found = dict(override)
    for ours, names in ALIASES.items():
        if ours in found:
            continue
        for alias in names:
            fitting = [name for name in free if normalise(name) == alias]
            if len(fitting) > 1:
                raise SchemaError(
                    f"Columns {' and '.join(map(repr, fitting))} could both be {ours}. "
                    f"Pass the one meant as mapping={{{ours!r}: {fitting[0]!r}}}."
                )
            if fitting:
                found[ours] = fitting[0]
                break
    return found


def check_override(override: Mapping[str, str]) -> None:
    """Refuse a mapping of columns we do not have.

    Raises:
        SchemaError: a key is none of our columns.
    """
    unknown = [ours for ours in override if ours not in ALIASES]
    if unknown:
        raise SchemaError(
            f"The mapping has unknown column(s) {', '.join(unknown)}; expected some of {', '.join(ALIASES)}. "
            "Write it as {our column: column of the file}."
        )


def missing_columns(found: Mapping[str, str]) -> list[str]:
    """Columns a bar cannot do without that were not found."""
    return [ours for ours in REQUIRED if ours not in found]
