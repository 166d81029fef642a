"""What the parent asks of a host's facts before it believes them: the worker that gives them has read hostile bytes."""

from collections.abc import Sized
from typing import Protocol

from volforensic.collection.parsers import identity
from volforensic.collection.time_zones import LARGEST_ZONE

_MOST_LINES = 100_000
_LONGEST_TEXT = 4096


class Facts(Protocol):
    """The facts that are looked at."""

    hostname: str
    os: str
    time_zone_name: str
    time_zone: bytes
    time_zone_basis: str
    mounts: Sized
    mappings: Sized
    homes: Sized
    losses: Sized
    remarks: Sized


class HostCheck:
    """Holds whether the facts came: they come once."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._came = False

    def refused(self, facts: Facts) -> str:
        """Return why the facts cannot be a host's; empty where they can."""
        if self._came:
            return "a host has facts once"
        self._came = True
        lists = (facts.mounts, facts.mappings, facts.homes, facts.losses, facts.remarks)
        if any(len(lines) > _MOST_LINES for lines in lists) or len(facts.time_zone) > LARGEST_ZONE:
            return "no host has so much to say of itself"
        if any(len(text) > _LONGEST_TEXT for text in (facts.hostname, facts.os, facts.time_zone_basis)):
            return "no host's name is so long"
        # The name becomes a path in our own time zone database.
        name = facts.time_zone_name
        if name and (not name.isascii() or identity.zone_name(b"/zoneinfo/" + name.encode()) != name):
            return "no time zone has such a name"
        return ""

    def missing(self) -> str:
        """Return what should have come: the facts."""
        return "" if self._came else "the worker said nothing of the host"
