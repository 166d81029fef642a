"""The hash beside the stages: the same digest, files behind it, no wait without end, errors where it is asked for."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from media import plain_image

from volforensic.errors import SourceError
from volforensic.evidence import image_hash
from volforensic.evidence.digests import OPTIONAL_ALGORITHMS, Digests, hashes_of
from volforensic.evidence.image import Image
from volforensic.evidence.image_hash import ImageHash
from volforensic.evidence.source import Digest, Source

CONTENT = os.urandom(6 << 20)
PATIENCE = 20


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Image]:
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    with Source(path) as opened:
        yield plain_image(opened)


def ended(beside: ImageHash) -> Digest:
    digest = beside.wait(PATIENCE)
    assert digest is not None
    return digest


def wait_until_it_rests(beside: ImageHash) -> int:
    """Return where the hash stands when it has not moved for a while."""
    deadline = time.monotonic() + PATIENCE
    position = -1
    while beside.reach(0) != position and time.monotonic() < deadline:
        position = beside.reach(0)
        time.sleep(0.2)
    return position


def test_the_hash_is_that_of_the_source(source: Image) -> None:
    with ImageHash(source, OPTIONAL_ALGORITHMS) as beside:
        digest = ended(beside)
        assert beside.reach(0) > len(CONTENT)
    assert digest.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert digest.others["md5"] == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert digest.others == hashes_of(CONTENT, OPTIONAL_ALGORITHMS).others
    assert list(digest.others) == list(OPTIONAL_ALGORITHMS)


def test_it_waits_for_the_files_and_goes_on_with_them(source: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_hash, "_lead", lambda: 1 << 20)
    with ImageHash(source) as beside:
        first = wait_until_it_rests(beside)
        assert 1 << 20 <= first < 3 << 20
        beside.examined(2 << 20)
        assert first < wait_until_it_rests(beside) < 5 << 20
        assert ended(beside).sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_it_goes_on_to_what_is_waited_for(source: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file far behind the last one that was examined: neither may wait for the other for ever.
    monkeypatch.setattr(image_hash, "_lead", lambda: 1 << 20)
    with ImageHash(source) as beside:
        assert wait_until_it_rests(beside) < 3 << 20
        beside.reach(5 << 20)
        assert 5 << 20 <= wait_until_it_rests(beside) < len(CONTENT)


def test_leaving_ends_one_that_waits(source: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_hash, "_lead", lambda: 1 << 20)
    with ImageHash(source) as beside:
        wait_until_it_rests(beside)
    assert not beside._thread.is_alive()


def test_an_error_of_the_source_comes_where_the_hash_is_asked_for(
    source: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(os, "preadv", failing)
    with ImageHash(source) as beside, pytest.raises(SourceError, match="No such device"):
        ended(beside)


def test_bytes_in_pieces_have_the_hashes_of_the_whole() -> None:
    digests = Digests(["blake3", "sha512"])
    for start in range(0, len(CONTENT), 1 << 20):
        digests.update(CONTENT[start : start + (1 << 20)])
    assert (digests.sha256, digests.others) == hashes_of(CONTENT, ["sha512", "blake3"])
    assert hashes_of(b"abc").others == {}
    assert hashes_of(b"", ["blake3"]).others["blake3"].startswith("af1349b9f5f9a1a6")
