"""Every command in a process of its own: exit codes, help, JSON, plain output, bad input without a trace."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from tests.effort import rest_slow
from tests.pipelines.conftest import CLI, QUICK, run_cli, small_bars
from typer.testing import CliRunner

from project01.cli.app import app
from project01.lake import Lake

COMMANDS = [
    (), ("demo",), ("run",), ("ingest",), ("features",), ("train",), ("backtest",), ("forecast",), ("report",),
    ("doctor",), ("audit",), ("audit", "lookahead"), ("lake",), ("lake", "tables"), ("lake", "history"),
    ("lake", "read"), ("lake", "refused"), ("lake", "compact"), ("lake", "vacuum"), ("lake", "export"), ("config",),
    ("config", "show"), ("config", "schema"), ("ingest", "polygon"), ("ingest", "edgar"), ("ingest", "files"),
    ("land",), ("rebuild",), ("topics",), ("topics", "apply"), ("topics", "show"), ("dead-letters",),
    ("dead-letters", "show"), ("dead-letters", "replay"), ("sources",), ("sources", "show"), ("sources", "gaps"),
    ("sources", "lag"), ("features", "build"), ("features", "get"), ("features", "materialise"), ("features", "list"),
    ("features", "docs"), ("features", "stream"), ("audit", "parity"),
]  # fmt: skip


GROUPS = {("lake",), ("config",), ("audit",), ("topics",), ("dead-letters",), ("sources",)}


def _is_help(shown: str, command: tuple[str, ...], columns: str) -> None:
    assert "Usage: project01" in shown
    assert "\x1b[" not in shown
    assert command in GROUPS or "Example" in shown
    # A schema is JSON already.
    assert command in {(), ("config", "schema"), *GROUPS} or "--json" in shown
    assert all(len(line) <= max(int(columns), 100) for line in shown.splitlines())


@pytest.mark.parametrize("command", rest_slow([pytest.param(each, id=" ".join(each)) for each in COMMANDS[::11]]))
@pytest.mark.parametrize("columns", rest_slow(["80", "200"]))
def test_help_of_a_process(command: tuple[str, ...], columns: str) -> None:
    """A few of them: all are of one program, and the next test asks each."""
    done = run_cli(*command, "--help", COLUMNS=columns)
    assert done.code == 0
    _is_help(done.out, command, columns)


@pytest.mark.parametrize("columns", ["80", "200"])
def test_every_command_has_help_with_an_example_and_speaks_json(columns: str) -> None:
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [*command, "--help"], prog_name="project01", env={"COLUMNS": columns})
        assert shown.exit_code == 0, command
        _is_help(shown.stdout, command, columns)


def test_version_and_usage_errors() -> None:
    assert run_cli("--version").out.startswith("project01 0.")
    for arguments in (("nonsense",), ("run",), ("run", "--horizon", "soon", "--out", "x"), ("forecast", "--bogus")):
        done = run_cli(*arguments)
        assert done.code == 2, arguments
        assert "Traceback" not in done.err


def test_importing_is_light_and_help_is_quick() -> None:
    code = (
        "import sys, time; started = time.perf_counter(); import project01; took = time.perf_counter() - started\n"
        "heavy = {'torch', 'ray', 'pyspark', 'mlflow', 'polars', 'feast'} & set(sys.modules)\n"
        "print(msgspec.json.encode([took, sorted(heavy)]).decode())"
    )
    done = subprocess.run([sys.executable, "-c", f"import msgspec\n{code}"], capture_output=True, text=True, check=True)
    took, heavy = msgspec.json.decode(done.stdout)
    assert heavy == []
    assert took < 0.3
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", str(CLI), "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in trace.stderr.splitlines() if "|" in line}
    assert not {"polars", "numpy", "torch", "mlflow", "feast", "pandas"} & loaded


def test_doctor_never_shows_a_key_and_judges_the_main_job() -> None:
    done = run_cli("doctor", "--json", POLYGON_API_KEY="MARKER-9f2c", PROJECT01_KAFKA="localhost:1")
    assert done.code == 0
    assert "MARKER" not in done.out + done.err
    checks = {check["name"]: check for check in msgspec.json.decode(done.out)["checks"]}
    assert checks["Polygon.io (Massive)"]["state"] == "ready"
    assert checks["Kafka"]["state"] == "not reachable"
    assert checks["core"]["state"] == "ok"
    plain = run_cli("doctor", POLYGON_API_KEY="MARKER-9f2c").out
    assert "MARKER" not in plain
    for name in ("kafka", "redis", "deep"):
        assert checks[name]["state"] == "ok" or f"'.[{name}]'" in plain


@pytest.mark.slow
def test_config_shows_origins_and_a_schema() -> None:
    shown = msgspec.json.decode(run_cli("config", "show", "--json", PROJECT01__FORECAST__HORIZON="9").out)
    assert shown["forecast.horizon"] == {"value": 9, "origin": "environment PROJECT01__FORECAST__HORIZON"}
    assert "properties" in msgspec.json.decode(run_cli("config", "schema").out)
    wrong = run_cli("config", "show", PROJECT01__FORECAST__HORZON="9")
    assert wrong.code == 2
    assert "Did you mean forecast.horizon" in wrong.err


HEADER = "symbol,date,open,high,low,close,volume\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


BAD: dict[str, tuple[str, str | bytes]] = {
    "empty file": ("bars.csv", ""),
    "header only": ("bars.csv", HEADER),
    "wrong columns": ("bars.csv", "a,b\n1,2\n"),
    "binary file": ("bars.csv", bytes(range(256)) * 40),
    "0-byte Parquet": ("bars.parquet", b""),
    "cut Parquet": ("bars.parquet", b"PAR1" + b"\x00" * 60),
    "mixed time zones": (
        "bars.csv",
        HEADER + "A,2015-01-05T16:00:00-05:00,1,1,1,1,1\nA,2015-01-06T16:00:00+09:00,1,1,1,1,1\n",
    ),
    "ambiguous dates": ("bars.csv", HEADER + "A,05/06/2015,1,1,1,1,1\nA,07/08/2015,1,1,1,1,1\n"),
    "only negative prices": ("bars.csv", HEADER + "A,2015-01-05,-1,-1,-1,-1,1\nB,2015-01-06,-1,-1,-1,-1,1\n"),
    "no bars": ("README.md", "nothing here\n"),
}


@pytest.mark.parametrize("case", rest_slow(BAD))
def test_bad_input_ends_with_2_a_message_and_nothing_written(case: str, tmp_path: Path) -> None:
    name, content = BAD[case]
    out = tmp_path / "out"
    done = run_cli("run", "--bars", write(tmp_path / "bars", name, content), "--out", out)
    assert done.code == 2, done.err
    assert "error: " in done.err
    assert "Traceback" not in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    rest_slow(
        [
            (("run", "--bars", "nowhere", "--out", "x"), "nowhere does not exist"),
            (("run", "--out", "x"), "exactly one of --bars"),
            (("run", "--sample", "mars", "--out", "x"), "choose one of sp500, ohlcv"),
            (("run", "--sample", "sp500", "--map", "close", "--out", "x"), "--map goes with --bars"),
            (("features", "--out", "x"), "no finished step 'ingest'"),
            (("forecast", "--out", "x"), "no finished step"),
            (("lake", "tables", "--out", "x"), "holds no lake"),
            (("run", "--sample", "sp500", "--horizon", "0", "--out", "x"), "greater than or equal to 1"),
        ],
        quick=2,
    ),
)
def test_wrong_requests_say_what_to_do(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run_cli("run", "--sample", "sp500", "--out", tmp_path / "file")
    assert done.code == 2
    assert "is a file" in done.err
    below = run_cli("run", "--sample", "sp500", "--out", "/proc/nothing")
    assert below.code == 2
    assert "cannot be written" in below.err


@pytest.mark.slow
def test_a_given_form_settles_ambiguous_dates_and_the_mapping_is_shown(tmp_path: Path) -> None:
    bars = HEADER.replace("close", "PX_LAST") + "A,05/06/2015,1,1,1,1,1\nA,08/06/2015,1,1,1,1,1\n"
    folder = write(tmp_path / "bars", "bars.csv", bars)
    done = run_cli("ingest", "--bars", folder, "--date-format", "%d/%m/%Y", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    found = msgspec.json.decode(done.out)
    assert (found["first_session"], found["last_session"]) == ("2015-06-05", "2015-06-08")
    assert "close from 'PX_LAST'" in found["read_as"][0]
    assert "no adj_close" in found["read_as"][0]
    # Nothing was said of adjustment: prices count as traded.
    assert Lake(tmp_path / "out" / "lake").scan("bars").collect()["adjusted"].to_list() == ["none", "none"]
    again = run_cli(
        "ingest", "--bars", folder, "--date-format", "%d/%m/%Y", "--adjusted", "splits", "--out", tmp_path / "split"
    )
    assert again.code == 0, again.err
    assert Lake(tmp_path / "split" / "lake").scan("bars").collect()["adjusted"].to_list() == ["splits", "splits"]
    unknown = run_cli("ingest", "--bars", folder, "--adjusted", "all", "--out", tmp_path / "other")
    assert (unknown.code, "choose one of none, splits, splits_and_dividends" in unknown.err) == (2, True)
    refused = run_cli("run", "--simulate", "--date-format", "%d/%m/%Y", "--out", tmp_path / "other")
    assert (refused.code, "--date-format goes with --bars" in refused.err) == (2, True)


@pytest.mark.slow
def test_refused_rows_are_shown_with_their_reasons(tmp_path: Path) -> None:
    rows = "A,2015-01-05,10,9,11,10,1\nA,2015-01-06,10,11,9,10,1\nA,2015-01-07,-1,11,9,10,1\n"
    folder = write(tmp_path / "bars", "bars.csv", HEADER + rows)
    assert run_cli("ingest", "--bars", folder, "--out", tmp_path / "out").code == 0
    found = msgspec.json.decode(run_cli("lake", "refused", "--out", tmp_path / "out", "--json").out)
    assert found["counts"] == {"high_below_low": 1, "not_positive_price": 1}
    assert [row["session"] for row in found["rows"]] == ["2015-01-05", "2015-01-07"]
    assert "the high is below the low" in run_cli("lake", "refused", "--out", tmp_path / "out").out
    other = run_cli("lake", "refused", "--reason", "mars", "--out", tmp_path / "out")
    assert (other.code, "found high_below_low, not_positive_price" in other.err) == (2, True)


@pytest.mark.slow
def test_the_gate_obeys_the_settings(tmp_path: Path) -> None:
    prices = [10.0] * 10 + [2.3] * 10
    days = [f"2015-01-{day:02d}" for day in (5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 20, 21, 22, 23, 26, 27, 28, 29, 30)]
    rows = "".join(f"A,{day},{p},{p},{p},{p},100\n" for day, p in zip(days, prices, strict=False))
    folder = write(tmp_path / "bars", "bars.csv", HEADER + rows)
    for allowed, breaks in (("0.66", 1), ("0.95", 0)):
        done = run_cli(
            "ingest", "--bars", folder, "--out", tmp_path / allowed, "--json", PROJECT01__DATA__GATE_MAX_LOSS=allowed
        )
        assert msgspec.json.decode(done.out)["breaks"] == breaks, done.out


@pytest.mark.slow
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d"])
def test_dates_as_text_in_three_forms_and_duplicates_are_read(form: str, tmp_path: Path) -> None:
    import polars as pl

    bars = small_bars().head(300).with_columns(pl.col("date").dt.strftime(form))
    folder = tmp_path / "bars"
    folder.mkdir()
    pl.concat([bars, bars.head(5)]).write_csv(folder / "bars.csv")
    done = run_cli("ingest", "--bars", folder, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    found = msgspec.json.decode(done.out)
    assert (found["rows_accepted"], found["duplicates"]) == (300, 5)


def _listen_to_ctrl_c() -> None:
    """A shell that runs the tests in the background has its children ignore the signal; undo that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["ingest", "features", "train", "backtest", "forecast", "report"])
def test_ctrl_c_in_each_step_leaves_nothing_half_done(step: str, bars_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    order = ["ingest", "features", "train", "backtest", "forecast", "report"]
    command = [str(CLI), "run", "--bars", str(bars_folder), "--out", str(out)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | QUICK,
        preexec_fn=_listen_to_ctrl_c,  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    before = order[order.index(step) - 1] if step != "ingest" else None
    deadline = time.monotonic() + 200
    while before and not (out / "steps" / f"{before}.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    if before is None:
        time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=200)
    assert "Traceback" not in error
    if process.returncode == 0:  # the step was over before the signal came
        assert (out / "figures.json").exists()
    else:
        assert process.returncode == 2
        assert "stopped" in error
        assert not (out / "steps" / "report.json").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | QUICK)
    assert again.returncode == 0, again.stderr
    assert (out / "figures.json").exists()


@pytest.mark.slow
def test_an_interrupt_in_a_finaliser_is_not_lost() -> None:
    code = (
        "import _thread, signal, time, weakref\n"
        "from project01.cli import app\n"
        "class Held: pass\n"
        "def command():\n"
        "    held = Held()\n"
        "    kept = weakref.ref(held, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del held\n"
        "    time.sleep(20)\n"
        "app.app = command\n"
        "app.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=_listen_to_ctrl_c,
    )  # fmt: skip
    assert done.returncode == 2
    assert "stopped" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_each_step_by_itself_ends_with_0_and_json(bars_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "steps"
    assert run_cli("ingest", "--bars", bars_folder, "--out", out).code == 0
    for step in ("features", "train", "backtest", "forecast"):
        done = run_cli(step, "--out", out, "--json")
        assert done.code == 0, done.err
        assert isinstance(msgspec.json.decode(done.out), dict)
    for arguments in (
        ("lake", "tables", "--out", out), ("lake", "history", "bars", "--out", out),
        ("lake", "read", "bars", "--out", out, "--as-of", "2099-01-01"), ("lake", "compact", "bars", "--out", out),
        ("lake", "vacuum", "bars", "--out", out),
    ):  # fmt: skip
        done = run_cli(*arguments)
        assert done.code == 0, done.err
        assert "\x1b[" not in done.out
