"""Account databases: passwd(5), shadow(5), group(5), read line by line as glibc's ``files`` service reads them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from volforensic.collection.content import Content, lines
from volforensic.collection.parsers.plain_text import decimal, unparsed
from volforensic.record import Row, text, text_fields

_NUMBER = re.compile(rb"[ \t\v\f\r]{0,16}([+-]?)([0-9]{1,19})")
_LARGEST_ID = 2**32 - 1
_LAST_DAY = 2_932_896  # 9999-12-31 as days since 1970
_MEMBERS_LIMIT = 10_000
_TRADITIONAL_HASH = re.compile(rb"[./0-9A-Za-z]{13}")
_HASH_TYPES = (
    (b"$y$", "yescrypt"),
    (b"$gy$", "gost-yescrypt"),
    (b"$7$", "scrypt"),
    (b"$6$", "sha512crypt"),
    (b"$5$", "sha256crypt"),
    (b"$2", "bcrypt"),
    (b"$1$", "md5crypt"),
    (b"$md5", "sunmd5"),
    (b"$sha1", "sha1crypt"),
    (b"$3$", "nt"),
    (b"_", "bsdi"),
)


def passwd(content: Content) -> Iterator[Row]:
    """Yield the accounts of /etc/passwd. A trailing blank stays: ``nologin `` is another file than ``nologin``."""
    for position, line in _entries(content):
        fields = line.split(b":", 6)
        uid, gid = (_number(field) for field in (fields[2:4] if len(fields) > 3 else (b"", b"")))
        if fields[0][:1] in {b"+", b"-"}:  # NIS: the numbers may be empty
            yield {"position": position, **text_fields("user", fields[0]), **_known(uid=uid, gid=gid)}
        elif uid is None or gid is None or not fields[0]:
            yield unparsed(position, line)
        else:
            names = zip(("comment", "home", "shell"), fields[4:], strict=False)
            row: Row = {"position": position, **text_fields("user", fields[0]), "uid": uid, "gid": gid}
            for name, value in names:
                row |= text_fields(name, value)
            yield row | {"password_state": "shadowed" if fields[1] == b"x" else _password_state(fields[1])}


def shadow(content: Content) -> Iterator[Row]:
    """Yield the passwords' state of /etc/shadow, never a hash; the timestamp is the day of the last change."""
    for position, line in _entries(content):
        fields = line.split(b":")
        if len(fields) < 2 or not fields[0]:
            yield unparsed(position, line)
            continue
        row: Row = {"position": position}
        days = decimal(fields[2], _LAST_DAY) if len(fields) > 2 else None
        if days:  # 0 asks for a new password at the next login
            row |= {"timestamp": days * 86_400_000_000, "timestamp_desc": "Password changed"}
            row["last_changed"] = f"{datetime.fromtimestamp(days * 86_400, UTC):%Y-%m-%d}"
        row |= {**text_fields("user", fields[0]), "password_state": _password_state(fields[1])}
        hash_type = _hash_type(fields[1].lstrip(b"!*"))
        yield row | {"hash_type": hash_type} if hash_type else row


def group(content: Content) -> Iterator[Row]:
    """Yield the groups of /etc/group and their members."""
    for position, line in _entries(content):
        fields = line.split(b":", 3)
        gid = _number(fields[2]) if len(fields) > 2 else None
        nis = fields[0][:1] in {b"+", b"-"}
        members = (
            [text(name) for name in fields[3].strip().split(b",", _MEMBERS_LIMIT) if name] if len(fields) > 3 else []
        )
        if (gid is None and not nis) or not fields[0]:
            yield unparsed(position, line)
        else:
            yield {"position": position, **text_fields("group", fields[0]), **_known(gid=gid), "members": members}


def _entries(content: Content) -> Iterator[tuple[int, bytes]]:
    for position, line in lines(content.blocks()):
        stripped = line.lstrip(b" \t")
        if stripped and not stripped.startswith(b"#"):
            yield position + len(line) - len(stripped), stripped


def _number(field: bytes) -> int | None:
    """Return an id as strtoul(3) reads it (blanks and a sign before it), None where it exceeds 32 bits."""
    match = _NUMBER.fullmatch(field)
    number = int(match[2]) if match else _LARGEST_ID + 1
    if match is None or number > _LARGEST_ID:
        return None
    return -number if match[1] == b"-" else number


def _known(**numbers: int | None) -> Row:
    return {name: number for name, number in numbers.items() if number is not None}


def _password_state(field: bytes) -> str:
    if not field:
        return "empty"
    return "hashed" if _hash_type(field) else "locked"


def _hash_type(field: bytes) -> str:
    """Return which of crypt(5)'s methods made the hash; empty for what no password can match."""
    for prefix, name in _HASH_TYPES:
        if field.startswith(prefix) and len(field) > len(prefix):
            return name
    if field.startswith(b"$") and field.count(b"$") > 2:
        return "unknown"
    return "des" if _TRADITIONAL_HASH.fullmatch(field) else ""
