"""NewsAPI: headlines of some 150,000 sources, linked to symbols by us.

- An article is known from `publishedAt` on, plus the delay of the plan: 24 hours on the developer plan, none on the
  business plan. The query's parameter `plan` says which; without it the budgets say: a plan of up to 100 calls a day is
  the developer plan. What is not known to be on the business plan is taken as delayed: late, never early.
- `source_id` is the SHA-256 of the article's address, so an article found by two queries is one record.
- The vendor knows no companies: those named in title and description are linked, with the symbols of the day; `symbol`
  is one named in the title if there is any.
- A removed article ("[Removed]") whose address is still told becomes a record with action ``retract``, known from when
  it was seen to be gone, for which the vendor gives no time. Without the address nobody can say what was removed: it is
  accepted without a record.

Facts from the vendor's documentation: at most 100 articles a page; the developer plan gives the first 100 results of a
query, so older ones are reached by asking for what was published before; queries have up to 500 characters; errors are
``{"status": "error", "code", "message"}``, also with status 200.
"""

from typing import TYPE_CHECKING

from project01.domain import NEWS_TOPIC
from project01.ingest.vendor import Budget, Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_SHARED = {
    "q": "words to search for, instead of the names of the symbols",
    "sources": "ids of sources, with commas",
    "plan": "developer (24 hours late) or business; default: as the budgets say",
}
SPEC = VendorSpec(
    name="newsapi",
    title="NewsAPI",
    licence="newsapi",
    datasets=(
        Dataset(
            name="everything",
            topic=NEWS_TOPIC,
            history=True,
            stream=False,
            summary="articles that name the symbols' companies, by time of publication",
            parameters={
                **_SHARED,
                "searchIn": "title, description, content, with commas; default: all",
                "domains": "only these, with commas",
                "excludeDomains": "not these, with commas",
                "language": "two letters, e.g. en",
            },
        ),
        Dataset(
            name="top-headlines",
            topic=NEWS_TOPIC,
            history=True,
            stream=False,
            summary="headlines that stand on front pages now; again later: only those that are new",
            parameters={**_SHARED, "country": "two letters, e.g. us", "category": "e.g. business"},
        ),
    ),
    credentials=(Credential(name="api key", variables=("NEWSAPI_KEY",)),),
    budgets=(Budget(unit="call", limit=100, period_s=86_400),),
    address="https://newsapi.org",
    documentation="https://newsapi.org/docs",
    module="project01.ingest.vendors.newsapi",
)


def connect(connection: "Connection") -> VendorClient:
    """NewsAPI, ready to be asked."""
    from project01.ingest.vendors.newsapi_client import NewsApiClient

    return NewsApiClient(connection)
