"""The command line. Thin: each command calls one function of `pipelines` and shows what it returns."""

from project01.cli.app import main

__all__ = ["main"]
