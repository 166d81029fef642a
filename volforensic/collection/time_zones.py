"""The TZif file (tzfile(5)) of a time zone by its name, from the examiner's own host."""

import importlib.resources
import re
import zoneinfo
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
