"""NewsAPI, connected."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Final

from project01.domain import InputError
from project01.ingest.connection import Connection
from project01.ingest.transport import HeaderKey, HttpClient
from project01.ingest.vendor import Decoded, Page, Query
from project01.ingest.vendors.elements import Origin
from project01.ingest.vendors.newsapi_asking import Asking, query_texts
from project01.ingest.vendors.newsapi_decoding import NewsApiDecoder
from project01.ingest.vendors.newsapi_sweeps import Cursors, articles, headlines

_DELAYS: Final = {"developer": timedelta(hours=24), "business": timedelta(0)}
_CALLS_A_DAY_OF_DEVELOPERS: Final = 100
_DAY_S: Final = 86_400


class NewsApiClient:
    """See `VendorClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._origin = Origin.of(connection)
        self._plan = _plan_of(connection)
        self._client = HttpClient(
            connection.address,
            source=connection.spec.name,
            key=HeaderKey("X-Api-Key", connection.secrets["api key"]),
            connection=connection,
        )

    def decode(self, dataset: str, payload: bytes, received_at: int) -> Decoded:
        """See `VendorClient.decode`; the delay is that of the plan that the budgets say."""
        return NewsApiDecoder(self._origin, _DELAYS[self._plan]).decode(dataset, payload, received_at)

    def history(self, query: Query, cursor: str | None = None) -> Iterator[Page]:
        """See `VendorClient.history`."""
        dataset = self._connection.spec.dataset(query.dataset)
        if unknown := sorted(set(query.parameters) - set(dataset.parameters)):
            known = ", ".join(dataset.parameters)
            raise InputError(f"NewsAPI's {query.dataset} knows {known}; found {', '.join(unknown)}.")
        plan = query.parameters.get("plan", self._plan)
        if plan not in _DELAYS:
            raise InputError(f"plan is {plan!r}; choose one of {', '.join(_DELAYS)}.")
        asking = Asking(self._client, self._connection, query, NewsApiDecoder(self._origin, _DELAYS[plan]))
        if query.dataset == "everything":
            return self._everything(asking, query, Cursors(cursor), _DELAYS[plan])
        return self._headlines(asking, query, Cursors(cursor))

    def stream(self, query: Query, stop: Event) -> Iterator[Page]:  # noqa: ARG002 - the protocol's signature
        """NewsAPI has none.

        Raises:
            InputError: always.
        """
        raise InputError("NewsAPI has no stream; ask for history again and again: it brings only what is new.")

    def close(self) -> None:
        """See `VendorClient.close`."""
        self._client.close()

    def _everything(self, asking: Asking, query: Query, cursors: Cursors, delay: timedelta) -> Iterator[Page]:
        newest = self._connection.clock.now() - delay
        for words in query_texts(query, self._connection):
            yield from articles(asking, query, words, cursors, newest)

    def _headlines(self, asking: Asking, query: Query, cursors: Cursors) -> Iterator[Page]:
        words = query.symbols or "q" in query.parameters
        for text in query_texts(query, self._connection) if words else [""]:
            yield from headlines(asking, text, cursors)


def _plan_of(connection: Connection) -> str:
    """The plan that the budgets say; delayed unless they allow more than the developer plan has."""
    daily = [budget.limit * _DAY_S / budget.period_s for budget in connection.budgets if budget.unit == "call"]
    return "business" if daily and min(daily) > _CALLS_A_DAY_OF_DEVELOPERS else "developer"
