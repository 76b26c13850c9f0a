import time
from datetime import date, timedelta
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from project01.domain import InputError
from project01.ingest.symbols import Notation, SymbolMap

MAP = SymbolMap.default()
NOTATIONS: tuple[Notation, ...] = get_args(Notation)
roots = st.from_regex(r"[A-Z][A-Z0-9]{0,9}", fullmatch=True)
classes = st.sampled_from(["", *(f".{c}" for c in "ABCDEFGHIJKLMNOPQRSTUVWYZ"), ".PRA", ".PRZ", ".WS", ".RT", ".WI"])
symbols = st.builds("{}{}".format, roots, classes)


@given(symbols, st.sampled_from(NOTATIONS))
def test_ours_of_theirs_is_the_symbol_again(symbol: str, notation: Notation) -> None:
    assert MAP.ours(MAP.theirs(symbol, notation), notation) == symbol


@given(st.text(max_size=40), st.sampled_from(NOTATIONS))
def test_any_text_is_a_symbol_of_ours_or_none(text: str, notation: Notation) -> None:
    symbol = MAP.ours(text, notation)
    assert symbol is None or MAP.ours(MAP.theirs(symbol, notation), notation) == symbol


@pytest.mark.parametrize(
    ("text", "notation", "expected"),
    [
        ("BRK.B", "plain", "BRK.B"),
        ("BRK-B", "plain", "BRK.B"),
        ("BRK/B", "plain", "BRK.B"),
        ("BRK/B", "slash", "BRK.B"),
        ("BRK-B", "dash", "BRK.B"),
        ("BRKb.N", "ric", "BRK.B"),
        ("BRK/B US Equity", "bloomberg", "BRK.B"),
        ("brk/b us equity", "bloomberg", "BRK.B"),
        ("$BRK.B", "cashtag", "BRK.B"),
        ("brk_b", "cashtag", "BRK.B"),
        (" aapl ", "plain", "AAPL"),
        ("AAPL.O", "ric", "AAPL"),
        ("AAPL.OQ", "ric", "AAPL"),
        ("SPY.P", "ric", "SPY"),
        ("C.K", "ric", "C"),
        ("IBM", "ric", "IBM"),
        ("WMI.N^H09", "ric", "WMI"),
        ("BAC_pa.N", "ric", "BAC.PRA"),
        ("BACpA", "plain", "BAC.PRA"),
        ("BAC-PA", "dash", "BAC.PRA"),
        ("BAC.PR.A", "plain", "BAC.PRA"),
        ("AAPL UW Equity", "bloomberg", "AAPL"),
        # Listings elsewhere, indices, currencies, rubbish.
        ("VOD.L", "ric", None),
        ("VOD LN Equity", "bloomberg", None),
        (".SPX", "ric", None),
        ("$SHOP.TO", "cashtag", None),
        ("$BTC.X", "cashtag", None),
        ("$5", "cashtag", None),
        ("US$AAPL", "cashtag", None),
        ("", "plain", None),
        ("BRK.B.C.D", "plain", None),
        ("ﬃ", "plain", None),
        ("ＡＡＰＬ", "plain", None),
        ("A" * 1_000_000, "plain", None),
    ],
)
def test_notations(text: str, notation: Notation, expected: str | None) -> None:
    assert MAP.ours(text, notation) == expected


def test_a_text_that_is_no_symbol_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"BRK\.B"):
        MAP.theirs("brk-b", "ric")


def test_rics_name_the_exchange_where_it_is_known() -> None:
    assert MAP.theirs("META", "ric") == "META.O"
    assert MAP.theirs("BAC", "ric") == "BAC.N"
    assert MAP.theirs("VXX", "ric") == "VXX.Z"


@pytest.mark.parametrize(
    ("symbol", "on", "meant_on", "expected"),
    [
        ("FB", date(2022, 6, 8), None, "FB"),
        ("FB", date(2022, 6, 9), None, "META"),
        ("FB", date(2001, 1, 2), None, "FB"),  # another company: no Meta before its listing
        ("META", date(2021, 12, 1), None, "META"),  # a fund had this ticker
        ("META", date(2022, 3, 1), None, "METV"),  # its new one
        ("META", date(2023, 1, 3), None, "META"),
        ("META", date(2015, 1, 2), None, "META"),  # nothing of the future is read
        ("META", date(2015, 1, 2), date(2023, 1, 3), "FB"),
        ("GOOG", date(2014, 4, 2), None, "GOOG"),
        ("GOOG", date(2020, 1, 2), None, "GOOG"),
        ("GOOG", date(2020, 1, 2), date(2013, 1, 2), "GOOGL"),
        ("WMI", date(2009, 8, 4), None, "WMI"),
        ("WMI", date(2009, 8, 5), None, "WM"),
        ("WM", date(2008, 1, 2), None, "WM"),  # Washington Mutual
        ("FISV", date(2024, 1, 2), None, "FI"),
        ("FI", date(2026, 1, 2), None, "FISV"),
        ("FI", date(2020, 1, 2), None, "FI"),  # Frank's International
        ("RDS.B", date(2023, 1, 3), None, "SHEL"),
        ("NOSUCH", date(2020, 1, 2), None, "NOSUCH"),
    ],
)
def test_ticker_changes(symbol: str, on: date, meant_on: date | None, expected: str) -> None:
    assert MAP.current(symbol, on, meant_on) == expected


def test_a_cashtag_means_the_ticker_of_its_day() -> None:
    assert MAP.ours("$fb", "cashtag", date(2014, 1, 2)) == "FB"
    assert MAP.ours("$fb", "cashtag", date(2023, 1, 3)) == "META"


@given(st.sampled_from(["FB", "META", "GOOG", "WMI", "FI", "ARNC", "IR", "Q"]), st.dates(date(1998, 1, 2)))
def test_a_company_keeps_its_identity_over_its_tickers(symbol: str, on: date) -> None:
    now = MAP.current(symbol, on)
    assert MAP.current(now, on) == now


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apple Reports Results", ("AAPL",)),
        ("Pineapple and apple juice", ()),
        ("Applebee's opens", ()),
        ("Big Apple Circus returns", ()),
        ("AT&T; to buy Time Warner", ("T", "TWX")),
        ("AT&amp;T to buy", ("T",)),
        ("J&J; settles; S&P; 500 flat", ("JNJ",)),
        ("Ford recalls trucks", ("F",)),
        ("Harrison Ford honoured", ()),
        ("Harrison Ford drives a Ford", ("F",)),
        ("Visa profit beats", ("V",)),
        ("Visa rules tightened", ()),
        ("U.S. Visa Waiver Program", ()),
        ("GE to cut jobs at GE Vernova", ("GE", "GEV")),
        ("GERMANY and GEneral", ()),
        ("GM crops approved, GM shares rise", ("GM",)),
        ("Merck KGaA sues Merck", ("MRK",)),
        ("UPDATE 1-Apple’s chief", ("AAPL",)),
        ("Microsoft/Yahoo deal", ("MSFT", "YHOO")),
        ("$3M raised by 3M", ("MMM",)),
        ("$AAPL $5 US$MSFT $$TSLA $aapl", ("AAPL",)),
        ("buy $BRK.B. and $GE, not $GOOG", ("BRK.B", "GE", "GOOG")),
        ("mail@Apple.com @Apple https://x.com/Apple", ()),
        ("Bank of\u00a0America  and Wells\nFargo", ("BAC", "WFC")),
        ("\u200b$AAPL\u200b 🚀$MSFT", ("AAPL", "MSFT")),
        ("\ud800 Apple", ("AAPL",)),
    ],
)
def test_names_in_headlines(text: str, expected: tuple[str, ...]) -> None:
    on = date(2012, 5, 2) if "Yahoo" in text or "Warner" in text else date(2025, 5, 2)
    assert MAP.named_in(text, on) == expected


def test_a_name_means_the_ticker_of_its_day() -> None:
    assert MAP.named_in("Facebook buys Instagram", date(2014, 1, 2)) == ("FB",)
    assert MAP.named_in("Facebook buys Instagram", date(2024, 1, 2)) == ("META",)
    assert MAP.named_in("Facebook buys Instagram") == ("META",)
    assert MAP.named_in("Google rises", date(2010, 1, 4)) == ("GOOG",)


@given(st.text(max_size=200))
def test_any_text_gives_symbols(text: str) -> None:
    found = MAP.named_in(text)
    assert list(found) == sorted(set(found))
    assert all(MAP.ours(symbol, "plain") == symbol for symbol in found)


def test_every_name_is_found_by_itself_and_never_inside_a_word() -> None:
    for symbol in ("AAPL", "T", "MMM", "BRK.B", "YUM"):
        for name in MAP.names_of(symbol):
            assert MAP.named_in(f"so {name}, they say") == (symbol,)
            assert symbol not in MAP.named_in(f"x{name}x")


def test_ciks() -> None:
    assert MAP.of_cik(320193) == "AAPL"
    assert MAP.of_cik(1652044) == "GOOGL"
    assert MAP.cik_of("GOOG") == MAP.cik_of("GOOGL") == 1652044
    assert MAP.cik_of("BRK.B") == 1067983
    assert MAP.of_cik(1) is None
    assert MAP.cik_of("NOSUCH") is None


def test_maps_from_files(tmp_path: Path) -> None:
    changes, names, ciks = tmp_path / "changes.csv", tmp_path / "names.csv", tmp_path / "company_tickers.json"
    changes.write_text("permtick,last_date,ticker,exchange\nX,20100104,OLD,N\nX,20150630,OLD,N\nX,20501231,NEW,Q\n")
    names.write_text("symbol,scheme,identifier\nNEW,name,New Things\n,name,New Things To Do\nNEW,ravenpack,A1B2C3\n")
    ciks.write_text('{"0":{"cik_str":7,"ticker":"BRK-B","title":"B"},"1":{"cik_str":7,"ticker":"BRK-A","title":"A"}}')
    found = SymbolMap.from_files(changes=changes, names=names, ciks=ciks)
    assert found.current("OLD", date(2015, 7, 1)) == "NEW"
    assert found.named_in("New Things rise; New Things To Do") == ("NEW",)
    assert found.named_in("New Things", date(2012, 1, 3)) == ("OLD",)
    assert found.of_entity("ravenpack", "A1B2C3") == "NEW"
    assert found.of_entity("bloomberg", "A1B2C3") is None
    assert (found.of_cik(7), found.cik_of("BRK.A")) == ("BRK.B", 7)
    assert found.theirs("NEW", "ric") == "NEW.O"
    assert SymbolMap.from_files().named_in("Apple $AAPL") == ("AAPL",)


@pytest.mark.parametrize(
    ("part", "text", "match"),
    [
        ("changes", "permtick,ticker\n", "last_date, exchange"),
        ("changes", "permtick,last_date,ticker,exchange\nX,2010-01-04,OLD,N\n", "line 2.*2010-01-04"),
        ("changes", "permtick,last_date,ticker,exchange\nX,20150101,OLD,N\nX,20140101,NEW,N\n", "go forward"),
        ("names", "symbol,scheme\n", "identifier"),
        ("names", "symbol,scheme,identifier\n??,name,Thing\n", "line 2.*no symbol"),
        ("names", "symbol,scheme,identifier\n,ravenpack,A1\n", "line 2"),
        ("names", "symbol,scheme,identifier\nAAPL,name,\n", "must not be empty"),
        ("ciks", "cik,symbol\nseven,AAPL\n", "line 2.*seven"),
        ("ciks", '{"0": {"ticker": "AAPL"}}', "company tickers"),
    ],
)
def test_bad_files_are_named(part: str, text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / f"{part}.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        SymbolMap.from_files(**{part: path})


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        SymbolMap.from_files(names=tmp_path / "nowhere.csv")


def test_the_ticker_map_of_the_real_data_reads(shared_data: Path) -> None:
    found = SymbolMap.from_files(changes=shared_data / "corporate_actions" / "ticker_map.csv")
    assert found.current("WMI", date(2009, 8, 4)) == "WMI"
    assert found.current("WMI", date(2009, 8, 5)) == "WM"
    assert found.current("GOOG", date(2016, 1, 4), date(2013, 1, 2)) == "GOOGL"


@pytest.mark.slow
def test_real_headlines_agree_with_an_independent_match_at_scale(shared_data: Path) -> None:
    """The data's own tags come from another matcher with known false hits; most must agree, and it must be fast."""
    frame = pl.read_parquet(shared_data / "news_reuters" / "headlines_2010_2015.parquet")
    headlines, days = frame["headline"].to_list(), frame["published_at"].dt.date().to_list()
    started = time.perf_counter()
    found = [set(MAP.named_in(text, day)) for text, day in zip(headlines, days, strict=True)]
    assert time.perf_counter() - started < 30.0
    tagged = [set(tags.replace("-", ".").split(",")) for tags in frame["tickers_matched"].to_list()]
    agreed = sum(len(ours & theirs) for ours, theirs in zip(found, tagged, strict=True))
    assert agreed / sum(map(len, tagged)) > 0.95


@given(st.dates(date(1998, 1, 2), date(2040, 1, 1)))
def test_a_renamed_ticker_follows_within_the_day(day: date) -> None:
    before, after = MAP.current("FB", day), MAP.current("FB", day + timedelta(days=1))
    assert before == after or (before, after, day) in {
        ("FB", "META", date(2022, 6, 8)),
    }
