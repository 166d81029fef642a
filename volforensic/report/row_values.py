"""What other tools' formats need of a row of the inventory: names as bytes, times as seconds, modes as letters."""

import base64
import calendar
import re
import stat
from functools import lru_cache

from volforensic.record import Row

TYPE_LETTERS = {
    "file": "r",
    "directory": "d",
    "symlink": "l",
    "fifo": "p",
    "socket": "s",
    "character_device": "c",
    "block_device": "b",
}
"""The letter of each type in the formats of The Sleuth Kit; anything else is ``-``."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):(\d\d)(?:\.\d+)?Z", re.ASCII)


def name_bytes(row: Row, key: str) -> bytes | None:
    """Return the bytes of a name that a row holds as text, and in base64 beside it where they are not UTF-8."""
    encoded = row.get(f"{key}_bytes")
    if encoded is not None:
        return base64.b64decode(encoded)
    text = row.get(key)
    return None if text is None else str(text).encode("utf-8", "surrogatepass")


def seconds(time: str | None) -> int:
    """Return a time of a row as whole seconds since 1970, rounded down; 0 for no time."""
    match = _TIME.fullmatch(time) if time else None
    return _minute(match[1]) + int(match[2]) if match else 0


@lru_cache(maxsize=65536)  # the files of a package share their minutes
def _minute(text: str) -> int:
    date, _, clock = text.partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute = map(int, clock.split(":"))
    return calendar.timegm((year, month, day, hour, minute, 0))


def mode_letters(mode: int | None) -> str:
    """Return permission bits as nine letters, as ls(1) writes them; dashes where the inode is not known."""
    return "---------" if mode is None else stat.filemode(stat.S_IMODE(mode))[1:]
