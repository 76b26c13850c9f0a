"""Macro and market series, each as its newest value known with the bar."""

from project01.etl.inputs.declaration import Input

MACRO = (
    Input(name="vix", family="macro", unit="index points", description="Newest VIX close known.", series="VIX"),
    Input(name="us10y", family="macro", unit="fraction a year", description="10-year Treasury yield.", series="DGS10"),
)
