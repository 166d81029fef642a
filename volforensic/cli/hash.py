"""The verb ``hash``."""

import os
import sys
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

_INTERRUPTED = "interrupted: nothing was written. Run the same command again"
ListingFormat = Literal["table", "json", "jsonl", "csv", "sha256sum", "bodyfile", "dfxml"]


def hash_files(  # noqa: PLR0913, PLR0917 - one parameter an option of the command line
    source: Annotated[Path, typer.Argument(metavar="SOURCE", readable=False, help="A disk image or block device.")],
    hashes: HashNames = "",
    output_format: Annotated[ListingFormat, typer.Option("--format", "-f", help="How to print the files.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to standard output.")
    ] = None,
    yara: Yara = None,
    no_yara: Annotated[bool, typer.Option("--no-yara", help="Hashes and types alone.")] = False,  # noqa: FBT002 - typer's way to a flag
    known_good: KnownGood = None,
    known_bad: KnownBad = None,
    files_only: Annotated[bool, typer.Option("--files-only", help="Do not hash the image itself.")] = False,  # noqa: FBT002 - same
    parents: Parents = None,
    passphrase_files: PassphraseFiles = None,
    key_files: KeyFiles = None,
    kernel_view: KernelView = False,  # noqa: FBT002 - same
    as_raw: AsRaw = False,  # noqa: FBT002 - same
    jobs: Jobs = 0,
    progress: Progress = "auto",
    no_color: NoColor = False,  # noqa: FBT002 - same
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only losses and the result.")] = False,  # noqa: FBT002 - same
    clobber: Annotated[bool, typer.Option("--clobber", help="Replace the file of --output.")] = False,  # noqa: FBT002 - same
) -> None:
    """Hash an image and every file in it, with types and YARA matches, reading each block once.

    The files are those of the inventory, deleted names too (without hashes). sha256sum: for `sha256sum -c` at the root
    of a mount. bodyfile: for `mactime`. dfxml: with the byte runs of each file. Progress, the image's own hash and what
    could not be read go to standard error.

    Ends with 0 when everything was read, 3 when something was not, 4 when the source changed, 7 when no filesystem
    could be read.

    Example: volforensic hash disk.raw -f sha256sum -o files.sha256
    """
    from volforensic.cli.hash_run import HashRequest, run_hash  # noqa: PLC0415 - heavy rooms are loaded by the verb that uses them
    from volforensic.cli.opening import image_options  # noqa: PLC0415 - same
    from volforensic.cli.terminal import Terminal  # noqa: PLC0415 - same

    request = HashRequest(
        source=source,
        image=image_options(parents, passphrase_files, key_files, kernel_view=kernel_view, as_raw=as_raw),
        hashes=algorithms(hashes),
        output_format=output_format,
        output=output,
        yara=yara or [],
        without_yara=no_yara,
        known_good=known_good or [],
        known_bad=known_bad or [],
        with_image=not files_only,
        jobs=jobs or len(os.sched_getaffinity(0)),
        clobber=clobber,
        command_line=[as_text(argument) for argument in sys.argv],
    )
    with Terminal(progress, color=False if no_color else None, quiet=quiet) as terminal:
        exit_status = run_guarded(terminal, lambda: ([], run_hash(request, terminal)), _INTERRUPTED)
    if exit_status:
        raise typer.Exit(exit_status)
