"""Writes VHDXs: dynamic, fixed and differencing ones, and such as were not closed, with their changes in the log.

Source: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format".
"""

import struct
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from images.checksum import crc32c

MIB = 1 << 20
DATA_ID, CHILD_DATA_ID = uuid.UUID(int=1), uuid.UUID(int=2)
LOG_ID = uuid.UUID(int=3)
LOG_AT, METADATA_AT, TABLE_AT = 1 * MIB, 2 * MIB, 3 * MIB
_SECTOR = 4096
_NO_ID = uuid.UUID(int=0)
_TABLE_REGION = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA_REGION = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_LOCATOR = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")
_ITEMS = {
    "parameters": (uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"), 4),
    "size": (uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8"), 6),
    "id": (uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746"), 6),
    "logical": (uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f"), 6),
    "physical": (uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556"), 6),
    "locator": (uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c"), 4),
}
_NOT_PRESENT, _ZERO, _PRESENT, _PARTIAL = 0, 2, 6, 7


class _Disk(NamedTuple):
    block_size: int
    sector_size: int
    items: dict[str, bytes]
    data_id: uuid.UUID


def dynamic(data: bytes, block_size: int = MIB, sector_size: int = 512, *, is_fixed: bool = False) -> bytes:
    """Return a disk of its own; blocks of zeros are not there, unless it is fixed."""
    blocks = [data[start : start + block_size] for start in range(0, len(data), block_size)]
    stored = [(_PRESENT, block) if is_fixed or any(block) else (_NOT_PRESENT, b"") for block in blocks]
    items = _items(len(data), block_size, sector_size, int(is_fixed))
    return _file(stored, [], _Disk(block_size, sector_size, items, DATA_ID))


def differencing(data: bytes, parent: bytes, name: str, block_size: int = MIB, sector_size: int = 512) -> bytes:
    """Return a disk that has the sectors of ``data`` which differ from ``parent``; ``name`` is the parent's path.

    The parent is one that ``dynamic`` made. A block that differs everywhere is present, one that became zeros is zero.
    """
    stored, bits = [], []
    for start in range(0, len(data), block_size):
        block = data[start : start + block_size]
        state, kept, mask = _difference(block, parent[start : start + block_size], sector_size)
        stored.append((state, kept))
        bits.append(mask.ljust(block_size // sector_size, "0"))
    items = _items(len(data), block_size, sector_size, 2)
    items["locator"] = _parent_locator({"parent_linkage": f"{{{DATA_ID}}}", "relative_path": name})
    return _file(stored, bits, _Disk(block_size, sector_size, items, CHILD_DATA_ID))


def _difference(block: bytes, below: bytes, sector_size: int) -> tuple[int, bytes, str]:
    below = below.ljust(len(block), b"\0")
    mask, kept = [], []
    for start in range(0, len(block), sector_size):
        sector = block[start : start + sector_size]
        differs = sector != below[start : start + sector_size]
        mask.append("1" if differs else "0")
        kept.append(sector if differs else b"\xee" * len(sector))
    if "1" not in mask:
        return _NOT_PRESENT, b"", ""
    if not any(block):
        return _ZERO, b"", ""
    return (_PARTIAL if "0" in mask else _PRESENT), b"".join(kept), "".join(mask)


def not_closed(image: bytes, groups: Sequence[Sequence[int]], *, sequence: int = 7, cut: int = 0) -> bytes:
    """Return the file as it is between log and flush: the 4 KiB at each place are whole only in the log.

    Each group is an entry. Zeros are logged as zeros. ``cut``: how many bytes more than the file has the log wants.
    """
    torn = bytearray(image)
    log = bytearray()
    for number, places in enumerate(groups):
        for place in places:
            torn[place : place + _SECTOR] = b"\xdd" * _SECTOR
        log += _log_entry(image, places, sequence + number, len(image) + cut)
    torn[LOG_AT : LOG_AT + len(log)] = log
    torn[64 << 10 : 68 << 10] = header(9, DATA_ID, LOG_ID)
    return bytes(torn)


def _log_entry(image: bytes, places: Sequence[int], sequence: int, size: int) -> bytes:
    descriptors, data = bytearray(), bytearray()
    for place in places:
        sector = image[place : place + _SECTOR]
        if any(sector):
            descriptors += struct.pack("<4s4s8sQQ", b"desc", sector[-4:], sector[:8], place, sequence)
            data += struct.pack("<4sI", b"data", sequence >> 32) + sector[8:-4]
            data += struct.pack("<I", sequence & 0xFFFFFFFF)
        else:
            descriptors += struct.pack("<4s4xQQQ", b"zero", _SECTOR, place, sequence)
    head_size = -(-(64 + len(descriptors)) // _SECTOR) * _SECTOR
    fields = head_size + len(data), 0, sequence, len(places), LOG_ID.bytes_le, size, size
    head = struct.pack("<4s4xIIQI4x16sQQ", b"loge", *fields) + bytes(descriptors)
    return _summed(head.ljust(head_size, b"\0") + bytes(data))


def header(sequence: int, data_id: uuid.UUID, log_id: uuid.UUID = _NO_ID) -> bytes:
    """Return one of the two headers."""
    ids = uuid.UUID(int=sequence).bytes_le, data_id.bytes_le, log_id.bytes_le
    raw = struct.pack("<4s4xQ16s16s16sHHIQ", b"head", sequence, *ids, 0, 1, MIB, LOG_AT)
    return _summed(raw.ljust(_SECTOR, b"\0"))


def _file(stored: Sequence[tuple[int, bytes]], bits: Sequence[str], disk: _Disk) -> bytes:
    block_size, sector_size, items, data_id = disk
    chunk = (1 << 23) * sector_size // block_size
    entries: list[int] = []
    table_size = MIB * -(-8 * (chunk + 1) * (len(stored) // chunk + 1) // MIB)
    here, body = TABLE_AT + table_size, bytearray()
    for start in range(0, len(stored), chunk):
        for state, data in stored[start : start + chunk]:
            entries.append(state | (here + len(body) if data else 0))
            body += data.ljust(block_size, b"\0") if data else b""
        if bits:
            entries += [0] * (chunk - len(stored[start : start + chunk]))
            entries.append(_PRESENT | here + len(body))
            body += _bitmap("".join(bits[start : start + chunk]))
        elif len(stored) > start + chunk:
            entries.append(0)
    table = struct.pack(f"<{len(entries)}Q", *entries)
    file = bytearray(here)
    file[:8] = b"vhdxfile"
    file[8:24] = "a writer".encode("utf-16-le")
    for place, sequence in ((64 << 10, 5), (128 << 10, 6)):
        file[place : place + _SECTOR] = header(sequence, data_id)
    regions = struct.pack("<4s4xII", b"regi", 2, 0)
    regions += struct.pack("<16sQII", _TABLE_REGION.bytes_le, TABLE_AT, table_size, 1)
    regions += struct.pack("<16sQII", _METADATA_REGION.bytes_le, METADATA_AT, MIB, 1)
    regions = _summed(regions.ljust(64 << 10, b"\0"))
    file[192 << 10 : 320 << 10] = regions + regions
    metadata = _metadata(items)
    file[METADATA_AT : METADATA_AT + len(metadata)] = metadata
    file[TABLE_AT : TABLE_AT + len(table)] = table
    return bytes(file + body)


def _bitmap(digits: str) -> bytes:
    padded = digits.ljust(-(-len(digits) // 8) * 8, "0")
    return int(padded[::-1], 2).to_bytes(len(padded) // 8, "little").ljust(MIB, b"\0")


def _items(size: int, block_size: int, sector_size: int, flags: int) -> dict[str, bytes]:
    return {
        "parameters": struct.pack("<II", block_size, flags),
        "size": struct.pack("<Q", size),
        "id": uuid.UUID(int=4).bytes_le,
        "logical": struct.pack("<I", sector_size),
        "physical": struct.pack("<I", 4096),
    }


def _metadata(items: dict[str, bytes]) -> bytes:
    table, body = bytearray(struct.pack("<8sHH20x", b"metadata", 0, len(items))), bytearray()
    for name, value in items.items():
        identity, flags = _ITEMS[name]
        table += struct.pack("<16sIII4x", identity.bytes_le, (64 << 10) + len(body), len(value), flags)
        body += value
    return bytes(table).ljust(64 << 10, b"\0") + bytes(body)


def _parent_locator(values: dict[str, str]) -> bytes:
    table, text = bytearray(_LOCATOR.bytes_le + struct.pack("<HH", 0, len(values))), bytearray()
    start = 20 + 12 * len(values)
    for key, value in values.items():
        parts = key.encode("utf-16-le"), value.encode("utf-16-le")
        places = start + len(text), start + len(text) + len(parts[0])
        table += struct.pack("<IIHH", *places, len(parts[0]), len(parts[1]))
        text += parts[0] + parts[1]
    return bytes(table + text)


def _summed(raw: bytes) -> bytes:
    """Return the structure with its checksum in the second word."""
    return raw[:4] + crc32c(raw[:4] + bytes(4) + raw[8:]).to_bytes(4, "little") + raw[8:]
