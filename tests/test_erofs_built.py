"""Erofs features that mkfs.erofs 1.5 does not make: images built by hand, read by us and by the kernel."""

import hashlib
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from erofs_builder import (
    BLOCK,
    DEFLATE,
    HEAD,
    LZ4,
    LZMA,
    OTHER_HEAD,
    PLAIN,
    ZSTD,
    Cluster,
    Image,
    compact_index,
    full_index,
    map_header,
)
from loop_mounts import mounted
from test_walk import Walked

_chance = random.Random(3)  # noqa: S311 - no secret: the same each time
_WORDS = [_chance.randbytes(9) for _ in range(200)]
TEXT = b"".join(_chance.choice(_WORDS) for _ in range(30_000))
SIZE = 41_000  # of what is compressed at once: ends of it are anywhere in a block


def stored_clusters(image: Image, algorithm: int, content: bytes = TEXT, kind: int = HEAD) -> list[Cluster]:
    found = image.clusters(content, algorithm, SIZE, kind)
    if found is None:
        pytest.skip("liblzma has no encoder of MicroLZMA here")
    return found


def blocks(clusters: list[Cluster]) -> int:
    return sum(cluster.blocks for cluster in clusters)


def algorithms(image: Image, algorithm: int) -> None:
    """Add the text in both indexes."""
    found = stored_clusters(image, algorithm)
    full = map_header(algorithm, 2) + full_index(len(TEXT), found, is_big=True)
    image.named("full", TEXT, image.inode(1, len(TEXT), blocks(found), full))
    again = stored_clusters(image, algorithm)
    compact = map_header(algorithm, 7) + compact_index(len(TEXT), again, 72, is_big=True)
    image.named("compact", TEXT, image.inode(3, len(TEXT), blocks(again), compact))


def two_algorithms(image: Image) -> None:
    first, second = (
        stored_clusters(image, algorithm, TEXT[:SIZE], kind)[0] for algorithm, kind in ((LZ4, HEAD), (ZSTD, OTHER_HEAD))
    )
    content = TEXT[:SIZE] + TEXT[:SIZE]
    found = [first, second._replace(start=SIZE)]
    index = map_header(LZ4 | ZSTD << 4, 6) + full_index(len(content), found, is_big=True)
    image.named("both", content, image.inode(1, len(content), blocks(found), index))


def parts(image: Image) -> None:
    """Add a file that uses the begin of another's cluster, for each algorithm that can be used in part."""
    for algorithm in (LZ4, LZMA, DEFLATE, ZSTD):
        found = stored_clusters(image, algorithm, TEXT[:SIZE])
        whole = map_header(algorithm, 2) + full_index(SIZE, found, is_big=True)
        image.named(f"whole{algorithm}", TEXT[:SIZE], image.inode(1, SIZE, blocks(found), whole))
        partial = [found[0]._replace(is_partial=True)]
        index = map_header(algorithm, 2) + full_index(30_001, partial, is_big=True)
        image.named(f"part{algorithm}", TEXT[:30_001], image.inode(1, 30_001, 0, index))


def in_a_circle(image: Image) -> None:
    content = TEXT[:20_000]
    first, last = (image.clusters(part, LZ4, SIZE) for part in (content[:5000], content[9000:]))
    assert first is not None
    assert last is not None
    plain, turned = content[5000:9000], 5000 % BLOCK
    raw = bytearray(BLOCK)
    for number, byte in enumerate(plain):
        raw[(turned + number) % BLOCK] = byte
    found = [*first, Cluster(5000, PLAIN, image.store(bytes(raw)), 1), last[0]._replace(start=9000)]
    index = map_header(LZ4, 0x12) + full_index(len(content), found, is_big=True)
    image.named("circle", content, image.inode(1, len(content), blocks(found), index))


def fragments(image: Image) -> None:
    packed = b"p" * 777 + TEXT[-9999:]
    found = stored_clusters(image, ZSTD, packed)
    index = map_header(ZSTD, 2) + full_index(len(packed), found, is_big=True)
    image.packed = image.inode(1, len(packed), blocks(found), index)
    image.named("whole", TEXT[-9999:], image.inode(3, 9999, 0, struct.pack("<Q", 777 | 1 << 63)))
    head = TEXT[: len(TEXT) - 9999]
    clusters = stored_clusters(image, DEFLATE, head)
    for name, layout in (("full", 1), ("compact", 3)):
        if layout == 3:
            clusters = stored_clusters(image, DEFLATE, head)
        tail = Cluster(len(head), HEAD, 0 if layout == 1 else clusters[-1].block + clusters[-1].blocks, 0)
        flags = 0x22 if layout == 1 else 0x27
        encode = full_index if layout == 1 else lambda *given, **big: compact_index(given[0], given[1], 72, **big)
        index = map_header(DEFLATE, flags, low=777) + encode(len(TEXT), [*clusters, tail], is_big=True)
        image.named(name, TEXT, image.inode(layout, len(TEXT), blocks(clusters), index))


def records(image: Image) -> None:
    """Add files with records of clusters in place of an index, in all their sizes."""
    for bits, size in ((2, 16), (3, 32)):
        content = TEXT[:100_000] + bytes(50_000) + TEXT[:7000]
        rows = []
        for number, (start, end) in enumerate(((0, 60_000), (60_000, 100_000), (150_000, 157_000))):
            found = image.clusters(content[start:end], (ZSTD, DEFLATE, LZ4)[number], SIZE * 2)
            assert found is not None
            place, word = found[0].block * BLOCK, found[0].blocks * BLOCK | ((ZSTD, DEFLATE, LZ4)[number] + 1) << 28
            rows.append((word, place, place >> 32, start, 0))
        rows.insert(2, (0, 0, 0, 100_000, 0))
        table = b"".join(struct.pack("<IIIII12x", *row)[:size] for row in rows)
        header = struct.pack("<IHH", len(rows), 1 | bits << 1, 0)
        behind = header + bytes(-72 % size) + table
        image.named(f"records{size}", content, image.inode(1, len(content), 1, behind))
    for bits, size in ((0, 4), (1, 8)):
        found = image.clusters(TEXT, DEFLATE, 65536)
        assert found is not None
        words = [cluster.blocks * BLOCK | (DEFLATE + 1) << 28 for cluster in found]
        table = struct.pack("<Q", found[0].block * BLOCK) + b"".join(struct.pack("<I", word) for word in words)
        if size == 8:
            table = b"".join(
                struct.pack("<II", word, each.block * BLOCK) for word, each in zip(words, found, strict=True)
            )
        header = struct.pack("<IHBB", len(found), 1 | bits << 1, 0, 4)
        image.named(f"records{size}", TEXT, image.inode(1, len(TEXT), 1, header + table))


def wide(image: Image) -> None:
    """Add a file with chunks of 48 bits and one that is a hole by its inode alone."""
    content = TEXT[:5000] + bytes(3192) + TEXT[:4096]
    first, second = image.store(TEXT[:5000], is_compressed=False), image.store(TEXT[:4096])
    table = b"".join(struct.pack("<HHI", 0, 0, block) for block in (first, first + 1, second))
    image.named("chunks", content, image.inode(4, len(content), 0x60, table))
    image.inode(0, 9000, 0xFFFFFFFF)
    raw = bytearray(image.inodes[-1])
    raw[6:8] = b"\xff\xff"
    image.inodes[-1] = bytes(raw)
    image.named("hole", bytes(9000), (len(image.inodes) - 1) * (BLOCK // 32))


def boxed(image: Image) -> None:
    """Add inodes that stand in an inode, which is compressed."""
    image.inode(2, 300, 0xFFFFFFFF, TEXT[:300])
    found = stored_clusters(image, LZ4)
    index = map_header(LZ4, 7) + compact_index(len(TEXT), found, 72, is_big=True)
    image.inode(3, len(TEXT), blocks(found), index)
    inodes = [image.inodes.pop() for _ in range(2)]
    image.elsewhere = len(inodes)
    box = b"".join(raw.ljust(BLOCK, b"\0") for raw in inodes)
    clusters = stored_clusters(image, ZSTD, box)
    index = map_header(ZSTD, 2) + full_index(len(box), clusters, is_big=True)
    image.metabox = image.inode(1, len(box), blocks(clusters), index)
    image.named("compressed", TEXT, 1 << 63)
    image.named("inline", TEXT[:300], 1 << 63 | BLOCK // 32)


CASES: dict[str, tuple[Callable[[Image], None], int]] = {
    "LZ4": (lambda image: algorithms(image, LZ4), 0x3),
    "LZMA": (lambda image: algorithms(image, LZMA), 0x3),
    "DEFLATE": (lambda image: algorithms(image, DEFLATE), 0x3),
    "zstd": (lambda image: algorithms(image, ZSTD), 0x3),
    "two algorithms": (two_algorithms, 0xB),
    "parts": (parts, 0x23),
    "circle": (in_a_circle, 0x3),
    "fragments": (fragments, 0x23),
    "records": (records, 0x83),
    "wide": (wide, 0x87),
    "metabox": (boxed, 0x103),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_built_by_hand_reads_as_the_kernel_reads_it(tmp_path: Path, name: str) -> None:
    fill, features = CASES[name]
    image = Image(features)
    fill(image)
    path = tmp_path / "image"
    path.write_bytes(image.finished())
    walked = Walked(path, "erofs")
    expected = {f"/{file}".encode(): hashlib.sha256(content).hexdigest() for file, content in image.files.items()}
    found = {entry.path: walked.content(entry) for entry in walked.entries if entry.path != b"/"}
    assert found == {file: (digest, []) for file, digest in expected.items()}
    assert walked.problems == []
    assert not any(entry.problems for entry in walked.entries)
    if os.geteuid() == 0:
        with mounted(path, tmp_path / "mount", "ro") as folder:
            kernel = {
                f"/{each.name}".encode(): hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()
            }
        assert kernel == expected


def test_a_name_with_a_long_prefix_is_told(tmp_path: Path) -> None:
    image = Image(0x43)
    prefix = b"\x06cap"
    place = image.store(struct.pack("<H", len(prefix)) + prefix, is_compressed=False) * BLOCK
    image.prefixes = (1, place // 4)
    value = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    entry = struct.pack("<BBH", 7, 0x80, len(value)) + b"ability" + value + b"\0"
    image.named("ping", b"x", image.inode(2, 1, 0xFFFFFFFF, b"x", mode=0o100755, attributes=bytes(12) + entry))
    path = tmp_path / "image"
    path.write_bytes(image.finished())
    assert Walked(path, "erofs").living()[b"/ping"].capabilities == "cap_net_raw=ep"
    with mounted(path, tmp_path / "mount", "ro") as folder:
        assert os.getxattr(folder / "ping", "security.capability") == value
