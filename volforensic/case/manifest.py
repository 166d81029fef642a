"""The manifest: the SHA-256 of every file of the case, in the format that ``sha256sum -c`` reads.

The manifest and the custody log bind each other. Before the manifest is written, the custody log gets a "case closed"
entry with the digest over the manifest's lines for all files but the log; then the manifest gets the digest of the log.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from volforensic.case.custody import CUSTODY_NAME, CustodyLog
from volforensic.case.files import open_regular, write_file
from volforensic.errors import IntegrityError

MANIFEST_NAME = "MANIFEST.sha256"
CASE_CLOSED = "case closed"

_LINE = re.compile(rb"([0-9a-f]{64})  ([a-z0-9_][a-z0-9._/-]{0,299})\n")
_LONGEST_LINE = 400
_LARGEST = 1 << 28


def manifest_lines(digests: Mapping[str, str]) -> bytes:
    """Return the lines for these files, sorted by path (by bytes).

    GNU ``sha256sum`` escapes backslashes and line ends in names; a file of a case never has any
    (``files.checked_name``), so no name needs it.
    """
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("ascii")


def lines_digest(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over the manifest's lines for these files, the custody log left out."""
    return hashlib.sha256(manifest_lines({k: v for k, v in digests.items() if k != CUSTODY_NAME})).hexdigest()


def read_manifest(root: Path) -> dict[str, str] | None:
    """Return path and SHA-256 of every file that the manifest names; None where there is no manifest.

    Raises:
        IntegrityError: It is not exactly what ``manifest_lines`` writes.
        OSError: It cannot be read.
    """
    try:
        file = open_regular(root, MANIFEST_NAME)
    except FileNotFoundError:
        return None
    digests: dict[str, str] = {}
    last = b""
    size = 0
    with file:
        while line := file.readline(_LONGEST_LINE):
            match = _LINE.fullmatch(line)
            size += len(line)
            if match is None or match[2] <= last or size > _LARGEST:
                raise IntegrityError(
                    str(root / MANIFEST_NAME), f"line {len(digests) + 1} is none that was written here"
                )
            last = match[2]
            digests[last.decode("ascii")] = match[1].decode("ascii")
    return digests


def write_manifest(root: Path, digests: Mapping[str, str], largest: int, custody: CustodyLog) -> None:
    """Log that the case is closed over these files, then write the manifest over them and the log.

    ``digests`` has every file but the log and the manifest; ``largest`` is the size in bytes of the largest of them,
    so that a verifier need not read a file that was blown up.
    """
    custody.append(CASE_CLOSED, {"files": len(digests), "digest": lines_digest(digests), "largest": largest})
    lines = manifest_lines({**digests, CUSTODY_NAME: custody.digest})
    write_file(root / MANIFEST_NAME, lines, clobber=True)
