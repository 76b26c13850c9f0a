"""One question to NewsAPI and its answer, and what is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from project01.domain import AuthenticationError, InputError, QuotaError, SourceError, VendorError
from project01.ingest.connection import Connection
from project01.ingest.transport import HttpClient
from project01.ingest.vendor import Decoded, Query
from project01.ingest.vendors.elements import Refused, shown
from project01.ingest.vendors.newsapi_decoding import NewsApiDecoder, PageHead, page_head

PAGE_SIZE: Final = 100
_LONGEST_QUERY: Final = 500
_OWN_PARAMETERS: Final = frozenset({"q", "plan"})
_REFUSED_KEYS: Final = frozenset({"apiKeyDisabled", "apiKeyInvalid", "apiKeyMissing"})
_USED_UP: Final = frozenset({"apiKeyExhausted", "rateLimited", "maximumResultsReached"})


@dataclass(frozen=True)
class Answered:
    """An answer.

    Attributes:
        decoded: its records and letters.
        articles: how many elements it holds.
        total: how many the vendor says that there are.
        problem: to be raised once `decoded` is handed on: the answer was no page.
    """

    decoded: Decoded
    articles: int = 0
    total: int = 0
    problem: SourceError | None = None


class Asking:
    """Asks one dataset."""

    def __init__(self, client: HttpClient, connection: Connection, query: Query, decoder: NewsApiDecoder) -> None:
        self._client, self._connection, self._query, self._decoder = client, connection, query, decoder

    def ask(self, parameters: Mapping[str, str | int]) -> Answered:
        """The answer to one call.

        Raises:
            SourceError: as `HttpClient.get`.
        """
        chosen = {name: text for name, text in self._query.parameters.items() if name not in _OWN_PARAMETERS}
        answer = self._client.get(f"v2/{self._query.dataset}", {**chosen, **parameters, "pageSize": PAGE_SIZE})
        decoded = self._decoder.decode(self._query.dataset, answer.body, self._connection.micros())
        try:
            head = page_head(answer.body)
        except Refused as refused:
            return Answered(decoded, problem=VendorError(f"NewsAPI's answer is no page: {refused.detail}. Try later."))
        if head.status != "ok" or head.total_results is None:
            return Answered(decoded, problem=_problem(head))
        return Answered(decoded, head.articles, head.total_results)


def query_texts(query: Query, connection: Connection) -> Sequence[str]:
    """What to search for, in as few texts as the limit of 500 characters allows.

    Raises:
        InputError: neither symbols nor words, or words that are too long.
    """
    words = query.parameters.get("q", "").strip()
    if len(words) > _LONGEST_QUERY:
        raise InputError(f"NewsAPI takes queries of up to {_LONGEST_QUERY} characters, found {len(words)}. Shorten q.")
    if words:
        return [words]
    texts: list[str] = []
    for symbol in dict.fromkeys(query.symbols):
        for name in connection.symbols.names_of(symbol) or (symbol,):
            quoted = f'"{name}"'
            if texts and len(texts[-1]) + len(quoted) + 4 <= _LONGEST_QUERY:
                texts[-1] += f" OR {quoted}"
            else:
                texts.append(quoted)
    if not texts:
        raise InputError("NewsAPI needs symbols or words. Name symbols, or give the parameter q, e.g. q=Apple.")
    return texts


def _problem(head: PageHead) -> SourceError:
    told = f"NewsAPI says {shown(head.code) or 'nothing'}: {shown(head.message)}."
    if head.code in _REFUSED_KEYS:
        return AuthenticationError(f"{told} Check NEWSAPI_KEY; trying again is no use.")
    if head.code in _USED_UP:
        return QuotaError(f"{told} Everything fetched so far is kept; go on from its cursor later.")
    return VendorError(f"{told} The answer is kept among the dead letters; try again later.")
