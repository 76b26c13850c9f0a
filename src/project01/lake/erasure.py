"""Posts that were taken back: erased from raw and curated tables, also when they come again.

A deletion names a post, or with the id ``user:AUTHOR`` everything an author wrote. The deletion itself stays: it is how
a later copy is recognised. Older versions of the tables hold the text until `Lake.vacuum`.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from project01.domain import TWEETS, AnyRecord, Tweet, raw_table
from project01.lake.lake import Lake
from project01.lake.union import erase

_AUTHOR = "user:"
_NAMES_A_STATEMENT = 1000
Name = tuple[str, str]  # source, and the id of a post or of an author


def honour_deletions(raw: Lake, curated: Lake, records: list[AnyRecord]) -> int:
    """Take posts that were deleted, by these records or before, out of `records` and of both lakes.

    Args:
        raw: with the raw table of tweets.
        curated: with the curated one.
        records: of one piece; those of deleted posts are removed from the list, deletions stay.

    Returns:
        How many rows were erased.
    """
    tweets = [record for record in records if isinstance(record, Tweet)]
    deletions = [tweet for tweet in tweets if tweet.action == "delete"]
    posts = {(tweet.source, tweet.source_id) for tweet in deletions}
    authors = {(tweet.source, tweet.author) for tweet in deletions if _of_author(tweet) and tweet.author}
    coming = [tweet for tweet in tweets if tweet.action != "delete"]
    earlier_posts, earlier_authors = _deleted_before(curated, coming)
    gone = posts | earlier_posts
    muted = authors | earlier_authors
    if not gone and not muted:
        return 0
    again = {
        (t.source, t.source_id) for t in coming if (t.source, t.source_id) in gone or (t.source, t.author) in muted
    }
    records[:] = [r for r in records if (r.source, r.source_id) not in again or _is_deletion(r)]
    return _erase(raw, curated, gone | again | _posts_of(curated, authors))


def _deleted_before(curated: Lake, coming: Sequence[Tweet]) -> tuple[set[Name], set[Name]]:
    """Posts and authors among those coming that an earlier deletion names."""
    if not coming or not curated.exists(TWEETS.name):
        return set(), set()
    deletions = curated.scan(TWEETS.name).filter(pl.col("action") == "delete").select("source", "source_id", "author")
    named = deletions.join(_frame({(t.source, t.source_id) for t in coming}), on=["source", "source_id"], how="semi")
    authors = _frame({(t.source, t.author or "") for t in coming}, "author")
    muted = deletions.filter(pl.col("source_id").str.starts_with(_AUTHOR)).join(
        authors, on=["source", "author"], how="semi"
    )
    return set(named.select("source", "source_id").collect().rows()), set(
        muted.select("source", "author").collect().rows()
    )


def _posts_of(curated: Lake, authors: set[Name]) -> set[Name]:
    if not authors or not curated.exists(TWEETS.name):
        return set()
    rows = curated.scan(TWEETS.name).join(_frame(authors, "author"), on=["source", "author"], how="semi")
    return set(rows.select("source", "source_id").collect().rows())


def _erase(raw: Lake, curated: Lake, posts: set[Name]) -> int:
    erased = 0
    for named in _statements(posts):
        erased += erase(curated, TWEETS.name, f"{named} AND action <> 'delete'")
        # The text lies in the raw messages too.
        written = f"{named} AND kind = 'tweet' AND value NOT LIKE '%\"action\":\"delete\"%'"
        erased += erase(raw, raw_table(Tweet.topic).name, written)
    return erased


def _statements(posts: set[Name]) -> Iterator[str]:
    """SQL that names posts, source by source, so many at once that no statement grows without bound."""
    for source in sorted({source for source, _ in posts}):
        ids = [_quoted(name) for where, name in sorted(posts) if where == source]
        for start in range(0, len(ids), _NAMES_A_STATEMENT):
            few = ", ".join(ids[start : start + _NAMES_A_STATEMENT])
            yield f"source = {_quoted(source)} AND source_id IN ({few})"


def _frame(names: set[Name], column: str = "source_id") -> pl.LazyFrame:
    return pl.LazyFrame(sorted(names), schema={"source": pl.String, column: pl.String}, orient="row")


def _is_deletion(record: AnyRecord) -> bool:
    return isinstance(record, Tweet) and record.action == "delete"


def _of_author(tweet: Tweet) -> bool:
    return tweet.source_id.startswith(_AUTHOR)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
