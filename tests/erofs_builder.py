"""Erofs images of features that mkfs.erofs 1.5 does not make, built by hand: written as the kernel reads them.

Fields: the kernel's fs/erofs/erofs_fs.h. Blocks of 4 KiB; the superblock, then a block for each inode, then data.
"""

import ctypes
import ctypes.util
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import zstandard

from volforensic.evidence.superblocks import crc32c

BLOCK = 4096
LZ4, LZMA, DEFLATE, ZSTD = range(4)
PLAIN, HEAD, INSIDE, OTHER_HEAD = range(4)
_DATA = 64  # the first block of data
_CONFIGURATIONS = {
    LZ4: struct.pack("<HH10x", 0, 256),
    LZMA: struct.pack("<IH8x", 1 << 20, 0),
    DEFLATE: struct.pack("<B5x", 15),
    ZSTD: struct.pack("<BB4x", 0, 10),
}


def microlzma(data: bytes) -> bytes | None:
    """Compress by liblzma, None where there is none that can; properties as every encoder's default has them."""
    name = ctypes.util.find_library("lzma")
    library = ctypes.CDLL(name) if name else None
    if library is None or not hasattr(library, "lzma_microlzma_encoder"):
        return None
    stream = (ctypes.c_uint64 * 17)()
    options = (ctypes.c_uint8 * 256)()
    library.lzma_lzma_preset(options, 6)
    source = ctypes.create_string_buffer(data, len(data))
    target = ctypes.create_string_buffer(len(data) + BLOCK)
    stream[0], stream[1] = ctypes.addressof(source), len(data)
    stream[3], stream[4] = ctypes.addressof(target), len(target)
    if library.lzma_microlzma_encoder(stream, options) or library.lzma_code(stream, 3) != 1:
        return None
    size = stream[5]
    library.lzma_end(stream)
    return target.raw[:size]


def lz4(data: bytes) -> bytes:
    """Compress as LZ4 block by the simplest means: the last place of each four bytes."""
    output, start, place = bytearray(), 0, 0
    known: dict[bytes, int] = {}
    while place < len(data) - 12:
        before = known.get(data[place : place + 4])
        known[data[place : place + 4]] = place
        if before is None or place - before > 65535:
            place += 1
            continue
        length = 4
        while place + length < len(data) - 5 and data[before + length] == data[place + length]:
            length += 1
        output += _sequence(data[start:place], place - before, length - 4)
        place = start = place + length
    return bytes(output + _sequence(data[start:], 0, 0))


def _sequence(literals: bytes, distance: int, match: int) -> bytes:
    token = bytes([min(len(literals), 15) << 4 | min(match, 15)])
    behind = distance.to_bytes(2, "little") + _more(match) if distance else b""
    return token + _more(len(literals)) + literals + behind


def _more(length: int) -> bytes:
    return b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255]) if length >= 15 else b""


def deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(data) + stream.flush()


COMPRESSORS: dict[int, Callable[[bytes], bytes | None]] = {
    LZ4: lz4,
    LZMA: microlzma,
    DEFLATE: deflate,
    ZSTD: zstandard.ZstdCompressor(level=3).compress,
}


class Cluster(NamedTuple):
    """A cluster of a file: where it begins there, what it is, its first block, how many it has."""

    start: int
    kind: int
    block: int
    blocks: int
    is_partial: bool = False


class Image:
    """An image that is being built; ``files`` are names with what they must hold."""

    def __init__(self, incompatible: int = 0x3, algorithms: int = 0xF) -> None:
        """Begin with an empty root."""
        self.incompatible = incompatible
        self.algorithms = algorithms
        self.data = bytearray()
        self.inodes: list[bytes] = [b""]
        self.files: dict[str, bytes] = {}
        self.names: list[tuple[bytes, int, int]] = []
        self.packed = 0
        self.metabox: int | None = None
        self.prefixes = (0, 0)
        self.elsewhere = 0  # inodes in the metabox

    def store(self, raw: bytes, *, is_compressed: bool = True) -> int:
        """Write whole blocks (zeros before what is compressed) and return the first one."""
        size = -(-len(raw) // BLOCK) * BLOCK
        block = _DATA + len(self.data) // BLOCK
        self.data += raw.rjust(size, b"\0") if is_compressed else raw.ljust(size, b"\0")
        return block

    def inode(  # noqa: PLR0913 - the fields of an inode
        self, layout: int, size: int, word: int, behind: bytes = b"", *, mode: int = 0o100644, attributes: bytes = b""
    ) -> int:
        """Write an extended inode into a block of its own and return its number."""
        count = (len(attributes) - 8) // 4 if attributes else 0
        head = struct.pack(
            "<HHHHQIIIIQII16x", 1 | layout << 1, count, mode, 0, size, word, len(self.inodes), 0, 0, 1_700_000_000, 5, 1
        )  # fmt: skip
        self.inodes.append(head + attributes + behind)
        assert len(self.inodes[-1]) <= BLOCK
        return (len(self.inodes) - 1) * (BLOCK // 32)

    def named(self, name: str, content: bytes, nid: int) -> None:
        """Give an inode a name."""
        self.files[name] = content
        self.names.append((name.encode(), nid, 1))

    def clusters(self, content: bytes, algorithm: int, size: int, kind: int = HEAD) -> list[Cluster] | None:
        """Store the content compressed, ``size`` bytes a cluster; None where there is no compressor."""
        found = []
        for start in range(0, len(content), size):
            raw = COMPRESSORS[algorithm](content[start : start + size])
            if raw is None:
                return None
            found.append(Cluster(start, kind, self.store(raw), -(-len(raw) // BLOCK)))
        return found

    def finished(self) -> bytes:
        """Return the image, with its root and its checksum."""
        names = sorted([*self.names, (b".", 0, 2), (b"..", 0, 2)])
        entries, texts = b"", b""
        for name, nid, kind in names:
            entries += struct.pack("<QHBx", nid, 12 * len(names) + len(texts), kind)
            texts += name
        listing = entries + texts
        root = struct.pack("<HHHHQIIIIQII16x", 5, 0, 0o40755, 0, len(listing), 0xFFFFFFFF, 0, 0, 0, 1, 2, 2)
        self.inodes[0] = root + listing
        meta = b"".join(each.ljust(BLOCK, b"\0") for each in self.inodes)
        assert len(meta) <= (_DATA - 1) * BLOCK
        head = bytearray(BLOCK)
        blocks = _DATA + len(self.data) // BLOCK
        struct.pack_into(
            "<IIIBBHQQIIII16s16sIHHHBBIQ4xIQ", head, 1024,
            0xE0F5E1E2, 0, 3, 12, 1, 0, len(self.inodes) + self.elsewhere, 1, 2, blocks, 1, 0, b"u" * 16, b"built",
            self.incompatible, self.algorithms, 0, 0, 0, 0, 0, self.packed, 0, 0,
        )  # fmt: skip
        head[1024 + 0x5B] = self.prefixes[0]
        struct.pack_into("<I", head, 1024 + 0x5C, self.prefixes[1])
        if self.metabox is not None:
            struct.pack_into("<Q", head, 1024 + 128, self.metabox)
        place = 1024 + 144
        for algorithm, configuration in _CONFIGURATIONS.items():
            if self.algorithms >> algorithm & 1:
                struct.pack_into("<H", head, place, len(configuration))
                head[place + 2 : place + 2 + len(configuration)] = configuration
                place += -(-(2 + len(configuration)) // 4) * 4
        struct.pack_into("<I", head, 1028, crc32c(bytes(head[1024:])) ^ 0xFFFFFFFF)
        return bytes(head) + meta.ljust((_DATA - 1) * BLOCK, b"\0") + bytes(self.data)


def map_header(algorithms: int, flags: int = 0, *, low: int = 0) -> bytes:
    return struct.pack("<IHBB", low, flags, algorithms, 0)


def full_index(size: int, clusters: list[Cluster], *, is_big: bool) -> bytes:
    """Return the index of 8 bytes an entry."""
    heads = {cluster.start // BLOCK: cluster for cluster in clusters}
    rows = bytearray(8)
    for number in range(-(-size // BLOCK)):
        cluster = heads.get(number)
        if cluster is not None:
            advice = cluster.kind | (1 << 15 if cluster.is_partial else 0)
            rows += struct.pack("<HHI", advice, cluster.start % BLOCK, cluster.block)
            last = number
            continue
        following = min((lcn for lcn in heads if lcn > number), default=-(-size // BLOCK))
        distance = number - last
        if is_big and distance == 1:
            distance = 1 << 11 | heads[last].blocks
        rows += struct.pack("<HHHH", INSIDE, 0, distance, following - number)
    return bytes(rows)


def compact_index(size: int, clusters: list[Cluster], place: int, *, is_big: bool) -> bytes:
    """Return the index of 4 and 2 bytes an entry that begins at byte ``place``; blocks must follow on each other."""
    heads = {cluster.start // BLOCK: cluster for cluster in clusters}
    count = -(-size // BLOCK)
    words, block_of = [], []
    last = 0
    for number in range(count):
        cluster = heads.get(number)
        if cluster is not None:
            last = number
            words.append((cluster.kind, cluster.start % BLOCK))
        elif is_big and number == last + 1:
            words.append((INSIDE, 1 << 11 | heads[last].blocks))
        else:
            words.append((INSIDE, number - last))
        block_of.append(heads[last])
    few = min(-place % 32 // 4, count)
    many = (count - few) // 16 * 16
    output, number = b"", 0
    for amount, per_pack, size_of_pack in ((few, 2, 8), (many, 16, 32), (count - few - many, 2, 8)):
        end = number + amount
        while number < end:
            part = words[number : number + per_pack]
            first = next((n for n in range(number, number + len(part)) if n in heads), None)
            if len(part) == per_pack and part[-1][0] == INSIDE and not part[-1][1] & 1 << 11:
                following = min((lcn for lcn in heads if lcn > number + per_pack - 1), default=count)
                part[-1] = (INSIDE, following - (number + per_pack - 1))
            base = 0
            if first is not None:
                before = sum(w[1] & 0x7FF for w in words[number:first] if w[0] == INSIDE and w[1] & 1 << 11)
                base = heads[first].block - (before if is_big else 1)
            width = 16 if per_pack == 2 else 14
            bits = sum((kind << 12 | value) << width * index for index, (kind, value) in enumerate(part))
            output += bits.to_bytes(size_of_pack - 4, "little") + struct.pack("<I", base & 0xFFFFFFFF)
            number += len(part)
    return output
