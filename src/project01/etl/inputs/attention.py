"""What was written about an instrument since its bar before, up to when the bar was known."""

from project01.etl.inputs.declaration import Input

_ROWS = (
    ("news_listings", "stories", "Stories that name it, copies of a headline included."),
    ("news_count", "stories", "Stories that name it, each headline once a day."),
    ("news_novelty", "stories", "Listings by novelty: the vendor's, else 1 for a day's first of a headline and 0."),
    ("news_relevance", "stories", "As news_count, each by the vendor's relevance, 0 to 1, or 0 where it told none."),
    ("news_after_hours", "stories", "Stories while the exchange was closed."),
    ("days_since_news", "days", "Since the last story that names it."),
    ("market_news", "stories", "Stories that name any instrument, each headline once a day."),
    ("tweet_listings", "posts", "Posts that name it, copies of a text included."),
    ("tweet_count", "posts", "Posts that name it, each text once a day."),
    ("tweet_authors", "persons", "Different authors of posts that name it."),
    ("tweet_reposts", "posts", "Posts that repeat another one."),
    ("tweet_verified", "posts", "Posts of verified authors."),
    ("tweet_followers", "persons", "Followers of the authors, of each post."),
    ("tweet_after_hours", "posts", "Posts while the exchange was closed."),
    ("days_since_tweet", "days", "Since the last post that names it."),
    ("market_tweets", "posts", "Posts that name any instrument, each text once a day."),
)
ATTENTION = tuple(
    Input(name=name, family="attention", unit=unit, description=description) for name, unit, description in _ROWS
)
