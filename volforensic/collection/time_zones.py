"""The TZif file (tzfile(5)) of a time zone by its name, from the examiner's own host."""

import importlib.resources
import io
import re
import zoneinfo
from datetime import datetime
from pathlib import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


def time_zone_file(name: str) -> bytes:
    """Return the bytes of a zone's TZif file, from the system's database or the ``tzdata`` package.

    Raises:
        ValueError: The name is no zone's, or this host has no database that knows it.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:64]!r} is no name of a time zone")
    for directory in zoneinfo.TZPATH:
        path = Path(directory, name)
        if path.is_file():
            return path.read_bytes()
    try:
        return importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise ValueError(f"this host knows no time zone {name}") from error


def is_zone_file(data: bytes) -> bool:
    """Return whether bytes are a TZif file that can be used; they may be hostile."""
    try:
        zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(data))
        for year in (1970, 2000, 2026, 2100):
            datetime(year, 7, 1, tzinfo=zone).utcoffset()
    except Exception:  # noqa: BLE001  the zone readers of CPython raise errors of many kinds
        return False
    return True
