"""The command ``volforensic``: its verbs, and the one place where an error becomes an exit status."""

import os
import sys

import typer

from volforensic.cli.artifacts import application as artifacts
from volforensic.cli.doctor import examine_host
from volforensic.cli.hash import hash_files
from volforensic.cli.standard_output import discard_the_rest, say
from volforensic.cli.triage import triage_sources
from volforensic.cli.verify import verify_case
from volforensic.errors import VolforensicError

application = typer.Typer(
    name="volforensic",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    help="Disk-image forensics for Linux servers: from an image to findings that can be checked.\n\n"
    "Example: volforensic triage disk.raw --case case-17",
)
application.command("triage")(triage_sources)
application.command("hash")(hash_files)
application.command("verify")(verify_case)
application.add_typer(artifacts, name="artifacts")
application.command("doctor")(examine_host)


@application.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:  # noqa: FBT001, FBT003 - typer's way to a flag
    if version:
        from volforensic import __version__  # noqa: PLC0415 - typer calls this on every run

        say(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every error ends with its own exit status and a sentence, never with a traceback."""
    try:
        application()
    except VolforensicError as error:
        _say(str(error))
        sys.exit(error.exit_status)
    except Exception as error:
        if os.environ.get("VOLFORENSIC_DEBUG"):
            raise
        _say(f"internal error: {type(error).__name__}: {error}. Set VOLFORENSIC_DEBUG=1 to see where, and report it")
        sys.exit(1)


def _say(text: str) -> None:
    from volforensic.sanitiser import visible  # noqa: PLC0415 - only where there is something to say

    try:
        typer.echo(f"volforensic: {visible(text)}", err=True)
    except OSError:  # nobody reads any more: the exit status still tells
        discard_the_rest(sys.stderr)


if __name__ == "__main__":
    main()
