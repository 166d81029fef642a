"""The metadata region of a VHDX: sizes, the disk's id, and what it says of its parent.

Source: [MS-VHDX] 2.6 (metadata region): 2.6.1 table, 2.6.2 known items.
"""

import struct
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.evidence.containers.parts import exactly, guid_text, short_text
from volforensic.medium import Medium
from volforensic.record import Problem

_TABLE_SIZE, _MOST_ENTRIES = 64 << 10, 2047
_ENTRY = struct.Struct("<16s I I I 4x")
_FILE_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
_DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
_DISK_ID = "beca12ab-b2e6-4523-93ef-c309e000c746"
_LOGICAL_SECTOR = "8141bf1d-a96f-4709-ba47-f233a8faab5f"
_PHYSICAL_SECTOR = "cda348c7-445d-4471-9cc9-e9885251c556"
_PARENT_LOCATOR = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
_KNOWN = {_FILE_PARAMETERS, _DISK_SIZE, _DISK_ID, _LOGICAL_SECTOR, _PHYSICAL_SECTOR, _PARENT_LOCATOR}
_VHDX_LOCATOR = "b04aefb7-d19e-4a81-b789-25b8e9445913"
_LOCATOR_ENTRY = struct.Struct("<I I H H")
_LONGEST_LOCATOR, _MOST_NAMES = 1 << 20, 64
_NAMES = ("relative_path", "absolute_win32_path", "volume_path")
_LINKAGES = ("parent_linkage", "parent_linkage2")
_SMALLEST_BLOCK, _LARGEST_BLOCK = 1 << 20, 256 << 20


class Metadata(NamedTuple):
    """What the items say; names and ids of the parent are empty where there is none."""

    size: int
    block_size: int
    sector_size: int
    disk_id: str
    is_fixed: bool
    has_parent: bool
    parent_names: list[str]
    linkages: list[str]

    @property
    def kind(self) -> str:
        """The kind of disk, in a word."""
        return "differencing" if self.has_parent else "fixed" if self.is_fixed else "dynamic"


def metadata_of(medium: Medium, region: tuple[int, int]) -> tuple[Metadata, list[Problem]]:
    """Return the items that a reader needs; ContainerError where one is missing or has a value that it cannot have."""
    items, problems = _items(medium, region)
    block_size, flags = struct.unpack("<II", _item(medium, items, _FILE_PARAMETERS, 8))
    size = int.from_bytes(_item(medium, items, _DISK_SIZE, 8), "little")
    sector_size = int.from_bytes(_item(medium, items, _LOGICAL_SECTOR, 4), "little")
    if not _SMALLEST_BLOCK <= block_size <= _LARGEST_BLOCK or block_size & block_size - 1:
        raise ContainerError(f"the VHDX's block size is {block_size}")
    if sector_size not in {512, 4096}:
        raise ContainerError(f"the VHDX's logical sector size is {sector_size}")
    if not 0 < size < 1 << 62:
        raise ContainerError(f"the VHDX's disk size is {size}")
    has_parent = bool(flags & 2)
    disk_id = guid_text(_item(medium, items, _DISK_ID, 16)) if _DISK_ID in items else ""
    values = _locator(medium, items, problems) if has_parent else {}
    names = list(dict.fromkeys(values[name] for name in _NAMES if values.get(name)))
    linkages = [values[name].strip("{}").lower() for name in _LINKAGES if values.get(name)]
    metadata = Metadata(size, block_size, sector_size, disk_id, bool(flags & 1), has_parent, names, linkages)
    return metadata, problems


def _items(medium: Medium, region: tuple[int, int]) -> tuple[dict[str, tuple[int, int]], list[Problem]]:
    """Return the place and length of each item in the file, by id."""
    base, region_size = region
    table = exactly(medium, base, _TABLE_SIZE, "the metadata table of the VHDX")
    count = int.from_bytes(table[10:12], "little")
    if table[:8] != b"metadata" or count > _MOST_ENTRIES:
        raise ContainerError(f"there is no metadata table of a VHDX at {base}, or its count of {count} is too high")
    items: dict[str, tuple[int, int]] = {}
    problems = []
    for number in range(count):
        raw_id, offset, length, flags = _ENTRY.unpack_from(table, 32 + _ENTRY.size * number)
        name = guid_text(raw_id)
        if flags & 1:  # a user's item
            continue
        if length and not _TABLE_SIZE <= offset <= region_size - length:
            raise ContainerError(f"the item {name} of the VHDX's metadata has {length} bytes at {offset}")
        items.setdefault(name, (base + offset, length))
        if flags & 4 and name not in _KNOWN:
            reason = f"the VHDX's metadata has an item {name} that must be known and is not"
            problems.append(Problem(stage="source", reason=reason, lost=False))
    return items, problems[:8]


def _item(medium: Medium, items: dict[str, tuple[int, int]], name: str, size: int) -> bytes:
    if name not in items or items[name][1] < size:
        raise ContainerError(f"the VHDX's metadata has no item {name}, or a short one")
    return exactly(medium, items[name][0], size, f"the item {name} of the VHDX's metadata")


def _locator(medium: Medium, items: dict[str, tuple[int, int]], problems: list[Problem]) -> dict[str, str]:
    """Return the keys and values of the parent locator."""
    place, length = items.get(_PARENT_LOCATOR, (0, 0))
    data = medium.read_at(place, min(length, _LONGEST_LOCATOR)) if length else b""
    if len(data) < 20 or guid_text(data[:16]) != _VHDX_LOCATOR:
        problems.append(Problem(stage="source", reason="the VHDX has no parent locator of a kind that is known"))
        return {}
    count = int.from_bytes(data[18:20], "little")
    values = {}
    for number in range(min(count, _MOST_NAMES, (len(data) - 20) // _LOCATOR_ENTRY.size)):
        key_at, value_at, key_size, value_size = _LOCATOR_ENTRY.unpack_from(data, 20 + _LOCATOR_ENTRY.size * number)
        key = data[key_at : key_at + key_size].decode("utf-16-le", "replace")
        values[key] = short_text(data[value_at : value_at + value_size].decode("utf-16-le", "replace"))
    return values
