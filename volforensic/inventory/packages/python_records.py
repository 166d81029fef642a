"""Metadata of installed Python packages: RECORD with its digests, installed-files.txt without.

RECORD is CSV: path, ``algorithm=digest`` in URL-safe base64 without padding, size
(https://packaging.python.org/en/latest/specifications/recording-installed-packages/). Paths are relative to the
directory that holds the ``.dist-info``. Only what lies inside the installation's own prefix is believed: a RECORD is
written by whoever installs, also by users that are nobody, and must not vouch for the rest of the host.

npm's node_modules hold no digests: a package.json claims a directory and not one file of it, so whatever was dropped
beside it would be "claimed". Files of npm stay unowned.
"""

import base64
import binascii
import csv
import io
import re
from collections.abc import Iterator

from volforensic.inventory.packages.claims import (
    DIGEST_SIZES,
    FILE,
    OPTIONAL,
    Claim,
    Claims,
    Lost,
    normal_path,
    package_name,
)

_FOLDER = re.compile(rb"(.*/(?:site|dist)-packages)/([^/]+)\.(dist|egg)-info/[^/]+", re.DOTALL)
_LIBRARY = re.compile(rb"(.*)/(?:lib|lib64|local/lib)/(?:python|pypy)[0-9.]*/(?:site|dist)-packages", re.DOTALL)


def is_record(path: bytes) -> bool:
    """Return whether a path is that of a package's metadata in a folder for installed packages."""
    return _FOLDER.fullmatch(path) is not None


def record_claims(path: bytes, data: bytes) -> Iterator[Claims | Lost]:
    """Yield the claims of a RECORD or an installed-files.txt; ``path`` is its path on the host."""
    match = _FOLDER.fullmatch(path)
    if match is None:
        return
    site, stem, kind = match.groups()
    library = _LIBRARY.fullmatch(site)
    prefix = library[1] if library is not None else site
    name, _, version = stem.partition(b"-")
    package = package_name(name, version.partition(b"-py")[0], "pip")
    try:
        if kind == b"dist":
            yield Claims(package, list(_recorded(site, prefix, data)))
        else:
            yield Claims(package, list(_installed(path.rpartition(b"/")[0], prefix, data)))
    except csv.Error as error:
        yield Lost(f"RECORD is no CSV: {error}", path, hides=False)


def _recorded(site: bytes, prefix: bytes, data: bytes) -> Iterator[Claim]:
    for row in csv.reader(io.StringIO(data.decode("latin-1"), newline="")):
        path = _inside(site, row[0].encode("latin-1"), prefix) if row else None
        if path is None:
            continue
        algorithm, _, value = row[1].partition("=") if len(row) > 1 else ("", "", "")
        digest = _digest(value, algorithm)
        if digest:
            yield Claim(path, FILE, algorithm, digest)
        else:
            yield Claim(path, flags=OPTIONAL)


def _installed(folder: bytes, prefix: bytes, data: bytes) -> Iterator[Claim]:
    for line in data.split(b"\n"):
        path = _inside(folder, line.strip(), prefix)
        if path is not None:
            yield Claim(path, flags=OPTIONAL)


def _inside(folder: bytes, path: bytes, prefix: bytes) -> bytes | None:
    if not path:
        return None
    normal = normal_path(path if path.startswith(b"/") else folder + b"/" + path)
    return normal if normal is not None and normal.startswith(prefix + b"/") else None


def _digest(value: str, algorithm: str) -> bytes:
    try:
        digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return b""
    return digest if len(digest) == DIGEST_SIZES.get(algorithm) else b""
