"""Polygon.io, now Massive: bars of any length, trades, quotes and reference data of US shares, by history and stream.

Assumed is the free plan with its five calls a minute; on another plan, set the budgets. The older name's base address,
``https://api.polygon.io``, still answers and may be set instead. `/v3` splits and dividends are the documented ones
until the vendor turns them off; their successors have the same fields.

What history cannot show: a page that the server itself leaves out, since its answers do not say how many there are.
"""

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING

from project01.domain import FUNDAMENTALS, NEWS_TOPIC, TICKS
from project01.ingest.vendor import Budget, Credential, Dataset, Decoded, Page, Query, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

SPEC = VendorSpec(
    name="polygon",
    title="Polygon.io (Massive)",
    licence="polygon",
    datasets=(
        Dataset(
            name="aggregates",
            topic=TICKS,
            history=True,
            stream=True,
            summary="bars of any length; streamed every second or minute",
            parameters={
                "span": "1s (default), 5m, 1h, 1d ...; streams: 1s or 1m",
                "adjusted": "true: adjusted for splits as of today; false (default): as traded",
            },
        ),
        Dataset(name="trades", topic=TICKS, history=True, stream=True, summary="every print of the tape"),
        Dataset(name="quotes", topic=TICKS, history=True, stream=True, summary="every best bid and offer"),
        Dataset(
            name="tickers",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="listings and delistings",
            parameters={"active": "true (default) or false: delisted ones, where no symbols are named"},
        ),
        Dataset(
            name="ticker_events",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="the tickers a company has had",
        ),
        Dataset(name="splits", topic=FUNDAMENTALS, history=True, stream=False, summary="splits, forward and reverse"),
        Dataset(name="dividends", topic=FUNDAMENTALS, history=True, stream=False, summary="cash dividends a share"),
        Dataset(
            name="market_status",
            topic=FUNDAMENTALS,
            history=True,
            stream=False,
            summary="hours of trading on holidays to come",
        ),
        Dataset(
            name="news", topic=NEWS_TOPIC, history=True, stream=False, summary="stories, and the tickers they name"
        ),
    ),
    credentials=(Credential(name="key", variables=("POLYGON_API_KEY", "MASSIVE_API_KEY")),),
    budgets=(Budget(unit="call", limit=5, period_s=60),),
    address="https://api.massive.com",
    stream_address="wss://socket.massive.com/stocks",
    documentation="https://massive.com/docs",
    module="project01.ingest.vendors.polygon",
)


class PolygonClient:
    """Polygon, connected; opens no connection before it is asked for something."""

    def __init__(self, connection: "Connection") -> None:
        from project01.ingest.transport import HeaderKey, HttpClient
        from project01.ingest.vendors.polygon_decode import PolygonDecoder
        from project01.ingest.vendors.polygon_history import PolygonHistory
        from project01.ingest.vendors.polygon_origin import Origin

        self._connection = connection
        self._decoder = PolygonDecoder(Origin(connection.licence, connection.simulated, connection.symbols))
        self._http = HttpClient(
            connection.address,
            source=SPEC.name,
            key=HeaderKey("Authorization", connection.secrets["key"], "Bearer "),
            connection=connection,
        )
        self._history = PolygonHistory(self._http, self._decoder, connection)

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """Records of a frame or body; see `PolygonDecoder.decode`."""
        return self._decoder.decode(dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """Pages in order; see `PolygonHistory.pages`."""
        SPEC.dataset(query.dataset)
        return self._history.pages(query, cursor)

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:
        """Live pages, gaps filled; see `PolygonStream.pages`."""
        from project01.ingest.vendors.polygon_stream import PolygonStream

        SPEC.dataset(query.dataset)
        return PolygonStream(self._decoder, self._history, self._connection).pages(query, stop)

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()


def connect(connection: "Connection") -> PolygonClient:
    """The client of a connection."""
    return PolygonClient(connection)
