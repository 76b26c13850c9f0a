"""Clocks, ids and fields of Polygon's records, worked by hand."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from project01.domain import Bar, CorporateAction, NewsItem, Observation, Quote, Record, Trade
from project01.ingest.symbols import SymbolMap
from project01.ingest.vendor import Decoded
from project01.ingest.vendors.polygon_decode import Asked, PolygonDecoder
from project01.ingest.vendors.polygon_origin import Origin

NOW = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp() * 1e6)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 1000


@pytest.fixture
def decoder() -> PolygonDecoder:
    return PolygonDecoder(Origin("polygon", False, SymbolMap.default()))


def only(decoded: Decoded) -> Record:
    assert decoded.letters == []
    assert len(decoded.records) == 1
    return decoded.records[0]


def framed(decoder: PolygonDecoder, dataset: str, **event: Any) -> Record:
    return only(decoder.decode(dataset, json.dumps([event]).encode(), NOW))


def answered(decoder: PolygonDecoder, dataset: str, asked: Asked, *results: dict[str, Any], **rest: Any) -> Decoded:
    payload = json.dumps({"status": "OK", "results": results, **rest}).encode()
    return decoder.answer(dataset, payload, NOW, asked)


SECOND = {"sym": "BRK.B", "v": 200, "av": 9470157, "op": 400.1, "vw": 402.5, "o": 402.0, "c": 403.0, "h": 403.5,
          "l": 401.5, "a": 401.9, "z": 50, "s": 1705329000000, "e": 1705329001000}  # fmt: skip


def test_a_second_bar_is_known_at_its_end(decoder: PolygonDecoder) -> None:
    bar = framed(decoder, "aggregates", ev="A", **SECOND)
    assert isinstance(bar, Bar)
    assert bar.event_time == bar.knowledge_time == at("2024-01-15T14:30:01+00:00")
    assert (bar.source_id, bar.symbol, bar.interval, bar.session) == (
        "BRK.B:1s:1705329000000",
        "BRK.B",
        "1s",
        "2024-01-15",
    )
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap) == (402.0, 403.5, 401.5, 403.0, 200.0, 402.5)
    assert json.loads(bytes(bar.raw)) == {"ev": "A", **SECOND}


def test_history_and_socket_give_the_same_bar(decoder: PolygonDecoder) -> None:
    live = framed(decoder, "aggregates", ev="A", **SECOND)
    result = {name: SECOND[name] for name in ("v", "vw", "o", "c", "h", "l")} | {"t": SECOND["s"], "n": 4}
    past = only(answered(decoder, "aggregates", Asked("BRK.B", "1s"), result, adjusted=False))
    names = [name for name in Bar.__struct_fields__ if name != "raw"]
    assert [getattr(past, name) for name in names] == [getattr(live, name) for name in names]


def test_a_bar_after_seven_in_the_evening_belongs_to_that_day_in_new_york(decoder: PolygonDecoder) -> None:
    start = at("2024-01-16T00:59:00+00:00") // 1000  # 19:59 in New York on the 15th
    bar = framed(decoder, "aggregates", ev="AM", **SECOND | {"s": start, "e": start + 60_000})
    assert isinstance(bar, Bar)
    assert (bar.session, bar.interval) == ("2024-01-15", "1m")


@pytest.mark.parametrize(
    ("midnight", "closes"),
    [
        ("2024-03-08T05:00:00+00:00", "2024-03-08T21:00:00+00:00"),  # winter: five hours behind
        ("2024-03-11T04:00:00+00:00", "2024-03-11T20:00:00+00:00"),  # the first session of summer time
        ("2024-11-29T05:00:00+00:00", "2024-11-29T18:00:00+00:00"),  # the half day after Thanksgiving
    ],
)
def test_a_daily_bar_is_known_at_its_sessions_close(decoder: PolygonDecoder, midnight: str, closes: str) -> None:
    result = {"v": 1e6, "o": 10, "h": 12, "l": 9, "c": 11, "t": at(midnight) // 1000}
    bar = only(answered(decoder, "aggregates", Asked("AAPL", "1d"), result, adjusted=True))
    assert isinstance(bar, Bar)
    assert bar.event_time == bar.knowledge_time == at(closes)
    assert (bar.source_id, bar.adjusted) == (f"AAPL:1d:{midnight[:10]}:adjusted", "splits")


def test_a_bar_that_is_not_complete_is_no_record_and_no_fault(decoder: PolygonDecoder) -> None:
    start = NOW // 1000 - 1_800_000
    result = {"v": 1, "o": 10, "h": 12, "l": 9, "c": 11, "t": start}
    for span, records in (("1h", 0), ("30m", 1)):
        decoded = answered(decoder, "aggregates", Asked("AAPL", span), result)
        assert (len(decoded.records), decoded.accepted, decoded.letters) == (records, 1, [])


PAST = {"conditions": [12, 37], "exchange": 4, "id": "183276", "price": 156.43, "size": 10, "tape": 3, "trf_id": 202,
        "participant_timestamp": 1651181822461636600, "sequence_number": 7179341,
        "sip_timestamp": 1651181822463979400, "trf_timestamp": 1651181557090806500}  # fmt: skip


def test_a_trade_happened_at_the_exchange_and_was_known_to_the_tape(decoder: PolygonDecoder) -> None:
    trade = only(answered(decoder, "trades", Asked("AAPL"), PAST))
    assert isinstance(trade, Trade)
    assert (trade.event_time, trade.knowledge_time) == (1651181822461000, 1651181822463000)
    assert trade.source_id == "AAPL:trade:2022-04-28:4:202:183276"
    assert (trade.exchange, trade.conditions, trade.tape, trade.action) == ("4", ("12", "37"), "C", "new")
    live = framed(decoder, "trades", ev="T", sym="AAPL", i="183276", x=4, p=156.43, s=10, t=1651181822463,
                  pt=1651181822461, c=[12, 37], z=3, q=7179341, trfi=202, trft=1651181557090)  # fmt: skip
    names = [name for name in Trade.__struct_fields__ if name != "raw"]
    assert [getattr(live, name) for name in names] == [getattr(trade, name) for name in names]


def test_one_stamp_stands_for_both_and_the_exchange_is_never_after_the_tape(decoder: PolygonDecoder) -> None:
    alone = only(answered(decoder, "trades", Asked("AAPL"), {**PAST, "participant_timestamp": None}))
    assert alone.event_time == alone.knowledge_time == 1651181822463000
    fast = only(answered(decoder, "trades", Asked("AAPL"), PAST | {"participant_timestamp": 1651181822999000000}))
    assert fast.event_time == fast.knowledge_time == 1651181822463000


@pytest.mark.parametrize(
    ("code", "actions", "known"),
    [
        (1, ["correct"], "2022-04-29T00:00:00+00:00"),  # 20:00 in New York
        (8, ["new", "cancel"], "2022-04-29T00:00:00+00:00"),
        (7, ["new", "cancel"], "2022-04-29T00:00:00+00:00"),
        (10, ["cancel"], "2022-04-28T21:37:02.463+00:00"),
        (12, ["correct"], "2022-04-28T21:37:02.463+00:00"),
    ],
)
def test_corrections_take_effect_when_they_can_be_known(
    decoder: PolygonDecoder, code: int, actions: list[str], known: str
) -> None:
    decoded = answered(decoder, "trades", Asked("AAPL"), PAST | {"correction": code})
    trades = [record for record in decoded.records if isinstance(record, Trade)]
    assert [trade.action for trade in trades] == actions
    last = trades[-1]
    assert last.knowledge_time == at(known)
    assert last.refers_to == "AAPL:trade:2022-04-28:4:202:183276"
    assert last.source_id == f"{last.refers_to}:{code}"
    if len(trades) == 2:
        assert trades[0].source_id == last.refers_to
        assert trades[0].knowledge_time == 1651181822463000


def test_a_quote_without_a_bid_has_none(decoder: PolygonDecoder) -> None:
    quote = framed(decoder, "quotes", ev="Q", sym="AAPL", bp=0, bs=0, bx=0, ap=114.13, ax=7, c=0, q=103,
                   t=1611082428990, **{"as": 160})  # fmt: skip
    assert isinstance(quote, Quote)
    assert (quote.bid, quote.bid_size, quote.bid_exchange) == (None, None, None)
    assert (quote.ask, quote.ask_size, quote.ask_exchange) == (114.13, 160.0, "7")
    assert quote.event_time == quote.knowledge_time == 1611082428990000


def test_a_split_is_known_when_it_starts_to_trade(decoder: PolygonDecoder) -> None:
    result = {"ticker": "GOOG", "execution_date": "2022-07-18", "split_from": 1, "split_to": 20}
    split = only(answered(decoder, "splits", Asked(), result))
    assert isinstance(split, CorporateAction)
    assert (split.ratio, split.effective, split.action) == (20.0, "2022-07-18", "split")
    assert split.event_time == split.knowledge_time == at("2022-07-18T08:00:00+00:00")  # 04:00 in New York


@pytest.mark.parametrize(
    ("declared", "known"),
    [
        ("2024-01-25", "2024-01-26T01:00:00+00:00"),  # 20:00 in New York, whatever the hour of the news was
        (None, "2024-02-09T09:00:00+00:00"),  # 04:00 on the day itself
        ("2024-02-09", "2024-02-09T09:00:00+00:00"),  # never after it has its effect
    ],
)
def test_a_dividend_is_known_when_it_was_declared(decoder: PolygonDecoder, declared: str | None, known: str) -> None:
    result = {"ticker": "AAPL", "ex_dividend_date": "2024-02-09", "cash_amount": 0.24, "declaration_date": declared}
    dividend = only(answered(decoder, "dividends", Asked(), result))
    assert isinstance(dividend, CorporateAction)
    assert dividend.knowledge_time == at(known)
    assert dividend.event_time == at("2024-02-09T09:00:00+00:00")


def test_a_company_keeps_its_history_under_the_ticker_of_the_time(decoder: PolygonDecoder) -> None:
    events = [{"type": "ticker_change", "date": day, "ticker_change": {"ticker": ticker}}
              for day, ticker in (("2022-06-09", "META"), ("2012-05-18", "FB"))]  # fmt: skip
    payload = json.dumps({"status": "OK", "results": {"events": events}}).encode()
    decoded = decoder.decode("ticker_events", payload, NOW)
    first, second = decoded.records
    assert isinstance(first, CorporateAction)
    assert isinstance(second, CorporateAction)
    assert (first.action, first.symbol, first.effective) == ("listing", "FB", "2012-05-18")
    assert (second.action, second.symbol, second.new_symbol) == ("rename", "FB", "META")
    assert second.knowledge_time == at("2022-06-09T08:00:00+00:00")


def test_holidays_are_hours_of_trading(decoder: PolygonDecoder) -> None:
    payload = json.dumps([
        {"exchange": "NYSE", "name": "Christmas", "date": "2024-12-25", "status": "closed"},
        {"exchange": "NYSE", "name": "Christmas", "date": "2024-12-24", "status": "early-close",
         "open": "2024-12-24T14:30:00.000Z", "close": "2024-12-24T18:00:00.000Z"},
    ]).encode()  # fmt: skip
    found = decoder.decode("market_status", payload, NOW).records
    assert [(r.series_id, r.period, r.value) for r in found if isinstance(r, Observation)] == [
        ("market_status:NYSE", "2024-12-25", 0.0),
        ("market_status:NYSE", "2024-12-24", 3.5),
    ]


def test_news_name_one_share_or_several(decoder: PolygonDecoder) -> None:
    story = {"id": "a", "title": "t", "published_utc": "2022-04-28T17:08:00Z", "tickers": ["MSFT", "I:SPX", "X:BTCUSD"]}
    item = only(answered(decoder, "news", Asked(), story))
    assert isinstance(item, NewsItem)
    assert (item.symbol, item.symbols) == ("MSFT", ("MSFT",))
    assert item.knowledge_time == at("2022-04-28T17:08:00+00:00")
    several = only(answered(decoder, "news", Asked(), story | {"tickers": ["MSFT", "AAPL"]}))
    assert several.symbol is None
