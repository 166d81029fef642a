"""The source: opened read-only, pinned, hashed, whatever it is."""

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from volforensic.errors import IntegrityError, SourceError
from volforensic.evidence.source import Source


def image(folder: Path, content: bytes = b"x" * 10_000) -> Path:
    path = folder / "disk.raw"
    path.write_bytes(content)
    return path


def test_a_file_is_hashed_and_its_times_stay(tmp_path: Path) -> None:
    content = os.urandom((9 << 20) + 17)
    path = image(tmp_path, content)
    os.utime(path, ns=(1_000_000_000, 2_000_000_000))
    told: list[int] = []
    with Source(path) as source:
        digest = source.digest(told.append)
        source.check_unchanged()
        assert (source.kind, source.pin.size) == ("file", len(content))
    assert digest.sha256 == hashlib.sha256(content).hexdigest()
    assert digest.problems == []
    assert sum(told) == len(content)
    assert path.stat().st_atime_ns == 1_000_000_000
    assert path.stat().st_mtime_ns == 2_000_000_000


def test_the_descriptor_cannot_write(tmp_path: Path) -> None:
    with Source(image(tmp_path)) as source, pytest.raises(OSError, match="Bad file descriptor"):
        os.write(source.descriptor, b"x")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.mkdir(), "is a directory. A tree of files is named dir:"),
        (os.mkfifo, "is neither a file nor a block device"),
        (lambda path: path.symlink_to("/dev/zero"), "is neither a file nor a block device"),
        (lambda _: None, "cannot be opened: No such file or directory"),
    ],
    ids=["empty", "directory", "fifo", "character device", "missing"],
)
def test_what_is_no_source_is_refused_with_a_sentence(tmp_path: Path, make: object, sentence: str) -> None:
    path = tmp_path / "source"
    assert callable(make)
    make(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SourceError, match=sentence), Source(path):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_change_while_it_is_read_is_an_integrity_error(tmp_path: Path) -> None:
    path = image(tmp_path)
    with Source(path) as source:
        with path.open("ab") as file:
            file.write(b"more")
        with pytest.raises(IntegrityError, match="changed while it was read"):
            source.check_unchanged()


def test_a_source_that_ends_early_says_so(tmp_path: Path) -> None:
    path = image(tmp_path)
    with Source(path) as source:
        os.truncate(path, 6000)
        digest = source.digest()
    assert [(problem.offset, problem.length) for problem in digest.problems] == [(6000, 4000)]
    assert digest.sha256 == hashlib.sha256(b"x" * 6000 + bytes(4000)).hexdigest()


def test_bad_sectors_are_named_and_count_as_nul(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(5 << 20)
    path = image(tmp_path, content)
    bad = range(8192, 12288)
    real = os.preadv

    def failing(descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
        if offset < bad.stop and offset + len(buffers[0]) > bad.start:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, buffers, offset)

    with Source(path) as source:
        monkeypatch.setattr(os, "preadv", failing)
        digest = source.digest()
    assert [(problem.offset, problem.length, problem.lost) for problem in digest.problems] == [(8192, 4096, True)]
    assert digest.sha256 == hashlib.sha256(content[:8192] + bytes(4096) + content[12288:]).hexdigest()


def test_bad_sectors_side_by_side_are_one_range_however_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_descriptor: int, _buffers: Sequence[memoryview], _offset: int) -> int:
        raise OSError(errno.EIO, "bad")

    size = 5 << 20
    with Source(image(tmp_path, bytes(size))) as source:
        monkeypatch.setattr(os, "preadv", failing)
        digest = source.digest()
    assert [(problem.offset, problem.length) for problem in digest.problems] == [(0, size)]


def test_an_error_that_is_not_a_bad_sector_ends_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.ENXIO, "No such device or address")

    with Source(image(tmp_path)) as source:
        monkeypatch.setattr(os, "preadv", failing)
        with pytest.raises(SourceError, match="cannot be read at byte 0: No such device"):
            source.digest()


def test_holes_of_a_sparse_image_count_as_nul_and_every_byte_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(3 << 20)
        file.write(b"data")
        file.truncate((9 << 20) + 17)
    told: list[int] = []
    with Source(path) as source:
        digest = source.digest(told.append)
    assert digest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (sum(told), digest.problems) == (path.stat().st_size, [])
