"""What a package database says of a path: a claim. Parsers make claims out of bytes; nothing here opens anything."""

import posixpath
from typing import NamedTuple

import msgspec

WEAK_MANAGERS = frozenset({"pip"})
"""Managers whose metadata anybody who writes the files writes as well: a proof by one of them excuses nothing."""

DIGEST_SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
"""The digests that the pass can be asked for, with their sizes in bytes."""

CONFIG = 1
"""The file is configuration: an administrator may change it."""
GHOST = 2
"""The package owns the path and did not ship the content: it need not be there."""
OPTIONAL = 4
"""The file may be absent (a removed package's configuration, an obsolete file, an alternative's link)."""
NO_DIGEST_CHECK = 8
"""The package itself says that the content changes in use (rpm's ``%verify(not filedigest)``)."""
DOCUMENTATION = 16
"""The package says that it is documentation."""

FILE, DIRECTORY, SYMLINK, SPECIAL = "file", "directory", "symlink", "special"
LONGEST_PATH = 4096 * 4
LONGEST_NAME = 400
"""Characters of a package's name, and of its version."""
MOST_LINK_TARGETS = 1000


class PackageName(msgspec.Struct, frozen=True, array_like=True):
    """Which package: its name, its version (empty where the database does not say) and who manages it."""

    name: str
    version: str
    manager: str


def package_name(name: bytes, version: bytes, manager: str) -> PackageName:
    """Return a package's name and version as text, cut to ``LONGEST_NAME`` characters each."""
    texts = [value.strip().decode("utf-8", "replace")[:LONGEST_NAME] for value in (name, version)]
    return PackageName(texts[0], texts[1], manager)


class Claim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a database says of one path of the host; what it does not say is empty, or -1.

    ``kind`` is file, directory, symlink, special or empty. ``digest`` is of the content, or, where ``hashes_target``,
    of a symbolic link's target too. ``mode`` are the permission bits. ``targets`` are what a link may point to.
    ``capabilities`` is text as rpm stores it; None where the database does not know of capabilities. ``excluded`` is
    the rule of the host's configuration by which the file was not unpacked.
    """

    path: bytes
    kind: str = ""
    algorithm: str = ""
    digest: bytes = b""
    flags: int = 0
    mode: int = -1
    size: int = -1
    uid: int = -1
    gid: int = -1
    targets: tuple[bytes, ...] = ()
    capabilities: str | None = None
    hashes_target: bool = False
    excluded: str = ""


class Lost(NamedTuple):
    """What of a database could not be read: a sentence, the file it is about, a byte range of that file.

    ``hides`` tells whether claims may be missing because of it: then nobody can say of a file that it is unowned.
    """

    reason: str
    path: bytes = b""
    hides: bool = True
    offset: int | None = None
    length: int | None = None


class Claims(NamedTuple):
    """The claims of one package."""

    package: PackageName
    claims: list[Claim]


def normal_path(path: bytes) -> bytes | None:
    """Return an absolute path without ``.``, ``..`` and doubled slashes; None where it is none, or holds a NUL."""
    if not path or len(path) > LONGEST_PATH or b"\0" in path:
        return None
    if b"//" in path or b"/." in path or not path.startswith(b"/") or path.endswith(b"/"):
        path = posixpath.normpath(b"/" + path.lstrip(b"/"))
    return path


def hex_digest(value: bytes, algorithm: str) -> bytes:
    """Return a hexadecimal digest's bytes; empty where it is none of the algorithm's length."""
    if len(value) != 2 * DIGEST_SIZES.get(algorithm, 0):
        return b""
    try:
        return bytes.fromhex(value.decode("ascii"))
    except ValueError:
        return b""
