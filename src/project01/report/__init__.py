"""The report of a run: its figures as JSON with a schema, and one self-contained HTML file."""

from project01.report.figures import (
    BacktestPart,
    CalibrationPoint,
    DataPart,
    EvidencePart,
    Figure,
    Figures,
    ForecastPart,
    ForecastRow,
    ManifestPart,
    ModelPart,
    SensitivityPart,
    SeriesPart,
    VerdictPart,
)
from project01.report.html import render_html, with_error

__all__ = [
    "BacktestPart",
    "CalibrationPoint",
    "DataPart",
    "EvidencePart",
    "Figure",
    "Figures",
    "ForecastPart",
    "ForecastRow",
    "ManifestPart",
    "ModelPart",
    "SensitivityPart",
    "SeriesPart",
    "VerdictPart",
    "render_html",
    "with_error",
]
