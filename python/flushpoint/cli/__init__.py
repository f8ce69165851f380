"""The command ``flushpoint`` (extra ``cli``: typer and rich)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from flushpoint import __version__

try:
    import rich  # noqa: F401  (prints the reports)
    import typer
except ImportError:
    _INSTALLED = False
else:
    _INSTALLED = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for bad input (with one line on stderr), 130 for Ctrl-C."""
    if not _INSTALLED:
        return _fail('the command line needs typer and rich: pip install "flushpoint[all]"')
    try:
        code = app()(args=arguments, prog_name="flushpoint", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except MemoryError:
        return _fail("memory must hold what was asked for, was too small")
    except (ImportError, OSError) as error:  # an extra that this run needs; standard output that cannot be written
        return _fail(str(error))
    except Exception as error:
        if not hasattr(error, "format_message"):  # which is how typer reports bad input
            raise
        return _fail(error.format_message())
    return code if isinstance(code, int) else 0


def app() -> typer.Typer:
    """Build the command line as a typer application."""
    from flushpoint.cli import bench, of_book, of_scenario

    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    application.callback(invoke_without_command=True)(_root)
    for command in (
        of_scenario.run,
        of_scenario.report,
        of_scenario.calibrate,
        of_scenario.scenarios,
        of_book.response,
        of_book.levels,
        of_book.stress,
        bench.bench,
    ):
        application.command()(command)
    return application


def _fail(message: str) -> int:
    print("flushpoint:", " ".join(message.split()), file=sys.stderr)
    return 2


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Stress tests for leveraged markets: who is force-sold when the price moves, and who next."""
    if version:
        typer.echo(f"flushpoint {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
