"""The one place where a vendor's way of naming a security becomes ours, and back.

A symbol of ours is the ticker of the time, upper case, share class after a dot. Ticker changes apply from their day on
and never before it, so that nothing of the future enters a record.

The built-in tables hold large US companies: names and keys after the list of S&P 500 constituents of `datasets` (public
domain), ticker changes by hand. They are a start, not a security master: `from_files` takes your own.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import date
from functools import cache
from importlib.resources import files
from io import StringIO
from pathlib import Path

from project01.domain import InputError
from project01.ingest.symbols_history import Spell, TickerHistory, read_spells
from project01.ingest.symbols_names import CASHTAG, NameFinder
from project01.ingest.symbols_notation import Notation, parse, write

__all__ = ["Notation", "SymbolMap"]

# Names are kept under their companies' newest tickers.
_NEWEST = date.max


class SymbolMap:
    """Ticker changes, share classes, cashtags, company names and the vendors' identifiers.

    Args:
        spells: who had which ticker when.
        names: from a company's name in a text to its newest symbol; an empty symbol: the phrase names no company.
        ciks: pairs of SEC central index key and symbol; of several symbols of one company the first counts.
        entities: from (scheme, identifier) to symbol, e.g. ``("ravenpack", "D8442A")``.
    """

    def __init__(
        self,
        *,
        spells: Iterable[Spell] = (),
        names: Mapping[str, str] | None = None,
        ciks: Sequence[tuple[int, str]] = (),
        entities: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self._history = TickerHistory(spells)
        self._finder = NameFinder(names or {})
        self._cik_of = {symbol: cik for cik, symbol in ciks}
        self._of_cik = dict(reversed(ciks))
        self._entities = dict(entities or {})

    @classmethod
    def default(cls) -> "SymbolMap":
        """The rules, with the built-in tables: renames and reused tickers, names and keys of large US companies."""
        return _built_in()

    @classmethod
    def from_files(
        cls, *, changes: Path | None = None, names: Path | None = None, ciks: Path | None = None
    ) -> "SymbolMap":
        """A map from files of your own; a file not given leaves that part empty.

        Args:
            changes: CSV `permtick,last_date,ticker,exchange`, see `symbols_history`.
            names: CSV `symbol,scheme,identifier`; scheme ``name``: the identifier is a name in texts, with an empty
                symbol a phrase that names nobody; any other scheme is a vendor's, for `of_entity`.
            ciks: CSV `cik,symbol`, or the SEC's ``company_tickers.json``.
        Raises:
            InputError: a file is missing, or holds what is not as described; names file and line.
        """
        return _assembled(*((_text(path), str(path)) if path else None for path in (changes, names, ciks)))

    def ours(self, text: str, notation: Notation, on: date | None = None) -> str | None:
        """Our symbol; None when `text` is no symbol of a security listed in the United States.

        Args:
            text: as the vendor wrote it.
            notation: whose way of writing it is; a share class is understood after dot, dash or slash everywhere.
            on: when it was written: a ticker that was given up before becomes the one of that day (``$FB`` written in
                2023 is META). None: as written.
        """
        symbol = parse(text, notation)
        return symbol if symbol is None or on is None else self.current(symbol, on)

    def theirs(self, symbol: str, notation: Notation) -> str:
        """A symbol of ours as a vendor writes it; `ours` of the result is the symbol again.

        Raises:
            InputError: `symbol` is not in our notation.
        """
        try:
            return write(symbol, notation, self._history.exchange(symbol) if notation == "ric" else None)
        except ValueError as error:
            raise InputError(str(error)) from error

    def current(self, symbol: str, on: date, meant_on: date | None = None) -> str:
        """The ticker, on the day `on`, of the company that `symbol` meant.

        Args:
            symbol: ours.
            on: FB gives META from 2022-06-09 on, and FB before.
            meant_on: the day whose meaning of `symbol` counts, for tickers that another company had later or before
                (GOOG of 2013 is GOOGL now). None: the meaning on the day `on`, else the last one before it. Nothing is
                read from names of the future: META of 2015 stays META, unless `meant_on` says 2023: then it is FB.
        """
        return self._history.on(symbol, on, meant_on)

    def of_cik(self, cik: int) -> str | None:
        """Symbol of an SEC central index key; the first share class listed where there are several."""
        return self._of_cik.get(cik)

    def cik_of(self, symbol: str) -> int | None:
        """SEC central index key of a symbol, None when unknown."""
        return self._cik_of.get(symbol)

    def of_entity(self, scheme: str, identifier: str) -> str | None:
        """Symbol of a vendor's entity, None when unknown."""
        return self._entities.get((scheme, identifier))

    def names_of(self, symbol: str) -> tuple[str, ...]:
        """Names of a company in texts, shortest first; none where unknown."""
        return self._finder.names_of(self.current(symbol, _NEWEST))

    def cashtags_in(self, text: str) -> tuple[str, ...]:
        """Cashtags of a text without their dollar sign, as written, in order; ``US$AAPL`` and ``$5`` are none."""
        return tuple(CASHTAG.findall(text))

    def named_in(self, text: str, on: date | None = None) -> tuple[str, ...]:
        """Symbols of the cashtags and of the known companies named in a headline, sorted, each once.

        Args:
            text: headline or sentences, in the writing of people; a damaged ampersand ("AT&T;") is understood.
            on: when it was written: symbols are those of that day. None: the newest ones.
        """
        cashtags, named = self._finder.find(text)
        found = {self.ours(cashtag, "cashtag", on) for cashtag in cashtags}
        found |= {symbol if on is None else self.current(symbol, on, meant_on=_NEWEST) for symbol in named}
        return tuple(sorted(symbol for symbol in found if symbol is not None))


@cache
def _built_in() -> SymbolMap:
    folder = files("project01.ingest").joinpath("tables")
    names = ("changes.csv", "names.csv", "ciks.csv")
    return _assembled(*((folder.joinpath(name).read_text(encoding="utf-8"), name) for name in names))


def _assembled(
    changes: tuple[str, str] | None, names: tuple[str, str] | None, ciks: tuple[str, str] | None
) -> SymbolMap:
    words: dict[str, str] = {}
    entities: dict[tuple[str, str], str] = {}
    for scheme, identifier, symbol in _read_names(*names) if names else ():
        if scheme == "name":
            words[identifier] = symbol
        else:
            entities[scheme, identifier] = symbol
    return SymbolMap(
        spells=read_spells(StringIO(changes[0]), where=changes[1]) if changes else (),
        names=words,
        ciks=_read_ciks(*ciks) if ciks else (),
        entities=entities,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}. Give a text file in UTF-8.") from error


def _rows(text: str, where: str, columns: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
    with closing(StringIO(text)) as lines:
        reader = csv.DictReader(lines)
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise InputError(f"{where}: column(s) {', '.join(missing)} missing; expected {', '.join(columns)}.")
        for row in reader:
            yield reader.line_num, {name: row[name] or "" for name in columns}


def _read_names(text: str, where: str) -> Iterable[tuple[str, str, str]]:
    for line, row in _rows(text, where, ("symbol", "scheme", "identifier")):
        symbol = parse(row["symbol"], "plain")
        if symbol is None and not (row["scheme"] == "name" and row["symbol"] == ""):
            raise InputError(f"{where}, line {line}: {row['symbol']!r} is no symbol; expected one such as BRK.B.")
        if not row["scheme"] or not row["identifier"]:
            raise InputError(f"{where}, line {line}: scheme and identifier must not be empty.")
        yield row["scheme"], row["identifier"], symbol or ""


def _read_ciks(text: str, where: str) -> list[tuple[int, str]]:
    if text.lstrip().startswith("{"):
        return _read_company_tickers(text, where)
    pairs = []
    for line, row in _rows(text, where, ("cik", "symbol")):
        symbol = parse(row["symbol"], "plain")
        if symbol is None or not row["cik"].isdecimal():
            raise InputError(
                f"{where}, line {line}: found {row['cik']!r} and {row['symbol']!r}; "
                f"expected a whole number and a symbol."
            )
        pairs.append((int(row["cik"]), symbol))
    return pairs


def _read_company_tickers(text: str, where: str) -> list[tuple[int, str]]:
    """The SEC's own file: an object of {cik_str, ticker, title}; its tickers write share classes with a dash."""
    try:
        rows = [(int(row["cik_str"]), parse(str(row["ticker"]), "dash")) for row in json.loads(text).values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{where} is not the SEC's file of company tickers ({error!r}); expected objects with cik_str and ticker."
        ) from error
    return [(cik, symbol) for cik, symbol in rows if symbol is not None]
