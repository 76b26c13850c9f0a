"""The report of a run: its figures as JSON with a schema, and one self-contained HTML file."""

from project01.report.feature_pages import FeaturePage, Spread, index_page, set_page, set_plot, spread_of
from project01.report.figures import (
    BacktestPart,
    CalibrationPoint,
    DataPart,
    EvidencePart,
    Figure,
    Figures,
    ForecastPart,
    ForecastRow,
    HoldoutPart,
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
    "FeaturePage",
    "Figure",
    "Figures",
    "ForecastPart",
    "ForecastRow",
    "HoldoutPart",
    "ManifestPart",
    "ModelPart",
    "SensitivityPart",
    "SeriesPart",
    "Spread",
    "VerdictPart",
    "index_page",
    "render_html",
    "set_page",
    "set_plot",
    "spread_of",
    "with_error",
]
