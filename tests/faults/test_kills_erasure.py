"""SIGKILL at random moments of erasing posts: what was taken back is gone everywhere, and nothing else is."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

import pytest
from tests.faults.books import digests, same
from tests.faults.numbered_source import BEGIN, SECOND
from tests.faults.nursery import Nursery
from tests.faults.roles import POST_TOPICS, STOP
from tests.faults.storm import WAIT_S, Storm, grown

from project01.bus import Bus, encode, key_of_record
from project01.domain import DEAD_LETTERS, TWEETS, DeadLetter, Record, Tweet, raw_table
from project01.ingest.decoding import letter
from project01.pipelines import Place, land

KILLS = 20
RAW_TWEETS, RAW_LETTERS = (raw_table(topic).name for topic in POST_TOPICS)
ERASED_FROM = (RAW_TWEETS, TWEETS.name, RAW_LETTERS, DEAD_LETTERS.name)


@dataclass
class Round:
    """Posts and refused payloads, and what takes some of them back: an author who leaves, and single posts.

    Attributes:
        posts: by source id, in the order of publication.
        letters: by source id.
        deletions: what takes back.
        gone: ids of the posts and letters that are taken back.
    """

    posts: dict[str, Tweet] = field(default_factory=dict)
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    deletions: list[Tweet] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)


def a_round(number: int) -> Round:
    """Eight authors with eight posts each and a refused payload for each second post; every third post is secret."""
    made = Round()
    for writer in range(8):
        author, leaves = f"9{number:03}{writer}", writer % 4 == 0
        for place in range(8):
            name = f"{number:03}{writer}{place}"
            secret = leaves or place % 3 == 0
            text = f"{'secret' if secret else 'kept'} {name} of '{author}'"
            made.posts[name] = _post(name, author, text)
            names = {name}
            if place % 2:
                refused = _letter(name, author, text)
                made.letters[refused.source_id] = refused
                names.add(refused.source_id)
            if secret:
                made.gone |= names
            if secret and not leaves:
                made.deletions.append(_post(name, author, "", "delete"))
        if leaves:
            made.deletions.append(_post(f"user:{author}", author, "", "delete"))
    return made


def _post(name: str, author: str, text: str, action: str = "new") -> Tweet:
    at = BEGIN + SECOND * (action == "delete")
    return Tweet(
        source="twitter", source_id=name, event_time=at, knowledge_time=at, received_at=at, licence="own",
        author=author, text=text, action=action,
    )  # fmt: skip


def _letter(name: str, author: str, text: str) -> DeadLetter:
    """A reply that was refused: its own post may be taken back, the one that it answers is another's affair."""
    answers = [{"type": "replied_to", "id": "000000"}]
    payload = {"id": name, "author_id": author, "text": text, "lang": 5, "referenced_tweets": answers}
    content = json.dumps(payload).encode() if int(name) % 4 else json.dumps(payload).encode() + b"\xff"
    return letter(
        source="twitter", licence="own", simulated=False, dataset="search", intended_topic=TWEETS.name,
        reason="schema", detail="lang: expected text", payload=content, received_at=BEGIN,
    )  # fmt: skip


def publish(bus: Bus, records: list[Record]) -> None:
    with bus.producer() as producer:
        for record in records:
            producer.publish(record.topic, [(key_of_record(record), encode(record))])
        producer.flush()


def erasures(folder: Path) -> Iterator[Path]:
    """Commits that took rows out of a table."""
    for table in ERASED_FROM:
        for commit in (folder / "lake" / table / "_delta_log").glob("*.json"):
            if '"operation":"DELETE"' in commit.read_text():
                yield commit


def wait_for_an_erasure(folder: Path, before: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while sum(1 for _ in erasures(folder)) == before:
        assert time.monotonic() < deadline, "nothing is erased"


def strike(storm: Storm, place: Place, rounds: list[Round], random: Random) -> int:
    """Take back what the rounds hold, with a kill for each round; how many struck between two erasures of a piece."""
    amid = 0
    with place.bus() as bus:
        for number, (now, following) in enumerate(zip(rounds, [*rounds[1:], Round()], strict=True)):
            before = sum(1 for _ in erasures(place.folder))
            publish(bus, [*now.deletions, *following.posts.values(), *following.letters.values()])
            if number % 4:
                wait_for_an_erasure(place.folder, before)
                time.sleep(random.choice([0.0, 0.0, random.uniform(0.0, 0.1)]))
            else:
                storm.pause()
            storm.kill("posts")
            amid += 0 < sum(1 for _ in erasures(place.folder)) - before < len(ERASED_FROM)
            # Copies that come once more, some while the erasure is being done again.
            publish(bus, [*now.posts.values()][::5] + [*now.letters.values()][::5])
    return amid


def check(place: Place, rounds: list[Round], scratch: Path) -> None:
    gone = set().union(*(each.gone for each in rounds))
    posts = {name for each in rounds for name in each.posts}
    letters = {name for each in rounds for name in each.letters}
    deletions = {deletion.source_id for each in rounds for deletion in each.deletions}
    lake = place.lake
    for table in ERASED_FROM:
        text = lake.scan(table).collect().write_ndjson()
        assert "secret" not in text, f"a post that was taken back is still in {table}"
    tweets = lake.scan(TWEETS.name).select("source_id", "action").collect().rows()
    same("posts", [name for name, action in tweets if action == "new"], posts - gone)
    same("deletions", [name for name, action in tweets if action == "delete"], deletions)
    same("dead letters", lake.scan(DEAD_LETTERS.name).select("source_id").collect()["source_id"], letters - gone)
    for table, kept in ((RAW_TWEETS, (posts - gone) | deletions), (RAW_LETTERS, letters - gone)):
        same(table, set(lake.scan(table).select("source_id").collect()["source_id"]), kept)
    again = Place(scratch, str(place.folder / "bus.sqlite"))
    land(again, POST_TOPICS)
    same("digests with and without kills", digests(lake).items(), digests(again.lake).items())


@pytest.mark.slow
def test_kills_amid_erasures_leave_no_post_that_was_taken_back_and_lose_no_other(tmp_path: Path) -> None:
    seed = SystemRandom().randrange(1 << 32)
    folder, began = tmp_path / "run", time.monotonic()
    folder.mkdir()
    place, rounds = Place(folder), [a_round(number) for number in range(1, KILLS + 1)]
    with place.bus() as bus:
        publish(bus, [*rounds[0].posts.values(), *rounds[0].letters.values()])
    with Nursery(tmp_path / "stderr") as nursery:
        storm = Storm(nursery, {"posts": (str(folder), None)}, seed)
        storm.wait_until(lambda: grown(folder, DEAD_LETTERS.name), "the first dead letters were curated")
        amid = strike(storm, place, rounds, storm.random)
        (folder / STOP).touch()
        storm.finish("posts")
    assert (storm.kills, storm.gave_up) == (KILLS, 0), str(storm)
    try:
        check(place, rounds, tmp_path / "again")
    except AssertionError as error:
        raise AssertionError(f"{storm}, {amid} of them amid erasures: {error}") from error
    assert amid, "no kill struck between two erasures"
    print(f"{storm}, {amid} amid erasures; {time.monotonic() - began:.0f} s")  # noqa: T201 - figures for whoever runs with -s
