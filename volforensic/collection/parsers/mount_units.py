r"""systemd's mount units and crypttab. Sources: systemd.mount(5), systemd.unit(5), systemd.syntax(7), crypttab(5).

Functions from bytes to values; every value is bounded.
"""

import posixpath
import re
from collections.abc import Sequence

from volforensic.collection.parsers.identity import VALUE_LIMIT, FstabEntry
from volforensic.record import text

_SECTION = re.compile(rb"[ \t]*\[([A-Za-z-]{1,64})\][ \t]*")
_SETTING = re.compile(rb"[ \t]*([A-Za-z]{1,64})[ \t]*=[ \t]*(.*?)[ \t]*", re.DOTALL)
_CONTINUED = re.compile(rb"\\\n(?:[ \t]*[#;][^\n]*\n)*")
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_LONGEST = 4096
_MOST_LINES = 10_000
_MOST_MAPPINGS = 1000


def unit_path(name: bytes) -> bytes:
    r"""Return the mount point that a unit's name stands for: ``srv-my\\x2ddata.mount`` is /srv/my-data."""
    stem = name.rpartition(b".")[0]
    path = stem.replace(b"-", b"/")
    return b"/" + _ESCAPE.sub(lambda each: bytes([int(each[1], 16)]), path).strip(b"/")


def mount_unit(name: bytes, files: Sequence[bytes]) -> FstabEntry | None:
    """Return what a mount unit mounts where; None where it mounts nothing.

    ``files`` are the unit and its drop-ins in their order: of each setting the last counts. A unit whose ``Where=`` is
    not what its name says is refused by systemd.
    """
    settings: dict[bytes, bytes] = {}
    for data in files:
        settings.update(_settings(data))
    place = unit_path(name)
    where, what = settings.get(b"where", b"") or place, settings.get(b"what", b"")
    if not what or b"/" + posixpath.normpath(where).lstrip(b"/") != place or max(len(what), len(place)) > _LONGEST:
        return None
    kind, options = settings.get(b"type", b"") or b"auto", settings.get(b"options", b"") or b"defaults"
    return FstabEntry(what.replace(b"%%", b"%"), place, _bounded(kind), _bounded(options.replace(b"%%", b"%")))


def crypttab(data: bytes) -> dict[bytes, bytes]:
    """Return the names below /dev/mapper and the encrypted device of each."""
    found: dict[bytes, bytes] = {}
    for line in data.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith(b"#") or max(map(len, fields[:2])) > _LONGEST:
            continue
        name, device = (_OCTAL.sub(lambda each: bytes([int(each[1], 8)]), field) for field in fields[:2])
        found.setdefault(name, device)
        if len(found) >= _MOST_MAPPINGS:
            break
    return found


def _settings(data: bytes) -> dict[bytes, bytes]:
    """Return the settings of [Mount], names in small letters; an empty value takes back what was set before."""
    found: dict[bytes, bytes] = {}
    section = b""
    joined = _CONTINUED.sub(b" ", data.replace(b"\r\n", b"\n"))
    for line in joined.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        heading, setting = _SECTION.fullmatch(line), _SETTING.fullmatch(line)
        if line.lstrip().startswith((b"#", b";")):
            continue
        if heading:
            section = heading[1]
        elif setting and section == b"Mount":
            found[setting[1].lower()] = setting[2]
    return found


def _bounded(value: bytes) -> str:
    return text(value[: 4 * VALUE_LIMIT])[:VALUE_LIMIT]
