"""Alpine's database of installed packages: text, one letter and a value a line (apk-tools, src/database.c).

``P:`` name, ``V:`` version, ``F:`` a directory, ``R:`` a file in it, ``a:`` the file's ``uid:gid:mode`` (0:0:644 where
it is not written), ``Z:`` its checksum: ``Q1`` and SHA-1 in base64, ``Q2`` and SHA-256; of a symbolic link it is the
checksum of its target. What lies under /etc is protected: an administrator's change is kept.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from volforensic.inventory.packages.claims import (
    CONFIG,
    DIGEST_SIZES,
    Claim,
    Claims,
    Lost,
    normal_path,
    package_name,
)

_ALGORITHMS = {b"Q1": "sha1", b"Q2": "sha256"}
_OWNER = re.compile(rb"(\d{1,10}):(\d{1,10}):([0-7]{1,5})")
_DEFAULT_OWNER = (0, 0, 0o644)


def installed(data: bytes) -> Iterator[Claims | Lost]:
    """Yield the claims of every package of the database, and what is lost."""
    if data and not data.endswith(b"\n\n"):
        yield Lost("the database of apk ends within a package", offset=len(data))
    nameless = 0
    for paragraph in data.split(b"\n\n"):
        if not paragraph.strip():
            continue
        package = _package(paragraph)
        if package is None:
            nameless += 1
        else:
            yield package
    if nameless:
        yield Lost(f"{nameless} packages of the database of apk have no name")


def _package(paragraph: bytes) -> Claims | None:
    name = version = b""
    claims: list[Claim] = []
    folder = file = b""
    owner: tuple[int, int, int] = _DEFAULT_OWNER
    checksum = b""
    lines = [*paragraph.split(b"\n"), b"R:"]  # one more, so that the last file is ended like the others
    for line in lines:
        key, value = line[:2], line[2:]
        if key in (b"F:", b"R:"):
            if file:
                claims += _claim(folder + b"/" + file, owner, checksum)
            file, owner, checksum = b"", _DEFAULT_OWNER, b""
            if key == b"F:":
                folder = b"/" + value if value else b""
            else:
                file = value
        elif key == b"a:":
            owner = _owner(value)
        elif key == b"Z:":
            checksum = value
        elif key == b"P:":
            name = value
        elif key == b"V:":
            version = value
    package = package_name(name, version, "apk")
    return Claims(package, claims) if package.name else None


def _claim(path: bytes, owner: tuple[int, int, int], checksum: bytes) -> Iterator[Claim]:
    normal = normal_path(path)
    if normal is None:
        return
    uid, gid, mode = owner
    algorithm = _ALGORITHMS.get(checksum[:2], "")
    digest = _digest(checksum[2:], algorithm)
    yield Claim(
        normal,
        algorithm=algorithm if digest else "",
        digest=digest,
        flags=CONFIG if normal.startswith(b"/etc/") else 0,
        mode=mode,
        uid=uid,
        gid=gid,
        hashes_target=True,
    )


def _digest(value: bytes, algorithm: str) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return digest if len(digest) == DIGEST_SIZES.get(algorithm) else b""


def _owner(value: bytes) -> tuple[int, int, int]:
    match = _OWNER.match(value)
    if match is None:
        return _DEFAULT_OWNER
    uid, gid, mode = match.groups()
    return int(uid), int(gid), int(mode, 8) & 0o7777
