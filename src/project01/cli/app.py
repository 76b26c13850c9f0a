"""The entry point: builds the command tree and turns errors into messages and exit codes.

Exit codes: 0 done, 1 the work failed, 2 what was asked cannot be done (bad input, bad usage, stopped by the user).
Nothing of ours is imported before a command runs, so that ``--help`` answers at once.
"""

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from project01.cli import certificate, config, evidence, features, ingest, inspect, lake, live, steps

_LOG_LEVELS = ("debug", "info", "warning")

app = typer.Typer(
    name="project01",
    help="""A private quantitative analyst: forecasts for stocks, each with its own error.

    \b
    Examples:
      project01 demo                                    real sample prices, no account, no key
      project01 run --bars prices/ --horizon 5 --out runs/mine
      project01 forecast --as-of 2017-06-30 --out runs/mine
      project01 doctor
    """,
    epilog="""Exit codes: 0 done, 1 failed, 2 cannot be done as asked. Shell completion: project01 --install-completion

    PROJECT01_LOG=debug (or info, warning) in the environment writes a log to the error output; it holds no keys.""",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
steps.register(app)
app.add_typer(ingest.app, name="ingest")
app.add_typer(features.app, name="features")
live.register(app)
inspect.register(app)
evidence.register(app)
certificate.register(inspect.audit)
app.add_typer(lake.app, name="lake")
app.add_typer(config.app, name="config")


def _show_version(asked: bool) -> None:
    if asked:
        from project01 import __version__

        typer.echo(f"project01 {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def _start_log(level: str) -> None:
    if not level:
        return
    import logging

    if level not in _LOG_LEVELS:
        from project01.domain import InputError

        raise InputError(f"PROJECT01_LOG is {level!r}; set it to one of {', '.join(_LOG_LEVELS)}.")

    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Thousands of lines for each function that is compiled.
    logging.getLogger("numba").setLevel(logging.WARNING)


def _report(error: Exception) -> int:
    from project01.domain import Project01Error

    if isinstance(error, Project01Error):
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    if os.environ.get("PROJECT01_TRACE"):
        raise error
    typer.echo(
        f"error: unexpected {type(error).__name__}: {error}\n"
        "This is a defect of Project01. Set PROJECT01_TRACE=1 and run again to see where it happened.",
        err=True,
    )
    return 1


def _keep_interrupts(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ask again for an interrupt that Python dropped.

    Ctrl-C that arrives while a finaliser or a weak reference's callback runs is printed and forgotten, and the work
    goes on. Here it is sent again, to arrive a moment later where it counts.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        # Not here: what is raised inside this hook is dropped as well.
        main_thread = threading.main_thread().ident
        if main_thread is not None:
            threading.Timer(0.05, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


def _stopped() -> None:
    typer.echo("\nstopped: nothing is half-written; the same command goes on where it stood.", err=True)
    sys.exit(2)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.unraisablehook = _keep_interrupts
    try:
        _start_log(os.environ.get("PROJECT01_LOG", "").lower())
        app()
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as ending:
        # What the command library makes of Ctrl-C within a command.
        if ending.code != 130:
            raise
        _stopped()
    except BrokenPipeError:
        # The reader of our output went away (such as `| head`); there is no one left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # the outermost edge: no traceback may reach a user
        sys.exit(_report(error))
