"""Made-up posts as X writes them: cashtags, reposts, edits, emoji, right-to-left text."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

_FIRST_MS: Final = 1_288_834_974_657
_TEXTS: Final = (
    "{tag} strong open, watching {other}",
    "{tag} 🚀🚀 to the moon",
    "not sure about {tag} after the call",
    "{tag} أسهم اليوم",
    "long {tag}\u200b short {other} \U0001f468‍\U0001f469‍\U0001f467",
)
Post = dict[str, Any]


def identifier(at_us: int, number: int) -> str:
    """An id as X makes them: the time in milliseconds above 22 bits."""
    return str(((at_us // 1000 - _FIRST_MS) << 22) | (number & 0x3FFFFF))


def iso(at_us: int) -> str:
    """An instant as X writes it, to the millisecond."""
    return datetime.fromtimestamp(at_us // 1000 / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def made_up(number: int, at_us: int, symbols: Sequence[str], seed: int) -> Post:
    """The post of that number, the same for the same arguments.

    Args:
        number: below four million.
        at_us: when it was written, microseconds UTC.
        symbols: one or two of them are named.
        seed: of what is made up.
    """
    generator = Random(seed * 1_000_003 + number)  # noqa: S311 - made-up posts, no secrets
    named = generator.sample(list(symbols), min(len(symbols), 2))
    text = generator.choice(_TEXTS).format(tag=f"${named[0]}", other=f"${named[-1]}")
    own = identifier(at_us, number)
    post: Post = {
        "id": own,
        "text": text,
        "author_id": str(2_244 + number % 17),
        "created_at": iso(at_us),
        "lang": "en",
        "edit_history_tweet_ids": [own],
        "public_metrics": {"retweet_count": number % 5, "reply_count": 0, "like_count": number % 11, "quote_count": 0},
        "entities": {"cashtags": _cashtags(text, named)},
    }
    if number % 9 == 4:
        post["referenced_tweets"] = [{"type": "retweeted", "id": identifier(at_us - 60_000_000, number)}]
    if number % 13 == 6:
        post["edit_history_tweet_ids"] = [identifier(at_us - 30_000_000, number), own]
    return post


def author(post: Post) -> dict[str, Any]:
    """The author of a post, as it stands under includes."""
    number = int(post["author_id"])
    return {
        "id": post["author_id"],
        "name": f"Author {number}",
        "username": f"author{number}",
        "verified": number % 4 == 0,
        "public_metrics": {"followers_count": number % 997, "following_count": 5, "tweet_count": 7, "listed_count": 0},
    }


def _cashtags(text: str, named: Sequence[str]) -> list[dict[str, Any]]:
    found = [(text.index(f"${tag}"), tag) for tag in dict.fromkeys(named) if f"${tag}" in text]
    return [{"start": start, "end": start + len(tag) + 1, "tag": tag} for start, tag in sorted(found)]
