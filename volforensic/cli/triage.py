"""The verb ``triage``."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

ProgressMode = Literal["auto", "plain", "json", "none"]
Level = Literal["critical", "high", "medium", "low", "info"]


def triage_sources(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Raw disk images or block devices.")],
    case: Annotated[Path, typer.Option("--case", "-c", metavar="DIR", help="The case folder; made where it is not.")],
    number: Annotated[str, typer.Option("--number", help="The case's number in your own register.")] = "",
    examiner: Annotated[str, typer.Option("--examiner", help="Who examines; the login name where not given.")] = "",
    artifacts: Annotated[
        list[Path] | None, typer.Option("--artifacts", metavar="DIR", help="Further artifact definitions.")
    ] = None,
    yara: Annotated[list[Path] | None, typer.Option("--yara", metavar="PATH", help="Further YARA rules.")] = None,
    fail_on: Annotated[Level | None, typer.Option("--fail-on", help="End with 10 at findings this severe.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, max=256, help="Workers at once; 0: one a core.")] = 0,
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="How to print.")] = "table",
    progress: Annotated[ProgressMode, typer.Option("--progress", help="How to tell what runs.")] = "auto",
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.")] = False,  # noqa: FBT002 - typer's way to a flag
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only findings, losses and the summary.")] = False,  # noqa: FBT002 - same
    clobber: Annotated[bool, typer.Option("--clobber", help="Replace an item that the case has already.")] = False,  # noqa: FBT002 - same
    resume: Annotated[bool, typer.Option("--resume", help="Begin an item again that was interrupted.")] = False,  # noqa: FBT002 - same
) -> None:
    """Everything, from the source to the report: hashes, inventory, artifacts, files, findings.

    The source is opened read-only and hashed before and after. Results go to the case folder, a summary to standard
    output. Ends with 0 when everything was read, 3 when something was not, 4 when the evidence changed, 7 when no
    filesystem could be read.

    Example: volforensic triage disk.raw --case case-17
    """
    from volforensic.cli.terminal import Terminal  # noqa: PLC0415 - heavy rooms are loaded by the verb that uses them
    from volforensic.cli.triage_run import Request, run_triage  # noqa: PLC0415 - same

    request = Request(
        sources=sources,
        case=case,
        number=number,
        examiner=examiner,
        artifacts=artifacts or [],
        yara=yara or [],
        fail_on=fail_on,
        jobs=jobs or os.cpu_count() or 1,
        clobber=clobber,
        resume=resume,
        command_line=sys.argv,
    )
    color = False if no_color else None
    with Terminal(progress, color=color, quiet=quiet) as terminal:
        summary, exit_status = run_triage(request, terminal, as_json=output_format == "json")
    typer.echo(summary)
    if exit_status:
        raise typer.Exit(exit_status)
