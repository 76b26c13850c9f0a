"""From a stand-in server through the bus into the lake, by the commands a person types."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.effort import rest_slow
from tests.pipelines.conftest import run_cli

from project01.cli.ingest import VENDORS as COMMANDS
from project01.domain import TABLES
from project01.ingest import VENDORS, StreamLag
from project01.lake import Lake
from project01.pipelines import Place


def figures(*arguments: object, **environment: str):
    done = run_cli(*arguments, "--json", **environment)
    assert done.code == 0, done.err
    return msgspec.json.decode(done.out)


def test_every_vendor_has_its_command() -> None:
    assert list(COMMANDS) == list(VENDORS)
    for name, (_, example) in COMMANDS.items():
        words = example.split()
        options = dict(zip(words[::2], words[1::2], strict=False))
        dataset = VENDORS[name].dataset(options.get("--dataset", VENDORS[name].datasets[0].name))
        assert dataset.stream if "--stream" in words else dataset.history
        assert options.get("--set", "span=").split("=")[0] in {"span", *dataset.parameters}


@pytest.mark.slow
def test_a_simulated_stream_reaches_the_lake_once(tmp_path: Path) -> None:
    out = tmp_path / "live"
    sent = figures("ingest", "polygon", "--simulate", "--stream", "--seconds", "6", "--out", out)
    assert sent["records"] > 0
    landed = figures("land", "--out", out)
    assert landed["ticks"]["landed"] == landed["ticks"]["rows"]["bars"] == sent["records"]
    again = figures("land", "--out", out)
    assert again["ticks"]["landed"] == 0
    rows = figures("lake", "read", "bars", "--as-of", "2100-01-01", "--limit", "5", "--out", out)
    assert {row["simulated"] for row in rows} == {True}
    assert {row["licence"] for row in rows} == {"simulated"}
    rebuilt = figures("rebuild", "--out", out, "--into", tmp_path / "rebuilt")
    assert [row["equal"] for row in rebuilt] == [True]


@pytest.mark.slow
def test_a_sample_goes_the_same_way_as_a_vendor(tmp_path: Path) -> None:
    out = tmp_path / "live"
    sent = figures("ingest", "files", "--sample", "ohlcv", "--out", out)
    landed = figures("land", "--out", out)
    assert sum(topic["landed"] for topic in landed.values()) == sent["records"]
    assert landed["ticks"]["rows"]["bars"] > 10_000
    assert landed["fundamentals"]["rows"]["macro"] > 1_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    rest_slow(
        [
            (("ingest", "fred"), "FRED_API_KEY"),
            (("ingest", "polygon", "--dataset", "nonsense"), "no dataset 'nonsense'"),
            (("ingest", "fred", "--stream", "--simulate"), "no stream"),
            (("ingest", "fred", "--simulate", "--set", "what=1"), "no parameter what"),
            (("ingest", "fred", "--from", "soon"), "not a date or instant"),
            (("land", "--topics", "gossip"), "no topic gossip"),
            (("land", "--bus", "ftp://somewhere"), "bus"),
            (("dead-letters", "show"), "no dead letters"),
        ]
    ),
)
def test_what_cannot_be_done_is_said_in_words(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run_cli(*arguments, "--out", tmp_path / "live", FRED_API_KEY="")
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_stream_that_lags_ends_the_check_with_1(tmp_path: Path) -> None:
    state = Place(tmp_path).state()
    assert run_cli("sources", "lag", "--check", "--out", tmp_path).code == 0
    # Just measured, however long the commands take to start.
    lag = StreamLag(
        source="polygon", dataset="trades", symbols="AAPL,MSFT", events=41_000, on_disk=31_000, age_s=12.5,
        measured_at=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    state.save_lag(lag)
    (row,) = figures("sources", "lag", "--out", tmp_path)
    assert (row["age_s"], row["events"], row["on_disk"], row["wrong"]) == (12.5, 41_000, 31_000, "")
    assert run_cli("sources", "lag", "--check", "--out", tmp_path, PROJECT01__SOURCES__MAX_LAG_S="20").code == 0
    for setting in ({"PROJECT01__SOURCES__MAX_LAG_S": "12"}, {}):
        limit = () if setting else ("--limit", "12")
        done = run_cli("sources", "lag", "--check", *limit, "--out", tmp_path, **setting)
        assert done.code == 1
        assert done.err == "lag: polygon trades AAPL,MSFT: 12.5 s behind, limit 12 s\n"
    state.save_lag(replace(lag, age_s=0.0, measured_at=datetime.now(UTC) - timedelta(minutes=5)))
    done = run_cli("sources", "lag", "--check", "--out", tmp_path)
    assert done.code == 1
    assert "its process died or hangs" in done.err


@pytest.mark.slow
def test_topics_apply_shows_the_difference_first_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    bus = tmp_path / "bus.sqlite"
    planned = figures("topics", "apply", "--bus", bus, "--dry-run")
    assert len(planned["changes"]) == 5
    assert figures("topics", "show", "--bus", bus) == []
    assert figures("topics", "apply", "--bus", bus)["changes"] == planned["changes"]
    assert figures("topics", "apply", "--bus", bus)["changes"] == []
    more = figures("topics", "apply", "--bus", bus, "--partitions", "ticks=8")
    assert more["changes"] == ["alter ticks: partitions: 6 -> 8"]
    assert run_cli("topics", "apply", "--bus", bus).code == 1


@pytest.mark.slow
def test_what_landed_can_be_exported_as_its_licence_allows_and_run_on(tmp_path: Path) -> None:
    out, file = tmp_path / "live", tmp_path / "macro.csv"
    figures("ingest", "files", "--sample", "sp500", "--out", out)
    figures("ingest", "fred", "--simulate", "--out", out)
    figures("land", "--out", out)
    done = figures("lake", "export", "macro", "--as-of", "2100-01-01", "--to", file, "--out", out)
    assert done["rows"] == len(file.read_text().splitlines()) - 1 > 0
    assert done["held_back"] == 0
    lake = Lake(out / "lake")
    rows = lake.read("macro", as_of=datetime(2100, 1, 1, tzinfo=UTC))
    lake.replace(TABLES["macro"], rows.with_columns(licence=pl.lit("polygon")))
    refused = run_cli("lake", "export", "macro", "--as-of", "2100-01-01", "--to", file, "--out", out)
    assert refused.code == 2
    assert "No row of macro may leave the house (licences: polygon)" in refused.err
    inside = figures("lake", "export", "macro", "--as-of", "2100-01-01", "--to", file, "--internal", "--out", out)
    assert inside["rows"] == rows.height
    read = figures("run", "--from-lake", out, "--out", tmp_path / "run", "--models", "momentum,zero")
    assert read["data"]["rows_accepted"] > 100_000
    asked = run_cli("run", "--from-lake", out, "--from-source", "polygon", "--out", tmp_path / "other")
    assert asked.code == 2
    assert "no daily bars of polygon" in asked.err


@pytest.mark.parametrize("module", ["httpx", "websockets"])
@pytest.mark.slow
def test_without_the_extra_it_is_named_and_the_rest_works(tmp_path: Path, module: str) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        code = f"import sys; sys.modules[{module!r}] = None; from project01.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    fetched = run("ingest", "fred", "--simulate", "--out", tmp_path)
    assert fetched.returncode == 2
    assert "'.[vendors]'" in fetched.stderr
    assert fetched.stderr.count("\n") == 1
    for others in (("doctor",), ("sources", "show"), ("land", "--out", tmp_path)):
        assert run(*others).returncode == 0
