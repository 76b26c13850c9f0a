"""Posts that were taken back: erased from raw and curated tables and from dead letters, also when they come again.

A deletion names a post, or with the id ``user:AUTHOR`` everything an author wrote. The deletion itself stays: it is how
a later copy is recognised. Older versions of the tables hold the text until `Lake.vacuum`.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import polars as pl

from project01.domain import DEAD_LETTERS, TWEETS, AnyRecord, DeadLetter, Tweet, raw_table
from project01.lake.lake import Lake
from project01.lake.union import erase

_AUTHOR = "user:"
_NAMES_A_STATEMENT = 1000
# Members of a vendor's object that only refers to a post; one with others holds something of the post itself.
_REFERENCE = {"id", "type", "author_id"}
_NAMED = re.compile(rb'"(id|author_id)"\s*:\s*"?([^",}\s]+)')
Name = tuple[str, str]  # source, and the id of a post or of an author


def honour_deletions(raw: Lake, curated: Lake, records: list[AnyRecord]) -> int:
    """Take posts that were deleted, by these records or before, out of `records` and of both lakes.

    A dead letter that holds such a post goes as a whole: what else its payload holds goes with it.

    Args:
        raw: with the raw tables of tweets and dead letters.
        curated: with the curated ones.
        records: of one piece; those of deleted posts are removed from the list, deletions stay.

    Returns:
        How many rows were erased.
    """
    tweets = [record for record in records if isinstance(record, Tweet)]
    deletions = [tweet for tweet in tweets if tweet.action == "delete"]
    posts = {(tweet.source, tweet.source_id) for tweet in deletions}
    authors = {(tweet.source, tweet.author) for tweet in deletions if _of_author(tweet) and tweet.author}
    coming = [(t, {(t.source, t.source_id)}, {(t.source, t.author or "")}) for t in tweets if t.action != "delete"]
    letters = [(letter, *_named_in(letter.source, letter.payload, letter.encoding)) for letter in _letters_in(records)]
    earlier_posts, earlier_authors = _deleted_before(
        curated,
        {name for _, named, _ in (*coming, *letters) for name in named},
        {name for _, _, by in (*coming, *letters) for name in by},
    )
    gone = posts | earlier_posts
    muted = authors | earlier_authors
    if not gone and not muted:
        return 0
    again = {(t.source, t.source_id) for t, named, by in coming if named & gone or by & muted}
    void = {(letter.source, letter.source_id) for letter, named, by in letters if named & gone or by & muted}
    out = again | void
    records[:] = [r for r in records if (r.source, r.source_id) not in out or _is_deletion(r)]
    gone |= again | _posts_of(curated, authors)
    # Posts last: an author's are known by the curated ones, so a crash before leaves all to be found again.
    return _erase_letters(raw, curated, void | _letters_of(curated, gone, authors)) + _erase(raw, curated, gone)


def _letters_in(records: Iterable[AnyRecord]) -> Iterator[DeadLetter]:
    return (r for r in records if isinstance(r, DeadLetter) and r.intended_topic == Tweet.topic)


def _named_in(source: str, payload: str, encoding: str | None) -> tuple[set[Name], set[Name]]:
    """Posts and authors of whom a refused payload holds something; those it merely refers to where it is no JSON."""
    content = b64decode(payload) if encoding == "base64" else payload.encode()
    posts: set[Name] = set()
    authors: set[Name] = set()
    try:
        waiting: list[Any] = [msgspec.json.decode(content)]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        for member, name in _NAMED.findall(content):
            (posts if member == b"id" else authors).add((source, name.decode(errors="replace")))
        return posts, authors
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            if value.keys() - _REFERENCE:
                posts.add((source, str(value.get("id"))))
                authors.add((source, str(value.get("author_id"))))
    return posts, authors


def _deleted_before(curated: Lake, posts: set[Name], authors: set[Name]) -> tuple[set[Name], set[Name]]:
    """Those of these posts and authors that an earlier deletion names."""
    if not (posts or authors) or not curated.exists(TWEETS.name):
        return set(), set()
    deletions = curated.scan(TWEETS.name).filter(pl.col("action") == "delete").select("source", "source_id", "author")
    named = deletions.join(_frame(posts), on=["source", "source_id"], how="semi")
    muted = deletions.filter(pl.col("source_id").str.starts_with(_AUTHOR)).join(
        _frame(authors, "author"), on=["source", "author"], how="semi"
    )
    return set(named.select("source", "source_id").collect().rows()), set(
        muted.select("source", "author").collect().rows()
    )


def _letters_of(curated: Lake, posts: set[Name], authors: set[Name]) -> set[Name]:
    """Dead letters that hold something of these."""
    if not curated.exists(DEAD_LETTERS.name):
        return set()
    letters = curated.scan(DEAD_LETTERS.name).filter(pl.col("table") == Tweet.topic)
    ids = sorted({name for _, name in posts | authors})
    near = letters.filter(pl.col("raw").str.contains_any(ids) | (pl.col("encoding") == "base64"))
    found = set()
    for source, letter, payload, encoding in near.select("source", "source_id", "raw", "encoding").collect().rows():
        named, by = _named_in(source, payload, encoding)
        if named & posts or by & authors:
            found.add((source, letter))
    return found


def _posts_of(curated: Lake, authors: set[Name]) -> set[Name]:
    if not authors or not curated.exists(TWEETS.name):
        return set()
    rows = curated.scan(TWEETS.name).join(_frame(authors, "author"), on=["source", "author"], how="semi")
    return set(rows.select("source", "source_id").collect().rows())


def _erase(raw: Lake, curated: Lake, posts: set[Name]) -> int:
    erased = 0
    for named in _statements(posts):
        # The text lies in the raw messages too; they go first, as the curated rows say whose they are.
        written = f"{named} AND kind = 'tweet' AND value NOT LIKE '%\"action\":\"delete\"%'"
        erased += erase(raw, raw_table(Tweet.topic).name, written)
        erased += erase(curated, TWEETS.name, f"{named} AND action <> 'delete'")
    return erased


def _erase_letters(raw: Lake, curated: Lake, letters: set[Name]) -> int:
    erased = 0
    for named in _statements(letters):
        erased += erase(raw, raw_table(DeadLetter.topic).name, f"{named} AND kind = 'dead_letter'")
        erased += erase(curated, DEAD_LETTERS.name, named)
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
