"""The attention set: how much news and how many tweets, how new and by whom.

A window is that of one session: what became known after the instrument's bar before and no later than its bar. What a
story says is not looked at here.
"""

from collections.abc import Callable, Iterator

from project01.etl import steps_attention as own
from project01.etl.feature import Feature
from project01.etl.steps import as_is, sliding_sum

_MISSING = (
    "0 where the source was alive and told nothing; NaN before the first that names the instrument and where the source"
    " was silent for more than 5 days; such a bar is skipped"
)
_SHARE_MISSING = _MISSING + "; NaN where the window holds none at all"
_DA = "Da, Engelberg and Gao (2011), In search of attention, Journal of Finance 66"
_BARBER = "Barber and Odean (2008), All that glitters: the effect of attention and news, Review of Financial Studies 21"
_FANG = "Fang and Peress (2009), Media coverage and the cross-section of stock returns, Journal of Finance 64"
_TETLOCK = "Tetlock (2011), All the news that's fit to reprint: do investors react to stale information?, RFS 24"
_HAFEZ = "Hafez and Xie (2012), Factoring sentiment risk into quant models, RavenPack"
_ANTWEILER = "Antweiler and Frank (2004), Is all that talk just noise?, Journal of Finance 59"
_SPRENGER = "Sprenger, Tumasjan, Sandner and Welpe (2014), Tweets and trades, European Financial Management 20"
_BERKMAN = "Berkman, Koch, Tuttle and Zhang (2012), Paying attention: overnight returns, JFQA 47"
_FISHER = "Fisher, Martineau and Sheng (2022), Macroeconomic attention and announcement risk premia, RFS 35"

# name, step, inputs, parameters, window, state, unit, source, description
_Row = tuple[str, Callable[..., float], tuple[str, ...], tuple[int, ...], int, int, str, str, str]


def _counts(prefix: str, thing: str, source: str) -> Iterator[_Row]:
    count, market = f"{prefix}_count", "market_news" if prefix == "news" else "market_tweets"
    yield (
        f"{count}_1", as_is, (count,), (), 1, 0, thing, source,
        f"{thing.capitalize()} that name the instrument since its bar before, each text once a day.",
    )  # fmt: skip
    for window in (5, 21):
        yield (
            f"{count}_{window}", sliding_sum, (count,), (window,), window, window + 3, thing, source,
            f"{thing.capitalize()} that name the instrument over {window} sessions, each text once a day.",
        )  # fmt: skip
    yield (
        f"{prefix}_abnormal_1", own.abnormal, (count,), (63,), 64, 68, "log", _BARBER,
        f"Logarithm of one and the session's {thing}, over one and the mean of the 63 sessions before.",
    )  # fmt: skip
    yield (
        f"{prefix}_abnormal_5", own.abnormal_mean, (count,), (5, 63), 63, 74, "log", _DA,
        f"Logarithm of one and the mean {thing} of 5 sessions, over one and the mean of 63.",
    )  # fmt: skip
    yield (
        f"{prefix}_after_hours_share_21", own.share_of, (f"{prefix}_after_hours", count), (21,), 21, 48, "0 to 1",
        _BERKMAN, f"Share of {thing} of 21 sessions that came while the exchange was closed.",
    )  # fmt: skip
    yield (
        f"{prefix}_share_of_market_21", own.share_of, (count, market), (21,), 21, 48, "0 to 1", _FANG,
        f"{thing.capitalize()} that name the instrument over those that name any, of 21 sessions.",
    )  # fmt: skip
    since = f"days_since_{prefix}"
    yield since, as_is, (since,), (), 1, 0, "days", source, f"Days since the last of the {thing} that name it."
    yield (
        f"{market}_abnormal_1", own.abnormal, (market,), (63,), 64, 68, "log", _FISHER,
        f"As {prefix}_abnormal_1, of {thing} that name any instrument.",
    )  # fmt: skip


_OF_NEWS: tuple[_Row, ...] = (
    ("news_novelty_21", own.share_of, ("news_novelty", "news_listings"), (21,), 21, 48, "0 to 1", _TETLOCK,
     "Mean novelty of the stories of 21 sessions: the vendor's, else 1 for the day's first of a headline and 0."),
    ("news_relevance_5", sliding_sum, ("news_relevance",), (5,), 5, 8, "stories", _HAFEZ,
     "Sum of the vendor's relevance of the stories of 5 sessions, each headline once a day."),
)  # fmt: skip
_OF_TWEETS: tuple[_Row, ...] = (
    ("tweet_novelty_21", own.share_of, ("tweet_count", "tweet_listings"), (21,), 21, 48, "0 to 1", _TETLOCK,
     "Share of the posts of 21 sessions that were their day's first of their text."),
    ("tweet_authors_5", sliding_sum, ("tweet_authors",), (5,), 5, 8, "persons", _ANTWEILER,
     "Sum over 5 sessions of each session's different authors."),
    ("tweet_authors_share_21", own.share_of, ("tweet_authors", "tweet_listings"), (21,), 21, 48, "0 to 1", _ANTWEILER,
     "Different authors of each session over posts, of 21 sessions; low where few write much."),
    ("tweet_repost_share_21", own.share_of, ("tweet_reposts", "tweet_listings"), (21,), 21, 48, "0 to 1", _SPRENGER,
     "Share of the posts of 21 sessions that repeat another one."),
    ("tweet_verified_share_21", own.share_of, ("tweet_verified", "tweet_listings"), (21,), 21, 48, "0 to 1", _SPRENGER,
     "Share of the posts of 21 sessions by verified authors."),
    ("tweet_reach_5", own.log_sum, ("tweet_followers",), (5,), 5, 8, "log persons", _SPRENGER,
     "Logarithm of one and the followers of the authors of each post of 5 sessions."),
    ("tweet_reach_abnormal_5", own.abnormal_mean, ("tweet_followers",), (5, 63), 63, 74, "log", _DA,
     "Logarithm of one and the mean reach of 5 sessions, over one and the mean of 63."),
)  # fmt: skip


def features() -> Iterator[Feature]:
    """The features of the set, in order."""
    news = (*_counts("news", "stories", _FANG), *_OF_NEWS)
    tweets = (*_counts("tweet", "posts", _ANTWEILER), *_OF_TWEETS)
    for group, rows in (("news", news), ("tweets", tweets)):
        for name, step, inputs, parameters, window, state_size, unit, source, description in rows:
            yield Feature(
                name=name,
                group=group,
                inputs=inputs,
                window=window,
                warm_up=window,
                unit=unit,
                missing=_SHARE_MISSING if step is own.share_of else _MISSING,
                source=source,
                description=description,
                step=step,
                parameters=parameters,
                state_size=state_size,
            )
