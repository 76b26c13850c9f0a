"""Items of companies' reports, each as it was known with the bar."""

from project01.etl.inputs.declaration import Input

FUNDAMENTAL: tuple[Input, ...] = ()
