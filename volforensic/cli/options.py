"""Options that mean the same on every verb."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from volforensic.cli.standard_output import as_text
from volforensic.errors import UsageError
from volforensic.evidence.digests import OPTIONAL_ALGORITHMS

ProgressMode = Literal["auto", "plain", "json", "none"]

Yara = Annotated[list[Path] | None, typer.Option("--yara", metavar="PATH", help="Further YARA rules.")]
HashNames = Annotated[
    str,
    typer.Option(
        "--hash", metavar="NAMES", help=f"Hashes beside SHA-256, with commas between: {', '.join(OPTIONAL_ALGORITHMS)}."
    ),
]
KnownGood = Annotated[
    list[Path] | None,
    typer.Option("--known-good", metavar="FILE", help="Hashes of files that are good: a list, or NSRL's RDS."),
]
KnownBad = Annotated[
    list[Path] | None,
    typer.Option("--known-bad", metavar="FILE", help="Hashes of files that are bad: each a critical finding."),
]
Parents = Annotated[
    list[Path] | None,
    typer.Option("--parent", metavar="FILE", help="The disk that a differencing image stands on, if not beside it."),
]
PassphraseFiles = Annotated[
    list[Path] | None,
    typer.Option("--passphrase-file", metavar="FILE", help="A passphrase for encrypted volumes: its first line."),
]
KeyFiles = Annotated[
    list[Path] | None,
    typer.Option("--key-file", metavar="FILE", help="A key file for encrypted volumes: every byte of it."),
]
KernelView = Annotated[
    bool, typer.Option("--kernel-view", help="Let the kernel read filesystems that no reader knows (root).")
]
AsRaw = Annotated[bool, typer.Option("--raw", help="Read the file byte for byte, whatever container it looks like.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, max=256, help="Workers at once; 0: one a core.")]
Progress = Annotated[ProgressMode, typer.Option("--progress", help="How to tell what runs.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.")]


def algorithms(named: str) -> tuple[str, ...]:
    """Return the algorithms that ``--hash`` names, in the order in which they are told; sha256 is there anyway.

    Raises:
        UsageError: One of them is not known.
    """
    names = [name.strip().lower() for name in named.split(",") if name.strip()]
    for name in names:
        if name not in {*OPTIONAL_ALGORITHMS, "sha256"}:
            known = ", ".join(OPTIONAL_ALGORITHMS)
            raise UsageError("--hash", f"{as_text(name)!r} is no algorithm that is known here", f"Choose from {known}")
    return tuple(name for name in OPTIONAL_ALGORITHMS if name in names)
