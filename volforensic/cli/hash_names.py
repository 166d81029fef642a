"""The option ``--hash``: algorithms by name."""

from volforensic.cli.standard_output import as_text
from volforensic.errors import UsageError
from volforensic.evidence.digests import OPTIONAL_ALGORITHMS

HASHES_HELP = f"Hashes beside SHA-256, with commas between: {', '.join(OPTIONAL_ALGORITHMS)}."


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
