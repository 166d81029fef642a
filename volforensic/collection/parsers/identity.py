r"""Who the imaged host is: os-release(5), hostname(5), fstab(5), the zone of /etc/localtime, homes of passwd(5).

Functions from bytes to values, with every value bounded: one bad byte costs itself, a value of a megabyte is cut.
"""

import posixpath
import re

import msgspec

from volforensic.record import text

VALUE_LIMIT = 253
"""Characters kept of a value: the length of the longest host name in the DNS."""

_ASSIGNMENT = re.compile(rb"[ \t]*([A-Z][A-Z0-9_]{0,63})=(.*)")
_SHELL_ESCAPE = re.compile(rb"\\([\"'$`\\])")
_OCTAL_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")
_ZONE = re.compile(rb"[A-Za-z0-9_+-]{1,64}(?:/[A-Za-z0-9_+-]{1,64}){0,3}")
_LINES_LIMIT = 10_000
_HOMES_LIMIT = 100_000
_NO_HOMES = (b"/", b"/nonexistent", b"/dev/null")


class FstabEntry(msgspec.Struct, frozen=True):
    """One line of fstab(5), or a systemd mount unit: what is mounted where.

    ``unit`` is the unit's path, empty for a line of fstab. A unit that nothing enables is not mounted at boot.
    """

    device: bytes
    mount_point: bytes
    type: str
    options: str
    unit: bytes = b""
    is_enabled: bool = True


def os_release(data: bytes) -> dict[str, str]:
    """Return the variables of an os-release file; the last assignment wins, as in a shell."""
    release: dict[str, str] = {}
    for line in _lines(data):
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            release[match[1].decode("ascii")] = _bounded(_unquoted(match[2]))
    return release


def hostname(data: bytes) -> str:
    """Return the host's name: the first line that is neither empty nor a comment."""
    for line in _lines(data):
        name = line.strip(b" \t\0")
        if name and not name.startswith(b"#"):
            return _bounded(name)
    return ""


def fstab(data: bytes) -> list[FstabEntry]:
    r"""Return the entries of fstab in order, ``\\040`` and its like undone; a line that is no entry is left out."""
    entries = []
    for line in _lines(data):
        fields = line.split(None, 4)
        if len(fields) < 3 or fields[0].startswith(b"#"):
            continue
        device, mount_point = (_OCTAL_ESCAPE.sub(_octal_byte, field) for field in fields[:2])
        if len(device) > 4096 or len(mount_point) > 4096:
            continue
        options = fields[3] if len(fields) > 3 else b"defaults"
        entries.append(FstabEntry(device, mount_point, _bounded(fields[2]), _bounded(options)))
    return entries


def zone_name(link_target: bytes) -> str:
    """Return the zone's name (``Europe/Zurich``) out of the target of /etc/localtime; empty where it names none."""
    before, separator, name = link_target.rpartition(b"/zoneinfo/")
    if not separator and link_target.startswith(b"zoneinfo/"):
        name = link_target.removeprefix(b"zoneinfo/")
    elif not separator:
        return ""
    for variant in (b"posix/", b"right/"):
        name = name.removeprefix(variant)
    return name.decode("ascii") if _ZONE.fullmatch(name) and b"\0" not in before else ""


def homes(data: bytes) -> dict[bytes, str]:
    """Return home directory → user of a passwd file: absolute, normalised, the first user of a directory wins."""
    found: dict[bytes, str] = {}
    for line in data.split(b"\n"):
        fields = line.removesuffix(b"\r").split(b":")
        if len(fields) < 6 or not fields[0] or not fields[5].startswith(b"/") or len(fields[5]) > 4096:
            continue
        home = b"/" + posixpath.normpath(fields[5]).lstrip(b"/")
        if home not in _NO_HOMES and b"\0" not in home:
            found.setdefault(home, _bounded(fields[0]))
        if len(found) == _HOMES_LIMIT:
            break
    return found


def _lines(data: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in data.split(b"\n", _LINES_LIMIT)[:_LINES_LIMIT]]


def _unquoted(value: bytes) -> bytes:
    value = value.strip(b" \t")
    if len(value) > 1 and value[:1] == value[-1:] == b"'":
        return value[1:-1]
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        value = value[1:-1]
    return _SHELL_ESCAPE.sub(lambda match: match[1], value)


def _octal_byte(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def _bounded(value: bytes) -> str:
    return text(value[: 4 * VALUE_LIMIT])[:VALUE_LIMIT]
