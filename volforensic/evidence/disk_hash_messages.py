"""What the worker that hashes disks sends: apart from it, since the parent loads no reader."""

import msgspec

from volforensic.record import Problem


class DiskHashed(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes were hashed since the last message; at a disk's end its hashes and what did not read.

    ``disk`` is the disk's number; -1 is all disks one after the other, where there is more than one.
    """

    read: int = 0
    disk: int | None = None
    sha256: str = ""
    others: dict[str, str] = {}
    problems: list[Problem] = []
