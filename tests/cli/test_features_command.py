"""`project01 features`: building by both names, bringing the online store up to date, and looking at values."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest
from tests.pipelines.conftest import run_cli

from project01.lake import Lake

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features") / "run"
    assert run_cli("ingest", "--sample", "ohlcv", "--out", str(out)).code == 0
    assert run_cli("features", "build", "--out", str(out)).code == 0
    return out


def get(out: Path, *arguments: str) -> dict[str, object]:
    done = run_cli("features", "get", *arguments, "--out", str(out), "--json")
    assert done.code == 0, done.err
    return msgspec.json.decode(done.out)


def test_both_names_of_the_build_are_one_step(built: Path) -> None:
    done = run_cli("features", "--out", str(built))
    assert done.code == 0
    assert "not done again" in done.err


def test_values_are_those_of_the_table_and_known_at_the_time(built: Path) -> None:
    table = Lake(built / "lake").scan("features").filter(symbol="AAPL").collect().sort("event_time")
    last = table.filter(pl.col("knowledge_time") <= datetime(2012, 5, 2, 19, 59, 59, tzinfo=UTC)).tail(1)
    found = get(built, "AAPL", "--at", "2012-05-02T19:59:59Z", "--features", "ret_1,rsi_14")
    rows = {row["feature"]: row for row in found["rows"]}  # type: ignore[attr-defined]
    assert list(rows) == ["ret_1", "rsi_14"]
    for name, row in rows.items():
        assert row["value"] == pytest.approx(last[name].item(), rel=1e-6)
        assert datetime.fromisoformat(row["event_time"]) == last["event_time"].item()
        assert datetime.fromisoformat(row["knowledge_time"]) == last["knowledge_time"].item()
        assert row["state"] == "known"
        assert row["age_seconds"] == pytest.approx(86_399)  # since the close before
        assert row["unit"]
    early = get(built, "AAPL", "IBM", "--at", "1999-01-01", "--features", "ret_1")
    assert [row["state"] for row in early["rows"]] == ["nothing known"] * 2  # type: ignore[attr-defined]
    late = get(built, "AAPL", "--at", "2020-01-01", "--features", "ret_1")
    assert [row["state"] for row in late["rows"]] == ["expired"]  # type: ignore[attr-defined]


def test_online_equals_the_newest(built: Path) -> None:
    done = run_cli("features", "get", "AAPL", "--online", "--out", str(built))
    if done.code != 0:
        assert "materialise" in done.err
    assert run_cli("features", "materialise", "--out", str(built)).code == 0
    online, offline = get(built, "AAPL", "MSFT", "--online"), get(built, "AAPL", "MSFT")
    assert online["rows"] == offline["rows"]
    assert online["as_of"] == offline["as_of"]
    table = run_cli("features", "get", "AAPL", "--online", "--out", str(built))
    assert "AAPL, online store, standing at 2013-03-01 21:00:00 UTC" in table.out
    assert "fraction of the close" in table.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("aapl",), "Did you mean one of AAPL"),
        (("AAPL", "--features", "ret_2"), "Did you mean ret_21"),
        (("AAPL", "--online", "--at", "2012-01-01"), "Leave out --at"),
        (("AAPL", "--at", "soon"), "not a date or instant"),
    ],
    ids=["symbol", "feature", "both", "time"],
)
def test_what_cannot_be_read_says_what_to_do(built: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_cli("features", "get", *arguments, "--out", str(built))
    assert done.code == 2
    assert said in done.err


def test_a_folder_without_features_says_how_to_make_them(tmp_path: Path) -> None:
    done = run_cli("features", "get", "AAPL", "--out", str(tmp_path))
    assert done.code == 2
    assert "no finished step 'features'" in done.err
