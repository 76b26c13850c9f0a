"""Polygon's bars, trades and quotes as records: the hot path.

**Clocks.** A bar happened, and was known, at its END. A trade or quote happened when the exchange made it
(`participant_timestamp`, `pt`) and was known when the consolidated tape had it (`sip_timestamp`, `t`); where the vendor
leaves out the former, the latter stands for both; where it leaves out the latter, the former does, which is early by
the exchange's way to the tape (well under a second; minutes for off-exchange prints reported late). Both are kept to
the millisecond: the socket gives no more, and a trade must read the same whether it came by socket or by history.
The nanoseconds stay in `raw`.

**Ids** are made from what socket and history both give, so that filling a gap brings the same record again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from project01.domain import Bar, Quote, Record, Trade
from project01.ingest.decoding import Reason
from project01.ingest.vendors.polygon_checks import (
    EARLIEST_MS,
    INFINITY,
    SKEW_MS,
    bar_fault,
    bar_is_sound,
    side_of,
    size_of,
    span_fault,
    time_fault,
    times_of,
)
from project01.ingest.vendors.polygon_formats import (
    Aggregate,
    MinuteBar,
    PastQuote,
    PastTrade,
    QuoteEvent,
    SecondBar,
    TradeEvent,
)
from project01.ingest.vendors.polygon_origin import SOURCE, Origin, Refused
from project01.ingest.vendors.polygon_spans import NEW_YORK, Span, end_of

HOUR_MS = 3_600_000
_STREAMED = {SecondBar: Span.of("1s"), MinuteBar: Span.of("1m")}
_TAPES = {1: "A", 2: "B", 3: "C"}


class TickMaker:
    """Makes records of ticks; remembers symbols and days it has met, and nothing else."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._licence, self._simulated = origin.licence, origin.simulated
        self._days: dict[int, str] = {}

    def streamed_bar(self, event: SecondBar, raw: msgspec.Raw, received_at: int) -> Bar:
        """The record of an `A` or `AM` event.

        Raises:
            Refused: prices, volume or times that cannot be.
        """
        span, start, end = _STREAMED[type(event)], event.s, event.e
        if end - start != span.milliseconds:
            raise span_fault(event, span, received_at)
        if not bar_is_sound(event, start, end, received_at):
            raise bar_fault(event, start, end, received_at)
        symbol = self._origin.known.get(event.sym) or self._origin.symbol(event.sym)
        session = self._days.get(start // HOUR_MS) or self.day(start)
        return self._bar(event, symbol, span, f"{symbol}:{span.text}:{start}", session, end, raw, received_at)

    def past_bar(
        self, found: Aggregate, raw: msgspec.Raw, received_at: int, *, ticker: str, span: Span, adjusted: bool
    ) -> Bar | None:
        """The record of one of `/v2/aggs`; None while the bar is not complete.

        `trades` is left out, since the socket does not give it. A daily bar is complete at its session's close.
        Bars adjusted for splits are other facts than those as traded, so their ids differ.
        """
        if not found.t > EARLIEST_MS or (found.t - SKEW_MS) * 1000 > received_at:
            raise time_fault(found.t, 1, received_at)
        session = self._days.get(found.t // HOUR_MS) or self.day(found.t)
        end = span.end(found.t, session)
        if end is None:
            raise Refused(Reason.OUTSIDE_RANGE, f"daily bar of {session}, on which the exchange was closed", ticker)
        if found.t * 1000 <= received_at < end * 1000 and bar_is_sound(found, found.t, found.t, received_at):
            return None
        if not bar_is_sound(found, found.t, end, received_at):
            raise bar_fault(found, found.t, end, received_at)
        symbol = self._origin.known.get(ticker) or self._origin.symbol(ticker)
        place = session if span.unit == "day" else found.t  # some answers stamp a day at its close
        own_id = f"{symbol}:{span.text}:{place}{':adjusted' if adjusted else ''}"
        kind: Literal["splits", "none"] = "splits" if adjusted else "none"
        return self._bar(found, symbol, span, own_id, session, end, raw, received_at, kind)

    def _bar(  # noqa: PLR0913, PLR0917 - the hot path makes no object to pass them in
        self,
        found: SecondBar | Aggregate,
        symbol: str,
        span: Span,
        own_id: str,
        session: str,
        end: int,
        raw: msgspec.Raw,
        received_at: int,
        adjusted: Literal["splits", "none"] = "none",
    ) -> Bar:
        known = end * 1000
        return Bar(
            source=SOURCE,
            source_id=own_id,
            event_time=known,
            knowledge_time=known,
            received_at=received_at,
            licence=self._licence,
            simulated=self._simulated,
            symbol=symbol,
            raw=raw,
            interval=span.text,
            session=session,
            close=found.c,
            open=found.o,
            high=found.h,
            low=found.l,
            volume=found.v,
            vwap=found.vw,
            adjusted=adjusted,
        )

    def trade(self, event: TradeEvent, raw: msgspec.Raw, received_at: int) -> Trade:
        """The record of a `T` event.

        Raises:
            Refused: price, size or times that cannot be.
        """
        return self._print(event, event.sym, times_of(event.pt, event.t, 1, received_at), raw, received_at)

    def past_trade(self, found: PastTrade, raw: msgspec.Raw, received_at: int, *, ticker: str) -> Sequence[Record]:
        """The records of one of `/v3/trades`: the print, and what became of it.

        Vendors pass on the tapes' correction code without saying more. By the tapes' own convention 1 marks a print
        that was corrected later and stands there with the corrected figures; 7 and 8 one that was later found in error
        or cancelled; 10 and 11 the message that said so, 12 the one that corrected it. When a print with 1, 7 or 8 was
        corrected is not said. Tapes take corrections until 20:00 in New York, so that is when we count it as known:
        never too early, and the same in every run.

        Raises:
            Refused: price, size or times that cannot be, or a code outside that convention.
        """
        made = self._print(found, ticker, times_of(found.pt, found.t, 1_000_000, received_at), raw, received_at)
        code = found.correction or 0
        if code == 0:
            return (made,)
        own_id = f"{made.source_id}:{code}"
        later = max(made.knowledge_time, end_of(datetime.fromtimestamp(made.knowledge_time / 1e6, NEW_YORK).date()))
        if code == 1:
            return (_changed(made, "correct", own_id, later),)
        if code in (7, 8):
            return (made, _changed(made, "cancel", own_id, later))
        if code in (10, 11):
            return (_changed(made, "cancel", own_id, made.knowledge_time),)
        if code == 12:
            return (_changed(made, "correct", own_id, made.knowledge_time),)
        raise Refused(Reason.SCHEMA, f"correction code {code}; expected 0, 1, 7, 8, 10, 11 or 12", made.symbol)

    def _print(
        self,
        event: TradeEvent | PastTrade,
        ticker: str,
        times: tuple[int, int],
        raw: msgspec.Raw,
        received_at: int,
    ) -> Trade:
        exchange = event.x
        size = event.s if event.ds is None else size_of(event.ds)
        if not 0.0 < event.p < INFINITY:
            raise Refused(Reason.NOT_POSITIVE, f"price {event.p}; expected more than 0", ticker)
        if not 0.0 <= size < INFINITY:
            raise Refused(Reason.NEGATIVE_SIZE, f"size {size}; expected 0 or more", ticker)
        if event.i is None and event.q is None:
            raise Refused(Reason.SCHEMA, "neither id nor sequence number; expected one, to know it again", ticker)
        symbol = self._origin.known.get(ticker) or self._origin.symbol(ticker)
        happened, known = times
        # Ids are unique for a ticker, exchange, reporting facility and day.
        place = f"{'' if exchange is None else exchange}:{event.trfi or ''}"
        own = event.i if event.i is not None else f"q{event.q}"
        return Trade(
            source=SOURCE,
            source_id=f"{symbol}:trade:{self.day(known // 1000)}:{place}:{own}",
            event_time=happened,
            knowledge_time=known,
            received_at=received_at,
            licence=self._licence,
            simulated=self._simulated,
            symbol=symbol,
            raw=raw,
            price=event.p,
            size=size,
            exchange=None if exchange is None else str(exchange),
            conditions=tuple(map(str, event.c or ())),
            sequence=event.q,
            tape=None if event.z is None else _TAPES.get(event.z, str(event.z)),
        )

    def quote(self, event: QuoteEvent, raw: msgspec.Raw, received_at: int) -> Quote:
        """The record of a `Q` event; raises as `past_quote`."""
        return self._quoted(event, event.sym, times_of(event.pt, event.t, 1, received_at), raw, received_at)

    def past_quote(self, found: PastQuote, raw: msgspec.Raw, received_at: int, *, ticker: str) -> Quote:
        """The record of one of `/v3/quotes`. Sizes as the vendor counts them: round lots in the years before 2026.

        Raises:
            Refused: a crossed quote, a negative size, no side at all, or times that cannot be.
        """
        return self._quoted(found, ticker, times_of(found.pt, found.t, 1_000_000, received_at), raw, received_at)

    def _quoted(
        self,
        event: QuoteEvent | PastQuote,
        ticker: str,
        times: tuple[int, int],
        raw: msgspec.Raw,
        received_at: int,
    ) -> Quote:
        bid, bid_size, bid_exchange = side_of(event.bp, event.bs, event.bx)
        ask, ask_size, ask_exchange = side_of(event.ap, event.ask_size, event.ax)
        if bid is None and ask is None:
            raise Refused(Reason.NOT_POSITIVE, "neither a bid nor an ask; expected a price above 0", ticker)
        if bid is not None and ask is not None and bid > ask:
            raise Refused(Reason.CROSSED_QUOTE, f"bid {bid} above ask {ask}", ticker)
        symbol = self._origin.known.get(ticker) or self._origin.symbol(ticker)
        happened, known = times
        # Sequence numbers are unique for a ticker and day; without one the content itself is the id.
        own = event.q if event.q is not None else f"{known}:{bid}:{bid_size}:{ask}:{ask_size}"
        conditions = (event.c,) if isinstance(event.c, int) else event.c or ()
        return Quote(
            source=SOURCE,
            source_id=f"{symbol}:quote:{self.day(known // 1000)}:{own}",
            event_time=happened,
            knowledge_time=known,
            received_at=received_at,
            licence=self._licence,
            simulated=self._simulated,
            symbol=symbol,
            raw=raw,
            bid=bid,
            bid_size=bid_size,
            bid_exchange=bid_exchange,
            ask=ask,
            ask_size=ask_size,
            ask_exchange=ask_exchange,
            conditions=tuple(map(str, conditions)),
            sequence=event.q,
        )

    def day(self, milliseconds: int) -> str:
        """The day in New York, ISO, of an instant; one lookup an hour, since that zone is whole hours off UTC."""
        hour = milliseconds // HOUR_MS
        found = self._days.get(hour)
        if found is None:
            if not 0 <= hour < 2_000_000:  # to the year 2198; what lies outside is refused by its times later on
                return ""
            if len(self._days) >= 1 << 16:
                self._days.clear()
            found = datetime.fromtimestamp(hour * 3600, UTC).astimezone(NEW_YORK).date().isoformat()
            self._days[hour] = found
        return found


def _changed(made: Trade, action: Literal["cancel", "correct"], own_id: str, known: int) -> Trade:
    return msgspec.structs.replace(
        made, source_id=own_id, action=action, refers_to=made.source_id, knowledge_time=known
    )
