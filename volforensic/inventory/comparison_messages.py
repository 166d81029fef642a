"""What the second reading of contents asks and is told: apart from its worker, since the parent loads no reader."""

import msgspec

from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry


class ComparisonArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Files as the library lists them, and the volume that they are in."""

    files: list[FileEntry]
    volume: VolumeFacts


class LibraryHash(msgspec.Struct, frozen=True, array_like=True):
    """Which file, its SHA-256, and why it has none ("" where it has)."""

    index: int
    sha256: str
    reason: str = ""
