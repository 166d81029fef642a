"""The option ``--hash``: algorithms by name, and sets of known files."""

import typer

from volforensic.cli.standard_output import as_text
from volforensic.errors import UsageError
from volforensic.evidence.digests import OPTIONAL_ALGORITHMS

HASHES_HELP = f"Hashes beside SHA-256, with commas between: {', '.join(OPTIONAL_ALGORITHMS)}."


KNOWN_GOOD = typer.Option("--known-good", metavar="FILE", help="Hashes of files that are good: a list, or NSRL's RDS.")
KNOWN_BAD = typer.Option("--known-bad", metavar="FILE", help="Hashes of files that are bad: each a critical finding.")


def algorithms(named: str) -> tuple[str, ...]:
    """Return the algorithms that an option names, in the order in which they are told; sha256 is there anyway.

    Raises:
        UsageError: One of them is not known.
    """
    names = [name.strip().lower() for name in named.split(",") if name.strip()]
    for name in names:
        if name not in {*OPTIONAL_ALGORITHMS, "sha256"}:
            known = ", ".join(OPTIONAL_ALGORITHMS)
            raise UsageError("--hash", f"{as_text(name)!r} is no algorithm that is known here", f"Choose from {known}")
    return tuple(name for name in OPTIONAL_ALGORITHMS if name in names)
