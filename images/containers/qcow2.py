"""Builds qcow2 images from the bytes of a disk, in variants that a reader has to know.

Source: qemu's docs/interop/qcow2.rst.
"""

import struct
import zlib
from collections.abc import Sequence

import msgspec
import zstandard

EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = 4, 8, 16
_COPIED, _COMPRESSED, _ZERO = 1 << 63, 1 << 62, 1
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441
_SUBCLUSTERS = 32


class Snapshot(msgspec.Struct, frozen=True):
    """An internal snapshot that is listed in the image; its L1 table is the newest state's."""

    identifier: bytes
    name: bytes
    seconds: int
    state_size: int = 0


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """How the image is written.

    ``compression`` is "", "zlib" or "zstd". ``has_zero_clusters``: zeros are written as such, so that nothing below
    shows through. ``absent``: clusters that are left out, so that what is below shows. ``features`` are added to the
    incompatible ones, as they are.
    """

    version: int = 3
    cluster_bits: int = 16
    compression: str = ""
    is_extended: bool = False
    has_zero_clusters: bool = False
    backing_file: bytes = b""
    backing_format: bytes = b""
    data_file: bytes = b""
    absent: frozenset[int] = frozenset()
    features: int = 0
    encryption: int = 0
    snapshots: Sequence[Snapshot] = ()


class Built(msgspec.Struct, frozen=True):
    """The image, and the external data file (b"" where there is none)."""

    image: bytes
    data: bytes = b""


def build(disk: bytes, variant: Variant) -> Built:
    """Return an image of the disk."""
    return _Writer(disk, variant).built()


class _Writer:
    """Lays the clusters out: header, L1 table, L2 tables, data, snapshot table."""

    def __init__(self, disk: bytes, variant: Variant) -> None:
        self._disk, self._variant = disk, variant
        self._cluster = 1 << variant.cluster_bits
        self._entry_size = 16 if variant.is_extended else 8
        coverage = self._cluster // self._entry_size * self._cluster
        self._l1_size = -(-len(disk) // coverage)
        self._image = bytearray(self._cluster)
        self._l1_offset = self._reserve(8 * self._l1_size)
        self._l2_offset = self._reserve(self._l1_size * self._cluster)

    def _reserve(self, size: int) -> int:
        """Return where whole clusters for so many bytes begin."""
        offset = -(-len(self._image) // self._cluster) * self._cluster
        end = offset + -(-size // self._cluster) * self._cluster
        self._image.extend(bytes(end - len(self._image)))
        return offset

    def built(self) -> Built:
        entries = b"".join(self._entry(number) for number in range(-(-len(self._disk) // self._cluster)))
        self._put(self._l2_offset, entries)
        tables = (self._l2_offset + number * self._cluster for number in range(self._l1_size))
        self._put(self._l1_offset, b"".join(struct.pack(">Q", table | _COPIED) for table in tables))
        snapshots = b"".join(self._snapshot(snapshot) for snapshot in self._variant.snapshots)
        snapshots_offset = self._reserve(len(snapshots)) if snapshots else 0
        self._put(snapshots_offset, snapshots)
        self._put(0, self._header(snapshots_offset, *self._refcounts()))
        return Built(bytes(self._image), self._disk if self._variant.data_file else b"")

    def _refcounts(self) -> tuple[int, int]:
        """Write a count of 1 for every cluster; return where their table is, and its clusters."""
        half = self._cluster // 2
        used, blocks, tables = -(-len(self._image) // self._cluster), 0, 0
        while (used + blocks + tables > blocks * half) or blocks * 8 > tables * self._cluster:
            blocks = -(-(used + blocks + tables) // half)
            tables = -(-blocks * 8 // self._cluster)
        first = self._reserve(blocks * self._cluster)
        self._put(first, struct.pack(">H", 1) * (used + blocks + tables))
        table = self._reserve(tables * self._cluster)
        self._put(table, struct.pack(f">{blocks}Q", *(first + number * self._cluster for number in range(blocks))))
        return table, tables

    def _put(self, offset: int, data: bytes) -> None:
        self._image[offset : offset + len(data)] = data

    def _entry(self, number: int) -> bytes:
        """Return the L2 entry of a cluster, after its bytes are written."""
        data = self._disk[number * self._cluster : (number + 1) * self._cluster].ljust(self._cluster, b"\0")
        if number in self._variant.absent:
            return bytes(self._entry_size)
        if self._variant.is_extended:
            return self._extended(data)
        if not any(data):
            return struct.pack(">Q", _ZERO if self._variant.has_zero_clusters else 0)
        if self._variant.data_file:
            return struct.pack(">Q", number * self._cluster | _COPIED)
        return struct.pack(">Q", self._compressed(data) or self._stored(data) | _COPIED)

    def _stored(self, data: bytes) -> int:
        offset = self._reserve(self._cluster)
        self._put(offset, data)
        return offset

    def _extended(self, data: bytes) -> bytes:
        size = self._cluster // _SUBCLUSTERS
        parts = [any(data[start : start + size]) for start in range(0, self._cluster, size)]
        bitmap = sum(1 << number for number, is_used in enumerate(parts) if is_used)
        if self._variant.has_zero_clusters:
            bitmap |= sum(1 << _SUBCLUSTERS + number for number, is_used in enumerate(parts) if not is_used)
        return struct.pack(">QQ", self._stored(data) | _COPIED if any(parts) else 0, bitmap)

    def _compressed(self, data: bytes) -> int:
        """Return the descriptor of a compressed cluster, 0 where it is stored as it is."""
        if not self._variant.compression:
            return 0
        packed = _packed(data, self._variant.compression)
        if len(packed) >= self._cluster:
            return 0
        offset = len(self._image)
        self._image.extend(packed)
        sectors = (offset + len(packed) - 1) // 512 - offset // 512
        return _COMPRESSED | sectors << 62 - (self._variant.cluster_bits - 8) | offset

    def _snapshot(self, snapshot: Snapshot) -> bytes:
        sizes = len(snapshot.identifier), len(snapshot.name)
        head = struct.pack(">QIHHIIQII", self._l1_offset, self._l1_size, *sizes, snapshot.seconds, 0, 0, 0, 16)
        names = snapshot.identifier + snapshot.name
        data = head + struct.pack(">QQ", snapshot.state_size, len(self._disk)) + names
        return data + bytes(-len(data) % 8)

    def _header(self, snapshots_offset: int, refcounts: int, refcount_clusters: int) -> bytes:
        variant = self._variant
        features = variant.features | (EXTERNAL_DATA if variant.data_file else 0)
        features |= (EXTENDED_L2 if variant.is_extended else 0) | (COMPRESSION if variant.compression == "zstd" else 0)
        rest = struct.pack(">QQQII", features, 0, 0, 4, 112) + bytes([variant.compression == "zstd"]).ljust(8, b"\0")
        extensions = b"".join(
            struct.pack(">II", kind, len(value)) + value + bytes(-len(value) % 8)
            for kind, value in [(_BACKING_FORMAT, variant.backing_format), (_DATA_FILE, variant.data_file)]
            if value
        )
        tail = (rest if variant.version >= 3 else b"") + extensions + bytes(8)
        backing_offset = 72 + len(tail) if variant.backing_file else 0
        fixed = struct.pack(
            ">4sIQIIQIIQQIIQ",
            *(b"QFI\xfb", variant.version, backing_offset, len(variant.backing_file), variant.cluster_bits),
            *(len(self._disk), variant.encryption, self._l1_size, self._l1_offset, refcounts, refcount_clusters),
            *(len(variant.snapshots), snapshots_offset),
        )
        return fixed + tail + variant.backing_file


def _packed(data: bytes, compression: str) -> bytes:
    if compression == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    stream = zlib.compressobj(wbits=-12)
    return stream.compress(data) + stream.flush()
