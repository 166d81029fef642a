"""The verb ``triage``."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from volforensic.cli.guarded import run_guarded
from volforensic.cli.options import (
    AsRaw,
    HashNames,
    Jobs,
    KernelView,
    KeyFiles,
    KnownBad,
    KnownGood,
    NoColor,
    Parents,
    PassphraseFiles,
    Progress,
    Yara,
    algorithms,
)
from volforensic.cli.standard_output import as_text

Level = Literal["critical", "high", "medium", "low", "info"]
Sources = Annotated[list[Path], typer.Argument(metavar="SOURCE", readable=False, help="Disk images or block devices.")]
ArtifactFolders = Annotated[
    list[Path] | None, typer.Option("--artifacts", metavar="DIR", help="Further artifact definitions.")
]
AsHost = Annotated[bool, typer.Option("--as-host", help="The sources are the disks of one host.")]
Profile = Literal["quick", "standard", "full"]
_PROFILES = "quick: only files that look worth it are hashed. full: a second reader too, and free space is carved."
INTERRUPTED = "interrupted: what was finished is kept. Run the same command with --resume to go on"


def triage_sources(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    sources: Sources,
    case: Annotated[Path, typer.Option("--case", "-c", metavar="DIR", help="The case folder; made where it is not.")],
    number: Annotated[str, typer.Option("--number", help="The case's number in your own register.")] = "",
    examiner: Annotated[str, typer.Option("--examiner", help="Who examines; the login name where not given.")] = "",
    artifacts: ArtifactFolders = None,
    yara: Yara = None,
    profile: Annotated[Profile, typer.Option("--profile", help=_PROFILES)] = "standard",
    hashes: HashNames = "",
    known_good: KnownGood = None,
    known_bad: KnownBad = None,
    fail_on: Annotated[Level | None, typer.Option("--fail-on", help="End with 10 at findings this severe.")] = None,
    as_host: AsHost = False,  # noqa: FBT002 - typer's way to a flag
    parents: Parents = None,
    passphrase_files: PassphraseFiles = None,
    key_files: KeyFiles = None,
    kernel_view: KernelView = False,  # noqa: FBT002 - same
    as_raw: AsRaw = False,  # noqa: FBT002 - same
    jobs: Jobs = 0,
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="How to print.")] = "table",
    progress: Progress = "auto",
    no_color: NoColor = False,  # noqa: FBT002 - typer's way to a flag
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only findings, losses and the summary.")] = False,  # noqa: FBT002 - same
    clobber: Annotated[bool, typer.Option("--clobber", help="Replace what the case has of this source.")] = False,  # noqa: FBT002 - same
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,  # noqa: FBT002 - same
) -> None:
    """Everything, from the source to the report: hashes, inventory, artifacts, files, findings.

    The source is opened read-only and hashed before and after. Results go to the case folder, a summary to standard
    output. Ends with 0 when everything was read, 3 when something was not, 4 when the evidence changed, 7 when no
    filesystem could be read.

    Example: volforensic triage disk.raw --case case-17
    """
    from volforensic.cli.opening import image_options  # noqa: PLC0415 - same
    from volforensic.cli.terminal import Terminal  # noqa: PLC0415 - heavy rooms are loaded by the verb that uses them
    from volforensic.cli.triage_run import Request, run_triage  # noqa: PLC0415 - same

    request = Request(
        sources=sources,
        as_host=as_host,
        image=image_options(parents, passphrase_files, key_files, kernel_view=kernel_view, as_raw=as_raw),
        case=case,
        number=as_text(number),
        examiner=as_text(examiner),
        artifacts=artifacts or [],
        yara=yara or [],
        profile=profile,
        hashes=algorithms(hashes),
        known_good=known_good or [],
        known_bad=known_bad or [],
        fail_on=fail_on,
        jobs=jobs or len(os.sched_getaffinity(0)),
        clobber=clobber,
        resume=resume,
        command_line=[as_text(argument) for argument in sys.argv],
    )
    with Terminal(progress, color=False if no_color else None, quiet=quiet) as terminal:
        work = partial(run_triage, request, terminal, as_json=output_format == "json")
        exit_status = run_guarded(terminal, work, INTERRUPTED)
    if exit_status:
        raise typer.Exit(exit_status)
