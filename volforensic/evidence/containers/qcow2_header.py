"""The header of qcow2: its fields, extensions and the table of internal snapshots.

Source: qemu's docs/interop/qcow2.rst. Everything is big-endian. What limits a field is the format's own rule or, where
it has none, the limit that qemu itself has.
"""

import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from volforensic.evidence.containers.container import ContainerError
from volforensic.medium import Medium
from volforensic.record import text

MAGIC = b"QFI\xfb"
_HEAD, _HEAD_3 = 72, 104
_SMALLEST_CLUSTER, _LARGEST_CLUSTER, _SMALLEST_EXTENDED = 9, 21, 14
_LONGEST_NAME = 1023
_LONGEST_L1 = 32 << 20
_LARGEST_DISK = 1 << 63
_EXTENSIONS_MOST, _EXTENSION_MOST = 256, 1 << 16
_BACKING_FORMAT, _FEATURE_NAMES, _DATA_FILE = 0xE2792ACA, 0x6803F857, 0x44415441
_SNAPSHOTS_LISTED = 256
_ENCRYPTIONS = {1: "AES", 2: "LUKS"}
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
_KNOWN_FEATURES = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2
ZLIB, ZSTD = 0, 1


class Qcow2Error(ContainerError):
    """A field of a qcow2 header is not what it can be, or names what is not supported."""


class Qcow2Header(NamedTuple):
    """The fields that reading needs; sizes and offsets in bytes, ``features`` are the incompatible ones."""

    version: int
    backing_file: bytes
    backing_format: bytes
    cluster_bits: int
    size: int
    l1_size: int
    l1_offset: int
    snapshot_count: int
    snapshots_offset: int
    features: int
    compression: int
    data_file: bytes

    @property
    def cluster_size(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def entry_size(self) -> int:
        """Bytes of an entry of an L2 table."""
        return 16 if self.features & EXTENDED_L2 else 8

    @property
    def l1_needed(self) -> int:
        """How many L1 entries a disk of this size has."""
        return -(-self.size // (self.cluster_size // self.entry_size * self.cluster_size))


def read_header(file: Medium) -> Qcow2Header:
    """Read the header; Qcow2Error where a field says what cannot be, EIO where it cannot be read."""
    head = file.read_at(0, 512)
    if len(head) < _HEAD or head[:4] != MAGIC:
        raise Qcow2Error("there is no header of a qcow2")
    version, backing_offset, backing_size, cluster_bits, size, encryption = struct.unpack_from(">IQIIQI", head, 4)
    _check_sizes(version, cluster_bits, size, encryption)
    features, compression, length = _version_3(head, 1 << cluster_bits) if version >= 3 else (0, ZLIB, _HEAD)
    end = min(backing_offset or 1 << cluster_bits, 1 << cluster_bits, file.size)
    extensions = dict(_extensions(file, length, end))
    _check_features(features, compression, cluster_bits, extensions.get(_FEATURE_NAMES, b""))
    l1_size, l1_offset, _refcounts, _clusters, snapshots, snapshots_offset = struct.unpack_from(">IQQIIQ", head, 36)
    _check_l1(file, l1_size, l1_offset, 1 << cluster_bits)
    return Qcow2Header(
        version=version,
        backing_file=backing_name(file, backing_offset, backing_size),
        backing_format=extensions.get(_BACKING_FORMAT, b""),
        cluster_bits=cluster_bits,
        size=size,
        l1_size=l1_size,
        l1_offset=l1_offset,
        snapshot_count=snapshots,
        snapshots_offset=snapshots_offset,
        features=features,
        compression=compression,
        data_file=extensions.get(_DATA_FILE, b""),
    )


def _check_sizes(version: int, cluster_bits: int, size: int, encryption: int) -> None:
    if version not in {2, 3}:
        raise Qcow2Error(f"version {version} of qcow2 is not supported")
    if not _SMALLEST_CLUSTER <= cluster_bits <= _LARGEST_CLUSTER:
        raise Qcow2Error(f"cluster_bits is {cluster_bits}, of 9 to 21 that it can be")
    if size >= _LARGEST_DISK:
        raise Qcow2Error(f"size is {size}: no disk has so many bytes")
    if encryption:
        name = _ENCRYPTIONS.get(encryption, "an unknown method")
        remedy = "decrypt it with: qemu-img convert -O raw, with --object secret and --image-opts"
        raise Qcow2Error(f"it is encrypted with {name} (crypt_method {encryption}), which is not supported: {remedy}")


def _version_3(head: bytes, cluster_size: int) -> tuple[int, int, int]:
    """Return incompatible features, compression and the header's length."""
    if len(head) < _HEAD_3:
        raise Qcow2Error(f"the header ends after {len(head)} bytes")
    features, _compatible, _clearing, _order, length = struct.unpack_from(">QQQII", head, _HEAD)
    if not _HEAD_3 <= length <= cluster_size:
        raise Qcow2Error(f"header_length is {length}, of 104 to {cluster_size} that it can be")
    compression = head[_HEAD_3] if length > _HEAD_3 and len(head) > _HEAD_3 and features & COMPRESSION else ZLIB
    return features, compression, length


def _check_features(features: int, compression: int, cluster_bits: int, names: bytes) -> None:
    if unknown := features & ~_KNOWN_FEATURES:
        bit = unknown.bit_length() - 1
        entries = (names[start : start + 48] for start in range(0, len(names), 48))
        name = next((entry[2:].rstrip(b"\0") for entry in entries if entry[:2] == bytes([0, bit])), b"unknown")
        raise Qcow2Error(f"incompatible feature {bit} ({text(name)}) is not supported")
    if compression not in {ZLIB, ZSTD}:
        raise Qcow2Error(f"compression_type {compression} is not supported")
    if features & EXTENDED_L2 and cluster_bits < _SMALLEST_EXTENDED:
        raise Qcow2Error(f"cluster_bits is {cluster_bits}: extended L2 entries want 14 at least")


def _check_l1(file: Medium, l1_size: int, l1_offset: int, cluster_size: int) -> None:
    if l1_size * 8 > _LONGEST_L1:
        raise Qcow2Error(f"l1_size is {l1_size}, of {_LONGEST_L1 // 8} entries at most")
    if l1_offset % cluster_size or (l1_size and l1_offset >= file.size):
        raise Qcow2Error(f"l1_table_offset is {l1_offset}, in a file of {file.size} bytes")


def _extensions(file: Medium, position: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of each extension, the first of a type last: it is the one that counts."""
    found = []
    for _ in range(_EXTENSIONS_MOST):
        head = file.read_at(position, 8) if position + 8 <= end else b""
        if len(head) < 8:
            break
        kind, size = struct.unpack(">II", head)
        if not kind or size > _EXTENSION_MOST or position + 8 + size > end:
            break
        found.append((kind, file.read_at(position + 8, size)))
        position += 8 + (size + 7 & ~7)
    yield from reversed(found)


def backing_name(file: Medium, offset: int, size: int) -> bytes:
    """Return the stored name of the backing file, b"" for none; Qcow2Error where it cannot be one."""
    if not offset:
        return b""
    if size > _LONGEST_NAME:
        raise Qcow2Error(f"backing_file_size is {size}, of {_LONGEST_NAME} at most")
    name = file.read_at(offset, size) if offset < file.size else b""
    if len(name) < size:
        raise Qcow2Error(f"backing_file_offset is {offset}, in a file of {file.size} bytes")
    return name


def file_name(stored: bytes) -> bytes:
    """Return the path in a file name of qemu's: plain, ``file:PATH`` or ``json:{...}`` with a filename in it."""
    if not stored.startswith(b"json:"):
        return stored.removeprefix(b"file:")
    try:
        options = json.loads(stored[5:])
    except (ValueError, RecursionError):
        return stored
    for _ in range(8):
        if not isinstance(options, dict):
            break
        for key in ("filename", "file.filename"):
            if isinstance(options.get(key), str):
                return str(options[key]).encode("utf-8", "surrogatepass")
        options = options.get("file")
    return stored


def snapshots(file: Medium, header: Qcow2Header) -> Iterator[tuple[str, bool]]:
    """Yield a sentence for each internal snapshot and whether it is whole: one that is not is the last."""
    position = header.snapshots_offset
    for number in range(min(header.snapshot_count, _SNAPSHOTS_LISTED)):
        head = file.read_at(position, 40) if position < file.size else b""
        if len(head) < 40:
            yield f"snapshot {number + 1} of {header.snapshot_count} lies outside the file", False
            return
        id_size, name_size, seconds, nanoseconds = struct.unpack_from(">HHII", head, 12)
        state_size, extra_size = struct.unpack_from(">II", head, 32)
        if extra_size > _EXTENSION_MOST:
            yield f"snapshot {number + 1} has {extra_size} bytes of extra data", False
            return
        extra = file.read_at(position + 40, extra_size)
        names = file.read_at(position + 40 + extra_size, id_size + name_size)
        yield _sentence(names[:id_size], names[id_size:], (seconds, nanoseconds), state_size, extra), True
        position += (40 + extra_size + id_size + name_size + 7) & ~7


def _sentence(identifier: bytes, name: bytes, moment: tuple[int, int], state_size: int, extra: bytes) -> str:
    when = datetime.fromtimestamp(moment[0], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if len(extra) >= 8:
        state_size = int.from_bytes(extra[:8])
    disk = f", disk of {int.from_bytes(extra[8:16])} bytes" if len(extra) >= 16 else ""
    identifier, name = identifier[:_LONGEST_NAME], name[:_LONGEST_NAME]
    return f"id {text(identifier)}, name {text(name)!r}, taken {when}, VM state of {state_size} bytes{disk}"
