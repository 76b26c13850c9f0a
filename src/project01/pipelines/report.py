"""Bring the figures of all steps together, judge, and write the report."""

from typing import Any

import msgspec

from project01.evaluate import Estimate, Evidence, Verdict, judge
from project01.pipelines.backtest import PARTS_FILE
from project01.pipelines.doctor import library_versions
from project01.pipelines.workspace import LIBRARIES, Workspace, code_hash, lock_hash, write_atomically
from project01.report import DataPart, Figures, ForecastPart, ManifestPart, VerdictPart, render_html
from project01.settings import Settings


def _survivors_only(settings: Settings, features: dict[str, Any]) -> bool:
    """Whether names that stopped trading are missing: told by the user, or judged from the data.

    About 3 % of listed US shares stop trading each year; data over years in which almost none did was chosen later.
    """
    if settings.data.survivors_only is not None:
        return settings.data.survivors_only
    years = features["sessions"] / 252
    return bool(len(features["delisted"]) < 0.01 * features["instruments"] * years)


def _notes(steps: dict[str, dict[str, Any]], survivors: bool) -> list[str]:
    ingest, features = steps["ingest"], steps["features"]
    notes = [
        f"The forecaster {name} was left out: it {why}." for name, why in steps["train"]["models_left_out"].items()
    ]
    if survivors:
        notes.append(
            "Almost every name still trades at the end of the data: names that vanished are missing, which flatters "
            "all results."
        )
    if not features["has_opens"]:
        notes.append("The source carries closes only: orders fill at the next close, a whole session later.")
    if ingest["missing_sessions"]:
        notes.append(
            f"{ingest['missing_sessions']} sessions are missing inside the lives of the series, at most "
            f"{ingest['longest_gap']} in a row; nothing was filled in."
        )
    if ingest["breaks"]:
        notes.append(
            f"{ingest['breaks']} series break at a jump that their adjusted close does not explain; what follows "
            "counts as a new instrument (NAME#2), and a position is closed at the last price before. A real move "
            "beyond the gate's limits would be hidden by this."
        )
    if ingest["spikes"]:
        notes.append(f"{ingest['spikes']} jumps went back the next session and were refused as spikes.")
    if ingest["zero_volume"]:
        notes.append(f"{ingest['zero_volume']} accepted bars have no volume.")
    return notes


def _estimate(found: dict[str, Any] | None) -> Estimate | None:
    """A figure as an estimate; None where it has no value."""
    if found is None or found["value"] is None:
        return None
    return Estimate(found["value"], found["standard_error"], found["low"], found["high"], found["n"], found["method"])


def _verdict(steps: dict[str, dict[str, Any]], survivors: bool) -> Verdict:
    found = steps["backtest"]
    naive = found["best_naive"]
    return judge(
        Evidence(
            excess=_estimate(found["excess_annual"]),
            deflated_sharpe=found["excess_deflated_sharpe"],
            best_naive=(str(naive[0]), float(naive[1])) if naive else None,
            trials=found["trials"],
            sessions=found["sessions"],
            symbols=found["symbols"],
            simulated=steps["ingest"]["simulated"],
            survivors_only=survivors,
            effective_trials=found["effective_trials"],
            overfitting=found["overfitting"],
            trials_with_returns=found["trials_with_returns"],
            sealed=_estimate(found["holdout_excess"]),
            sessions_needed=found["sessions_needed"],
        )
    )


def _data_part(steps: dict[str, dict[str, Any]], survivors: bool) -> DataPart:
    ingest, features = steps["ingest"], steps["features"]
    return DataPart(
        label=ingest["label"], simulated=ingest["simulated"], fill_price=steps["backtest"]["fill_price"],
        symbols=ingest["symbols"], sessions=features["sessions"], first_session=ingest["first_session"],
        last_session=ingest["last_session"], rows_read=ingest["rows_read"], rows_accepted=ingest["rows_accepted"],
        rows_refused=ingest["rows_refused"], refused_by_reason=ingest["refused_by_reason"], read_as=ingest["read_as"],
        notes=_notes(steps, survivors), features_used=features["features"],
        features_left_out=features["left_out"], delisted=features["delisted"],
    )  # fmt: skip


def _manifest(settings: Settings, steps: dict[str, dict[str, Any]]) -> ManifestPart:
    return ManifestPart(
        command=steps["ingest"]["command"],
        seed=settings.forecast.seed,
        settings_hash=settings.result_hash(),
        code_hash=code_hash(),
        lock_hash=lock_hash(),
        data_digest=steps["ingest"]["digests"]["bars"],
        feature_hash=steps["features"]["feature_hash"],
        libraries=library_versions(LIBRARIES),
        trial_chain=steps["backtest"]["trial_chain"],
    )


def assemble(workspace: Workspace, settings: Settings, steps: dict[str, dict[str, Any]]) -> Figures:
    """All figures of a run.

    Args:
        workspace: of the run.
        settings: of the run.
        steps: figures of the steps ingest, features and backtest.
    """
    survivors = _survivors_only(settings, steps["features"])
    verdict = _verdict(steps, survivors)
    parts = msgspec.json.decode((workspace.root / PARTS_FILE).read_bytes())
    forecasts = ForecastPart.model_validate_json((workspace.root / "forecasts.json").read_bytes())
    return Figures.model_validate(
        {
            **parts,
            "verdict": VerdictPart(kind=verdict.kind, sentence=verdict.sentence, reasons=list(verdict.reasons)),
            "data": _data_part(steps, survivors),
            "forecasts": forecasts,
            "manifest": _manifest(settings, steps),
        }
    )


def write_report(workspace: Workspace, figures: Figures) -> None:
    """``figures.json`` and ``report.html``."""
    write_atomically(workspace.root / "figures.json", figures.to_json())
    write_atomically(workspace.root / "report.html", render_html(figures).encode())
