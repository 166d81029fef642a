"""Time zones as TZif files (tzfile(5)): by name from the examiner's own host, and the bytes that the evidence holds."""

import importlib.resources
import io
import re
import zoneinfo
from datetime import datetime, tzinfo
from pathlib import Path

LARGEST_ZONE = 64 << 10
"""Bytes of a TZif file that are looked at; those of the tz database have some 3,500."""

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
    if data := packaged_zone(name):
        return data
    raise ValueError(f"this host knows no time zone {name}")


def packaged_zone(name: str) -> bytes:
    """Return the TZif file of a zone (``Area/Place``) in the ``tzdata`` package; empty where it has none."""
    try:
        return importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    except (ModuleNotFoundError, OSError):
        return b""


def loaded_zone(data: bytes) -> tzinfo | None:
    """Return the zone of a TZif file's bytes, which may be hostile; None where they cannot be used."""
    try:
        zone = zoneinfo.ZoneInfo.from_file(io.BytesIO(data[:LARGEST_ZONE]))
        for year in (1970, 2000, 2026, 2100):
            datetime(year, 7, 1, tzinfo=zone).utcoffset()
    except Exception:  # noqa: BLE001 - the zone readers of CPython raise errors of many kinds
        return None
    return zone


def is_zone_file(data: bytes) -> bool:
    """Return whether bytes are a TZif file that can be used."""
    return loaded_zone(data) is not None
