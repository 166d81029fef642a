"""Extended headers of pax: records of ``length keyword=value``, and what their values mean.

Sources: POSIX.1-2017, pax (extended header); GNU tar's manual, "Storing Sparse Files" and "Extended attributes";
star(5) (SCHILY.*), libarchive's tar(5) (LIBARCHIVE.*). ``volforensic.*`` is what our copy of a tree keeps.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from volforensic.evidence.attributes import (
    ACCESS_LIST,
    ASKED,
    EXT_FLAGS,
    Attribute,
    Extended,
    attribute_names,
    extended,
)
from volforensic.evidence.tar_header import TarError

LARGEST_PAX = 4 << 20
_DECIMAL = re.compile(rb"(-?)(\d{1,19})(?:\.(\d*))?\Z")
_WHOLE = re.compile(rb"\d{1,19}\Z")
_SECOND = 1_000_000_000
_ACCESS_TEXT = (b"SCHILY.acl.access",)
_ATTRIBUTES, _ENCODED_ATTRIBUTES = b"SCHILY.xattr.", b"LIBARCHIVE.xattr."

Records = dict[bytes, bytes]


def pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keyword and value of each record in order; TarError where the rest cannot be told apart."""
    place = 0
    while place < len(body):
        blank = body.find(b" ", place, place + 20)
        digits = body[place:blank] if blank > 0 else b""
        if not _WHOLE.match(digits):
            raise TarError(f"byte {place} of the extended header: no record begins there")
        end = place + int(digits)
        keyword, equals, value = body[blank + 1 : end - 1].partition(b"=")
        if end <= blank or end > len(body) or not equals or body[end - 1] != 10:
            raise TarError(f"byte {place} of the extended header: a record that is damaged")
        yield keyword, value
        place = end


def whole(records: Records, keyword: bytes, problems: list[str]) -> int | None:
    """Return a value that is a whole number; None where there is none, or it is none (which is a problem)."""
    value = records.get(keyword)
    if value is None:
        return None
    if _WHOLE.match(value) and int(value) < 1 << 63:
        return int(value)
    problems.append(f"{keyword.decode('ascii', 'replace')} of its extended header is no number")
    return None


def nanoseconds(records: Records, keyword: bytes, problems: list[str]) -> int | None:
    """Return a time as nanoseconds since 1970; None as in ``whole``."""
    value = records.get(keyword)
    if not value:
        return None
    found = _DECIMAL.match(value)
    if found is None:
        problems.append(f"{keyword.decode('ascii', 'replace')} of its extended header is no time")
        return None
    sign, seconds, fraction = found.groups()
    total = int(seconds) * _SECOND + int((fraction or b"").ljust(9, b"0")[:9])
    return -total if sign else total


def extended_attributes(records: Records, problems: list[str]) -> Extended:
    """Return what the extended attributes say that an inode's node has room for."""
    names: dict[bytes, bytes | None] = {}
    for keyword, value in records.items():
        if keyword.startswith(_ATTRIBUTES):
            names[keyword[len(_ATTRIBUTES) :]] = value
        elif keyword.startswith(_ENCODED_ATTRIBUTES):
            name = unquote_to_bytes(keyword[len(_ENCODED_ATTRIBUTES) :])
            try:
                decoded = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
            except binascii.Error:
                problems.append(f"its attribute {name[:64]!r} is damaged")
            else:
                names.setdefault(name, decoded)
    if any(_is_more_than_mode(records[keyword]) for keyword in _ACCESS_TEXT if keyword in records):
        names[ACCESS_LIST] = None
    found = extended({name: names[name] for name in ASKED if name in names}, [])
    problems += found.problems
    return found


def _is_more_than_mode(access_list: bytes) -> bool:
    """Return whether an access control list names somebody: one without says no more than the mode."""
    entries = re.split(rb"[,\n]", access_list)
    return any(entry.split(b":")[1:2] not in ([], [b""]) or entry.startswith(b"mask") for entry in entries)


def flags_of(records: Records, more: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """Return the names of the flags that our copy of a tree keeps (FS_IOC_GETFLAGS, ioctl_iflags(2)), and ``more``."""
    value = records.get(b"volforensic.flags", b"")
    flags = int(value) if _WHOLE.match(value) else 0
    return attribute_names(flags, EXT_FLAGS, more)
