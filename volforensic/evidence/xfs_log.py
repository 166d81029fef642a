"""Whether an XFS log ends with an unmount record: if not, the newest changes are still in the log.

Source: the kernel's fs/xfs/libxfs/xfs_log_format.h and fs/xfs/xfs_log_recover.c (finding the head by the cycle
numbers in the first word of each 512-byte block; the record header xlog_rec_header; the unmount operation
XLOG_UNMOUNT_TRANS).
"""

import struct
from collections.abc import Iterator

from volforensic.evidence.reader import Window
from volforensic.evidence.xfs_superblocks import xfs_superblock

_BLOCK = 512
_HEADER_MAGIC = 0xFEEDBABE
_LARGEST_LOG = 2 << 30
_UNMOUNT_TRANSACTION = 0x20
_CLEAN = "clean"
_UNREPLAYED = "the log does not end with an unmount: the newest changes may be in it alone"


def log_state(window: Window) -> str:
    """Return ``clean``, or a sentence that says what the newest changes of the filesystem are still in."""
    copy = xfs_superblock(window)
    if copy is None:
        return "its superblock cannot be read"
    superblock = copy.raw
    block_size, log_start, ag_blocks, log_blocks = _geometry(superblock)
    if not log_start:
        return "its log lies on another device"
    shift = superblock[124]  # sb_agblklog
    block = (log_start >> shift) * ag_blocks + (log_start & ((1 << shift) - 1))
    size = log_blocks * block_size
    if not 0 < size <= _LARGEST_LOG or block * block_size + size > window.length:
        return "its log lies outside the volume"
    return _state(Window(window.medium, window.offset + block * block_size, size))


def _geometry(superblock: bytes) -> tuple[int, int, int, int]:
    block_size = struct.unpack_from(">I", superblock, 4)[0]
    log_start = struct.unpack_from(">Q", superblock, 48)[0]
    ag_blocks, _, _, log_blocks = struct.unpack_from(">IIII", superblock, 84)
    return block_size, log_start, ag_blocks, log_blocks


def _state(log: Window) -> str:
    last: tuple[int, int] | None = None
    last_header = b""
    for position, header in _headers(log):
        cycle = struct.unpack_from(">I", header, 4)[0]
        block = position // _BLOCK
        if last is None or (cycle, block) > last:
            last, last_header = (cycle, block), header
    if last is None:
        return _CLEAN  # a log that was never written
    return _CLEAN if _is_unmount(log, last[1] * _BLOCK, last_header) else _UNREPLAYED


def _headers(log: Window) -> Iterator[tuple[int, bytes]]:
    step = 1 << 20
    magic = struct.pack(">I", _HEADER_MAGIC)
    for start in range(0, log.length, step):
        data = log.read_at(start, step)
        place = data.find(magic)
        while place >= 0:
            if place % _BLOCK == 0:
                yield start + place, data[place : place + _BLOCK]
            place = data.find(magic, place + 1)


def _is_unmount(log: Window, position: int, header: bytes) -> bool:
    version = struct.unpack_from(">I", header, 8)[0]
    operations = struct.unpack_from(">I", header, 40)[0]
    size = struct.unpack_from(">I", header, 320)[0] if version & 2 else 32768
    headers = max(1, -(-min(size, 1 << 20) // 32768)) if version & 2 else 1
    record = log.read_at(position + headers * _BLOCK, _BLOCK)
    # An unmount record holds one operation: its header's flags byte says so, with the 4-byte first word kept aside.
    # How long the record is says nothing: it is rounded up to the log's sector or stripe unit.
    return len(record) >= 12 and operations == 1 and bool(record[9] & _UNMOUNT_TRANSACTION)
