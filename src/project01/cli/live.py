"""Commands between the sources and the lake: topics, landing, dead letters, the state of the sources."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from project01.cli import show
from project01.cli.ingest import Bus, Out, stopping
from project01.cli.steps import Json

if TYPE_CHECKING:
    from project01.pipelines import Place, TopicFigures

topics = typer.Typer(help="Topics of the bus, as code.", rich_markup_mode=None, no_args_is_help=True)
letters = typer.Typer(help="What could not be accepted, and replaying it.", rich_markup_mode=None, no_args_is_help=True)
sources = typer.Typer(help="What each source brings and needs.", rich_markup_mode=None, no_args_is_help=True)

BusUrl = Annotated[
    str, typer.Option("--bus", help="kafka://host:port[,host:port], or a file's path.", show_default=False)
]
Lake = Annotated[
    str | None,
    typer.Option("--lake", help="Lake elsewhere, e.g. s3://bucket/lake. [default: OUT/lake]", show_default=False),
]
Topics = Annotated[str | None, typer.Option("--topics", help="Comma list. [default: all]", show_default=False)]
Source = Annotated[str | None, typer.Option("--source", help="Only this source.", show_default=False)]
Reason = Annotated[str | None, typer.Option("--reason", help="Only this reason.", show_default=False)]


@topics.command("apply")
def topics_apply(
    bus: BusUrl,
    partitions: Annotated[
        list[str] | None, typer.Option("--partitions", help="TOPIC=N, may be repeated.", show_default=False)
    ] = None,
    replication: Annotated[int | None, typer.Option(help="Copies of each message.", min=1, show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the topics to what the code says; what changes is shown, and a second time nothing does.

    \b
    Examples:
      project01 topics apply --bus kafka://localhost:9092 --dry-run
      project01 topics apply --bus kafka://k1:9092,k2:9092 --replication 3 --partitions ticks=24
    """
    from project01.pipelines import apply_topics, wanted_topics

    changes = apply_topics(bus, wanted_topics(partitions or [], replication), dry_run=dry_run)
    if as_json:
        show.print_json({"changes": changes, "applied": not dry_run})
        return
    typer.echo("\n".join(changes) if changes else "Nothing to change: the topics are as the code says.")
    if changes and dry_run:
        typer.echo("Nothing was changed. Leave --dry-run out to apply this.")


@topics.command("show")
def topics_show(bus: BusUrl, as_json: Json = False) -> None:
    """Topics of a bus with their settings and how much they hold.

    \b
    Example:
      project01 topics show --bus kafka://localhost:9092
    """
    from project01.pipelines import show_topics

    rows = show_topics(bus)
    if as_json:
        show.print_json(rows)
    elif rows:
        show.table(
            "Topics", [name.replace("_", " ") for name in rows[0]], [[_cell(v) for v in r.values()] for r in rows]
        )
    else:
        typer.echo("No topics. Make them: project01 topics apply --bus ...")


def land(
    out: Out,
    bus: Bus = None,
    lake: Lake = None,
    topics: Topics = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until stopped.")] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Stop following after so long.", min=0, show_default=False)
    ] = None,
    age: Annotated[
        float, typer.Option("--age", help="Longest wait of a message for its commit, seconds.", min=0.05)
    ] = 1.0,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Go on although the bus removed messages before they landed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Land the bus in the lake, each message exactly once, and curate it into tables.

    Stopped at any moment, the same command goes on where the tables stand.

    \b
    Examples:
      project01 land --out runs/live
      project01 land --bus kafka://localhost:9092 --lake s3://bucket/lake --follow --out runs/live
    """
    from project01.pipelines import LandingLimits, Place
    from project01.pipelines import follow as follow_topics
    from project01.pipelines import land as land_topics

    place, names = Place(out, bus, lake), tuple(filter(None, (topics or "").split(",")))
    limits = LandingLimits(age_s=age)
    with stopping(seconds) as stop, show.counter("landed") as counter:
        seen: dict[str, int] = {}

        def report(topic: str, figures: "TopicFigures") -> None:
            seen[topic] = figures.landed
            counter(sum(seen.values()))

        if follow:
            done = follow_topics(place, names, stop, limits=limits, accept_loss=accept_loss, report=report)
        else:
            done = land_topics(place, names, limits=limits, accept_loss=accept_loss, report=report)
    _show_landed(done, as_json)


def _show_landed(done: "dict[str, TopicFigures]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        show.print_json({topic: asdict(figures) for topic, figures in done.items()})
        return
    rows = [
        [topic, f"{f.landed:,}", f"{f.lag:,}", _rows_text(f.rows), f"{f.known:,}", f"{f.refused:,}", f"{f.erased:,}"]
        for topic, f in done.items()
    ]
    show.table("Landed", ["topic", "messages", "left on the bus", "rows added", "known", "refused", "erased"], rows)


def _rows_text(rows: dict[str, int]) -> str:
    return ", ".join(f"{table} {count:,}" for table, count in sorted(rows.items()) if count) or "-"


def rebuild(
    out: Out,
    into: Annotated[
        Path, typer.Option("--into", help="Folder for the rebuilt tables; must be new.", show_default=False)
    ],
    lake: Lake = None,
    topics: Topics = None,
    as_json: Json = False,
) -> None:
    """Make all curated tables anew from the raw ones, in another folder, and compare; exits with 1 if they differ.

    \b
    Example:
      project01 rebuild --out runs/live --into runs/rebuilt
    """
    from project01.pipelines import Place
    from project01.pipelines import rebuild as rebuild_tables

    rows = rebuild_tables(Place(out, None, lake), into, tuple(filter(None, (topics or "").split(","))))
    if as_json:
        show.print_json(rows)
    else:
        show.table("Rebuilt", ["table", "here", "rebuilt", "equal"], [[_cell(v) for v in r.values()] for r in rows])
    if not all(row["equal"] for row in rows):
        raise typer.Exit(1)


@letters.command("show")
def letters_show(
    out: Out,
    lake: Lake = None,
    source: Source = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Letters to show.", min=0)] = 20,
    as_json: Json = False,
) -> None:
    """Dead letters of the sources that were not replayed yet: how many for each reason, and the newest.

    \b
    Example:
      project01 dead-letters show --source polygon --out runs/live
    """
    from project01.pipelines import letter_rows

    found = letter_rows(_place(out, lake).lake, source, reason, limit)
    if as_json:
        show.print_json(found)
        return
    show.table(
        "Waiting", ["source", "reason", "letters"], [[_cell(v) for v in row.values()] for row in found["counts"]]
    )
    for number, letter in enumerate(found["letters"], start=1):
        show.pairs(f"{number} of {len(found['letters'])}", {name: _cell(value) for name, value in letter.items()})


@letters.command("replay")
def letters_replay(
    out: Out, bus: Bus = None, lake: Lake = None, source: Source = None, reason: Reason = None, as_json: Json = False
) -> None:
    """Decode dead letters with the parsers of today and publish what they accept; a second time nothing happens.

    \b
    Example:
      project01 dead-letters replay --source polygon --out runs/live
    """
    from dataclasses import asdict

    from project01.pipelines import replay_letters

    done = asdict(replay_letters(_place(out, lake, bus), source, reason))
    if as_json:
        show.print_json(done)
        return
    refused = done.pop("still_refused")
    show.pairs(
        "Replayed", {name: f"{value:,}" for name, value in done.items()} | {"still refused": _rows_text(refused)}
    )


@sources.command("show")
def sources_show(as_json: Json = False) -> None:
    """Every source: what it brings, whether it could be used now, and what to set or install if not.

    \b
    Example:
      project01 sources show
    """
    from project01.pipelines import known_sources

    rows = known_sources()
    if as_json:
        show.print_json(rows)
        return
    cells = [
        [row["source"], ", ".join(row["datasets"]), ", ".join(row["streams"]) or "-", ", ".join(row["topics"]),
         "yes" if row["ready"] else "; ".join(row["needs"])]
        for row in rows
    ]  # fmt: skip
    show.table("Sources", ["source", "datasets", "streams", "topics", "ready"], cells)


@sources.command("gaps")
def sources_gaps(out: Out, as_json: Json = False) -> None:
    """Times in which a stream was not listening, and whether history filled them.

    \b
    Example:
      project01 sources gaps --out runs/live
    """
    from project01.pipelines import known_gaps

    rows = known_gaps(_place(out, None).state())
    if as_json:
        show.print_json(rows)
    elif rows:
        show.table("Gaps", list(rows[0]), [[_cell(v) for v in row.values()] for row in rows])
    else:
        typer.echo("No gaps.")


@sources.command("lag")
def sources_lag(
    out: Out,
    check: Annotated[bool, typer.Option("--check", help="End with 1 if any stream is over the limit.")] = False,
    limit: Annotated[
        float | None,
        typer.Option("--limit", help="Seconds. [default: setting sources.max_lag_s, 30]", min=0.1, show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """How far each running stream is behind what it received: age of the oldest event that waits, and how many wait.

    With --check it ends with 1 and a line for each stream over the limit, also for one that has not been measured for
    so long: its process died or hangs. Start that stream again, if only for a second, to be rid of its line.

    \b
    Examples:
      project01 sources lag --out runs/live
      project01 sources lag --check --limit 10 --out runs/live || mail -s lag me@example.org
    """
    from project01.pipelines import known_lags
    from project01.settings import load_settings

    limit_s = load_settings().settings.sources.max_lag_s if limit is None else limit
    rows = known_lags(_place(out, None).state(), limit_s)
    if as_json:
        show.print_json(rows)
    elif rows:
        show.table("Lag", list(rows[0]), [[_cell(v) for v in row.values()] for row in rows])
    else:
        typer.echo("No stream runs here.")
    wrong = [row for row in rows if row["wrong"]]
    if check and wrong:
        for row in wrong:
            typer.echo(f"lag: {row['source']} {row['dataset']} {row['symbols']}: {row['wrong']}", err=True)
        raise typer.Exit(1)


def _place(out: Path, lake: str | None, bus: str | None = None) -> "Place":
    from project01.pipelines import Place

    return Place(out, bus, lake)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def register(app: typer.Typer) -> None:
    """Add the commands to the tree."""
    app.command()(land)
    app.command()(rebuild)
    app.add_typer(topics, name="topics")
    app.add_typer(letters, name="dead-letters")
    app.add_typer(sources, name="sources")
