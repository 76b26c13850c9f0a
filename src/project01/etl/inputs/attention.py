"""What was written about an instrument since its bar before."""

from project01.etl.inputs.declaration import Input

ATTENTION: tuple[Input, ...] = ()
