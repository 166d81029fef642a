"""Builds qcow images of version 1 from the bytes of a disk. Source: qemu's block/qcow.c."""

import struct
import zlib

import msgspec

_HEAD = 48


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """How the image is written; ``absent`` are the clusters that are left out, so that what is below shows."""

    cluster_bits: int = 12
    l2_bits: int = 9
    is_compressed: bool = False
    backing_file: bytes = b""
    absent: frozenset[int] = frozenset()
    encryption: int = 0


def build(disk: bytes, variant: Variant) -> bytes:
    """Return an image of the disk."""
    cluster = 1 << variant.cluster_bits
    coverage = 1 << variant.cluster_bits + variant.l2_bits
    l1_offset = _HEAD + -(-len(variant.backing_file) // 8) * 8
    tables = -(-len(disk) // coverage)
    first = -(-(l1_offset + 8 * tables) // cluster) * cluster
    places = [first + number * (8 << variant.l2_bits) for number in range(tables)]
    image = bytearray(first + tables * (8 << variant.l2_bits))
    image[: l1_offset + 8 * tables] = _head(disk, variant, l1_offset) + struct.pack(f">{tables}Q", *places)
    for number in range(-(-len(disk) // cluster)):
        data = disk[number * cluster : (number + 1) * cluster].ljust(cluster, b"\0")
        if number not in variant.absent and (variant.backing_file or any(data)):
            image[first + 8 * number : first + 8 * number + 8] = struct.pack(">Q", _append(image, data, variant))
    return bytes(image)


def _head(disk: bytes, variant: Variant, l1_offset: int) -> bytes:
    backing = (_HEAD, len(variant.backing_file)) if variant.backing_file else (0, 0)
    fields = (b"QFI\xfb", 1, *backing, 0, len(disk), variant.cluster_bits, variant.l2_bits, 0)
    head = struct.pack(">4sIQIIQBBHIQ", *fields, variant.encryption, l1_offset)
    return (head + variant.backing_file).ljust(l1_offset, b"\0")


def _append(image: bytearray, data: bytes, variant: Variant) -> int:
    """Write a cluster to the image's end; return its entry in the L2 table."""
    if variant.is_compressed:
        stream = zlib.compressobj(wbits=-12)
        packed = stream.compress(data) + stream.flush()
        if len(packed) < len(data):
            offset = len(image)
            image.extend(packed)
            return 1 << 63 | len(packed) << 63 - variant.cluster_bits | offset
    offset = -(-len(image) // len(data)) * len(data)
    image.extend(bytes(offset - len(image)) + data)
    return offset
