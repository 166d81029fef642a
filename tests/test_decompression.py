"""Compressed logs: members, damage, bombs, and files that are not what their first bytes say."""

import bz2
import gzip
import hashlib
import lzma
import os
import resource
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_samples import entry
from media import medium_of

from volforensic.collection.content import Block, Content, Loss, SourceFile
from volforensic.collection.decompression import decompressed, is_text
from volforensic.collection.file_content import open_content
from volforensic.evidence.decompressors import is_compressed
from volforensic.evidence.node import Extent, Reader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LINES = [
    b"Nov 16 10:%02d:%02d web sshd[%d]: Failed password for root from 203.0.113.%d port %d ssh2"
    % (n // 60 % 60, n % 60, n * 7919 % 30000, n * 31 % 250, 1024 + n * 104729 % 60000)
    for n in range(8000)
]
TEXT = b"\n".join(LINES) + b"\n"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
NOISE = hashlib.shake_256(b"noise").digest(100_000)
MEBIBYTE = 1 << 20
each_format = pytest.mark.parametrize("name", COMPRESS)


def expand(data: bytes, piece: int = 1 << 16) -> tuple[bytes, list[Loss]]:
    losses: list[Loss] = []
    blocks = [Block(start, data[start : start + piece]) for start in range(0, len(data), piece)]
    output = list(decompressed(blocks, losses))
    position = 0
    for block in output:
        assert block.position == position
        position += len(block.data)
    return b"".join(block.data for block in output), losses


@each_format
def test_a_file_comes_back(name: str) -> None:
    for piece in (1000, 1 << 16, 4 << 20):
        assert expand(COMPRESS[name](TEXT), piece) == (TEXT, [])


@each_format
def test_several_members_are_one_file(name: str) -> None:
    compress = COMPRESS[name]
    data = compress(b"one\n") + compress(b"") + compress(b"two\n") + compress(TEXT)
    assert expand(data) == (b"one\ntwo\n" + TEXT, [])


@each_format
def test_an_empty_file_and_nul_bytes_behind_and_between(name: str) -> None:
    compress = COMPRESS[name]
    assert expand(compress(b"")) == (b"", [])
    assert expand(compress(b"a\n") + bytes(5000) + compress(b"b\n") + bytes(100_000)) == (b"a\nb\n", [])


@each_format
def test_a_cut_file_keeps_its_head(name: str) -> None:
    data = COMPRESS[name](TEXT)
    for cut in (1, len(data) // 10, len(data) // 2):
        text, losses = expand(data[:-cut])
        assert TEXT.startswith(text)
        assert losses[0].reason.startswith("the compressed data ends early")
        assert losses[0].offset == len(text)
        if name in ("gzip", "xz"):
            assert len(text) > len(TEXT) * (len(data) - cut) // len(data) - 100_000


@pytest.mark.parametrize("place", [0.02, 0.3, 0.7, 0.99, 0.9999])
def test_gzip_damaged_anywhere_gives_all_that_comes_before(place: float) -> None:
    data = bytearray(COMPRESS["gzip"](TEXT))
    damaged_at = int(len(data) * place)
    data[damaged_at] ^= 0xFF
    text, losses = expand(bytes(data))
    inflater = zlib.decompressobj(wbits=31)
    sound = inflater.decompress(bytes(data[:damaged_at]))
    assert text.startswith(sound)
    assert len(losses) == 1


def test_a_wrong_checksum_costs_no_byte() -> None:
    data = bytearray(COMPRESS["gzip"](TEXT))
    data[-6] ^= 1
    text, losses = expand(bytes(data))
    assert text == TEXT
    assert "damaged" in losses[0].reason


@pytest.mark.parametrize(("name", "lost"), [("xz", 8000), ("zstd", 140_000), ("bz2", 900_000)])
def test_damage_costs_a_block_of_the_format(name: str, lost: int) -> None:
    data = bytearray(COMPRESS[name](TEXT * 3))
    place = len(data) * 3 // 4
    data[place : place + 4] = b"\xff\x00\xff\x00"
    text, losses = expand(bytes(data))
    sound, _ = expand(bytes(data[:place]))
    assert len(losses) == 1
    assert text.startswith(sound[: max(0, len(sound) - lost)])
    assert len(sound) >= MEBIBYTE // 2


def bomb(name: str, mebibytes: int) -> bytes:
    zeros = bytes(MEBIBYTE)
    if name == "gzip":
        worker = zlib.compressobj(9, wbits=31)
        return b"".join(worker.compress(zeros) for _ in range(mebibytes)) + worker.flush()
    if name == "bz2":
        packer = bz2.BZ2Compressor()
        return b"".join(packer.compress(zeros) for _ in range(mebibytes)) + packer.flush()
    if name == "xz":
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0}]
        return b"".join([lzma.compress(bytes(64 * MEBIBYTE), filters=filters)] * (mebibytes // 64))
    return zstandard.ZstdCompressor(level=1).compress(bytes(64 * MEBIBYTE)) * (mebibytes // 64)


@each_format
def test_a_bomb_is_cut_and_takes_no_memory(name: str) -> None:
    data = bomb(name, 320)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    losses: list[Loss] = []
    size = sum(len(block.data) for block in decompressed([Block(0, data)], losses))
    assert size < 300 * MEBIBYTE
    assert "the rest was not read" in losses[0].reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # kibibytes


def test_a_zstd_window_of_gibibytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = packer.compress(os.urandom(1000)) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    text, losses = expand(data)
    assert text == b""
    assert "damaged" in losses[0].reason


def test_very_many_empty_members() -> None:
    text, losses = expand(gzip.compress(b"", mtime=0) * 200_000 + gzip.compress(b"the log\n"), 4 << 20)
    assert (text, losses) == (b"the log\n", [])


def test_text_behind_a_member_is_given_as_it_stands() -> None:
    """Twenty bytes of gzip at the head of a log would else hide all of it."""
    text, losses = expand(gzip.compress(b"") + TEXT)
    assert text == TEXT
    assert "not compressed" in losses[0].reason
    assert expand(gzip.compress(b"a\n") + b"b")[0] == b"a\nb"


def test_noise_behind_a_member_is_not_given() -> None:
    text, losses = expand(gzip.compress(TEXT) + b"\x01" + NOISE)
    assert text == TEXT
    assert "not compressed" in losses[0].reason


def test_a_short_hole_in_compressed_data_is_nul_bytes_and_a_vast_one_is_a_loss() -> None:
    data = gzip.compress(bytes(100_000) + b"end\n", compresslevel=0, mtime=0)
    start = data.index(bytes(9000)) // 4096 * 4096 + 4096
    losses: list[Loss] = []
    blocks = [Block(0, data[:start]), Block(start + 4096, data[start + 4096 :])]
    assert b"".join(block.data for block in decompressed(blocks, losses)) == bytes(100_000) + b"end\n"
    assert losses == []
    blocks = [Block(0, data[:start]), Block(1 << 40, data[start:])]
    list(decompressed(blocks, losses))
    assert "hole" in losses[0].reason


@given(st.binary(max_size=300), st.sampled_from(sorted(COMPRESS)), st.integers(0, 200), st.integers(1, 64))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise(noise: bytes, name: str, place: int, piece: int) -> None:
    data = bytearray(COMPRESS[name](b"some text of a log\n" * 30))
    data[place : place + len(noise) // 2] = noise
    expand(bytes(data), piece)


def test_text_is_told_from_compressed_data() -> None:
    assert is_text(b"Nov 16 10:00:00 web sshd[1]: \xc3\xa9t\xc3\xa9\n")
    assert not is_text(NOISE)
    assert not is_text(COMPRESS["gzip"](TEXT))
    assert not any(is_compressed(head) for head in (b"", b"BZhello", b"BZ", b"\x1f\x8b", b"Nov 16", b"\x28\xb5"))


def no_filesystem(_volume: int) -> Reader:
    raise NotImplementedError  # files with extents are read without it


def opened(tmp_path: Path, data: bytes) -> Content:
    image = tmp_path / "image"
    image.write_bytes(data)
    file = entry(b"/var/log/auth.log.1.gz", size=len(data), extents=(Extent(0, 0, len(data)),))
    return open_content(medium_of(os.open(image, os.O_RDONLY)), file, SourceFile(size=len(data)), no_filesystem)


def text_of(content: Content) -> bytes:
    return b"".join(chunk.data for chunk in content.chunks())


@each_format
def test_a_file_is_known_by_its_bytes_not_its_name(name: str, tmp_path: Path) -> None:
    content = opened(tmp_path, COMPRESS[name](TEXT))
    assert (text_of(content), text_of(content), content.losses) == (TEXT, TEXT, [])


def test_a_gz_that_is_text_is_read(tmp_path: Path) -> None:
    assert text_of(opened(tmp_path, TEXT)) == TEXT


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08\x00", b"BZh91AY&SY", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"])
def test_a_log_that_begins_like_a_compressed_file_does_not_vanish(magic: bytes, tmp_path: Path) -> None:
    content = opened(tmp_path, magic + b"\n" + TEXT)
    assert text_of(content).endswith(TEXT)
    assert content.losses
