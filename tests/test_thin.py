"""Thin pools: trees that are damaged, deep or run in circles; what is read of them."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from memory_media import CountedMedium, MemoryMedium, pattern, read_in_pieces

from images.thin import BLOCK, PoolBuilder, node, superblock
from volforensic.evidence.volumes.metadata_trees import TreeError
from volforensic.evidence.volumes.thin import ThinMedium
from volforensic.evidence.volumes.thin_pool import ThinPool

CHUNK = 64 << 10


def medium_on(metadata: bytes, device: int = 1, blocks: int = 64, data: bytes = b"") -> ThinMedium:
    pool = ThinPool(MemoryMedium(metadata), CHUNK)
    return ThinMedium(pool, MemoryMedium(data or pattern(1, 16 * CHUNK)), device, blocks * CHUNK, None)


def value(number: int) -> bytes:
    return struct.pack("<Q", number)


def pool_of(*nodes: bytes, mappings: int = 1) -> bytes:
    return b"".join([superblock(mappings, 1, CHUNK), *nodes])


def test_a_deep_tree_gives_every_block() -> None:
    mapped = {block: (block * 7) % 16 for block in range(0, 60, 3)}
    data = pattern(1, 16 * CHUNK)
    medium = medium_on(PoolBuilder(CHUNK, 2).finished({1: mapped, 3: {}}), data=data)
    expected = bytearray(64 * CHUNK)
    for block, at in mapped.items():
        expected[block * CHUNK : (block + 1) * CHUNK] = data[at * CHUNK : (at + 1) * CHUNK]
    assert read_in_pieces(medium, 100_003) == expected
    assert medium.read_at(0, 64 * CHUNK) == expected
    assert medium.read_at(64 * CHUNK, 5) == medium.read_at(-1, 5) == b""


def test_blocks_that_follow_each_other_are_read_in_one_go() -> None:
    data = CountedMedium(MemoryMedium(pattern(1, 16 * CHUNK)))
    pool = ThinPool(MemoryMedium(PoolBuilder(CHUNK).finished({1: {block: block for block in range(12)}})), CHUNK)
    medium = ThinMedium(pool, data, 1, 12 * CHUNK, None)
    medium.read_at(100, 11 * CHUNK)
    assert data.reads == [(100, 11 * CHUNK)]


def test_a_volume_of_an_exbibyte_is_zeros_where_nothing_is_mapped() -> None:
    medium = medium_on(PoolBuilder(CHUNK).finished({1: {1 << 40: 2}}), blocks=1 << 44)
    assert medium.read_at(1 << 59, 1000) == bytes(1000)
    assert medium.read_at(CHUNK << 40, 100) == pattern(1, 16 * CHUNK)[2 * CHUNK : 2 * CHUNK + 100]


def test_a_block_outside_the_data_is_an_error_not_zeros() -> None:
    medium = medium_on(PoolBuilder(CHUNK).finished({1: {0: 15, 1: 16, 2: 1 << 39}}))
    assert len(medium.read_at(0, CHUNK)) == CHUNK
    for block in (1, 2):
        with pytest.raises(OSError, match="too early"):
            medium.read_at(block * CHUNK, 1)


def test_a_device_that_the_pool_does_not_have_is_an_error() -> None:
    with pytest.raises(TreeError, match="no device 2"):
        medium_on(PoolBuilder(CHUNK).finished({1: {}, 3: {}}), device=2).read_at(0, 1)


def test_every_changed_byte_of_the_metadata_is_an_error_or_means_nothing() -> None:
    metadata = PoolBuilder(CHUNK, 2).finished({1: {block: block for block in range(5)}})
    whole = medium_on(metadata, blocks=6).read_at(0, 6 * CHUNK)
    refused = 0
    for place in range(3, len(metadata), 97):
        changed = bytearray(metadata)
        changed[place] ^= 0x10
        try:
            assert medium_on(bytes(changed), blocks=6).read_at(0, 6 * CHUNK) == whole
        except TreeError:
            refused += 1
    assert refused > len(metadata) // 97 * 0.6  # the details are not read by a volume


def test_circles_end() -> None:
    inner = node(1, [(0, value(1)), (5, value(1))], is_leaf=False)
    with pytest.raises(TreeError, match="levels deep"):
        medium_on(pool_of(inner)).read_at(0, CHUNK)


def test_a_tree_whose_keys_leave_their_parents_range_ends() -> None:
    root = node(1, [(0, value(2)), (1, value(2)), (2, value(2))], is_leaf=False)
    leaf = node(2, [(0, value(3)), (1, value(3)), (2, value(3))], is_leaf=True)
    blocks = node(3, [(0, value(1 << 24))], is_leaf=True)
    assert medium_on(pool_of(root, leaf, blocks)).read_at(0, 10) == pattern(1, 16 * CHUNK)[CHUNK : CHUNK + 10]


@pytest.mark.parametrize(
    "bad",
    [
        node(1, [(5, value(2)), (5, value(2))], is_leaf=True),
        node(1, [(7, value(2)), (5, value(2))], is_leaf=True),
        node(2, [(1, value(2))], is_leaf=True),
        node(1, [(1, value(1 << 50))], is_leaf=False),
        node(1, [], is_leaf=False),
        node(1, [(1, b"")], is_leaf=True, room=3),
        b"",
        bytes(BLOCK),
    ],
)
def test_nodes_that_cannot_be_are_errors(bad: bytes) -> None:
    with pytest.raises(TreeError):
        medium_on(pool_of(bad)).read_at(0, CHUNK)


@pytest.mark.parametrize("chunk", [512, 1 << 20])
def test_the_superblock_must_say_what_lvm_says(chunk: int) -> None:
    metadata = superblock(1, 1, chunk) + node(1, [], is_leaf=True)
    with pytest.raises(TreeError, match="says blocks of"):
        medium_on(metadata).read_at(0, 1)


def test_details_of_the_wrong_size_are_an_error() -> None:
    pool = ThinPool(MemoryMedium(pool_of(node(1, [(1, value(2))], is_leaf=True))), CHUNK)
    with pytest.raises(TreeError, match="details"):
        list(pool.devices())


def test_endless_details_end() -> None:
    root = node(1, [(number, value(2)) for number in range(200)], is_leaf=False)
    leaf = node(2, [(number, bytes(24)) for number in range(60)], is_leaf=True)
    pool = ThinPool(MemoryMedium(pool_of(root, leaf)), CHUNK)
    assert len(list(pool.devices())) == 60


@pytest.mark.skipif(shutil.which("thin_dump") is None, reason="thin_dump (thin-provisioning-tools) is not installed")
def test_the_builder_writes_what_the_tools_read(tmp_path: Path) -> None:
    path = tmp_path / "metadata"
    path.write_bytes(PoolBuilder(CHUNK, 4).finished({1: {0: 3, 1: 4, 5: 0}, 2: {0: 3}}))
    dump = subprocess.run(["thin_dump", path], capture_output=True, text=True, check=False).stdout
    assert '<range_mapping origin_begin="0" data_begin="3" length="2" time="1"/>' in dump
    assert '<single_mapping origin_block="5" data_block="0" time="1"/>' in dump
    assert dump.count("<device ") == 2
