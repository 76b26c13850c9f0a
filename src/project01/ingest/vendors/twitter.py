"""Twitter / X, API v2: posts by recent search and filtered stream, and the events by which posts must be erased.

What becomes of a post:

- One record a post. `symbols` are those of all its cashtags, `symbol` is the first one; a post without a cashtag of a
  listed company has none. A cashtag that was given up before the post was written means the company's ticker of that
  day (``$FB`` in 2023 is META).
- It is known from `created_at` on: posts are public at once. Where the vendor left `created_at` out, the time is read
  from the id, which holds it to the millisecond.
- An edit is a post with an id of its own; it becomes a record of its own with action ``edit``. The earlier version
  stays: it was public until then, and reads as of that time must see it. `raw` names the earlier ids.
- A deletion becomes a record with action ``delete`` and the `source_id` of the post, known from the event's time on.
  When an account goes, `source_id` is ``user:`` and the author's id, and every post of that author must be erased.
  A post that is found gone without word of when has the time of the post plus one microsecond: always the same record.
  Posts withheld in some country and posts dropped from public view are erased too: what may not be shown is not kept.

Facts from the vendor's documentation: a page of search holds at most 100 posts, newest first; search reaches seven days
back and does not show the last 30 seconds; the stream sends a blank line at least every 20 seconds; `errors` may stand
in an answer with status 200; events of compliance come in four partitions, one connection each.
"""

from typing import TYPE_CHECKING

from project01.domain import TWEETS_TOPIC
from project01.ingest.vendor import Budget, Credential, Dataset, VendorClient, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.connection import Connection

_ASKED = {
    "filter": "added to the query in X's language, e.g. 'lang:en -is:retweet'",
    "query": "a whole query in X's language instead of one made from symbols",
}
SPEC = VendorSpec(
    name="twitter",
    title="Twitter / X",
    licence="twitter",
    datasets=(
        Dataset(
            name="search",
            topic=TWEETS_TOPIC,
            history=True,
            stream=False,
            summary="posts with the cashtags of the symbols, by search; again later: only newer ones",
            parameters={**_ASKED, "reach": "recent (7 days) or all (full archive, for plans that have it)"},
        ),
        Dataset(
            name="stream",
            topic=TWEETS_TOPIC,
            history=True,
            stream=True,
            summary="posts as they are written, by filtered stream; gaps are filled by search",
            parameters={
                **_ASKED,
                "backfill_minutes": "0 (default) to 5: what is sent again after a break, for plans that have it",
                "searchable_after_s": "45 (default): after so long posts can be searched; gaps are filled then",
            },
        ),
        Dataset(
            name="compliance",
            topic=TWEETS_TOPIC,
            history=True,
            stream=True,
            summary="posts to erase: by stream of events (enterprise plans), or by asking which of `ids` are gone",
            parameters={
                "ids": "for history: ids of the posts held, with commas",
                "about": "for the stream: posts (default) or users",
                "partition": "for the stream: 1 (default) to 4; all events need one process for each",
            },
        ),
    ),
    credentials=(Credential(name="bearer token", variables=("X_BEARER_TOKEN", "TWITTER_BEARER_TOKEN")),),
    # The basic plan; a month counts as 30 days, so that the vendor's own month is never overrun by much less than none.
    budgets=(Budget(unit="post", limit=15_000, period_s=30 * 86_400), Budget(unit="call", limit=60, period_s=900)),
    address="https://api.x.com",
    documentation="https://docs.x.com/x-api",
    module="project01.ingest.vendors.twitter",
)


def connect(connection: "Connection") -> VendorClient:
    """X, ready to be asked."""
    from project01.ingest.vendors.twitter_client import TwitterClient

    return TwitterClient(connection)
