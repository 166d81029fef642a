"""What a disk is believed to be by its name, and which neighbours a container may name."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest
from media import plain_image
from test_hostile_stages import Silence
from test_sources import disk, read  # noqa: F401 - a fixture

from volforensic.errors import IntegrityError, SourceError
from volforensic.evidence.layout import Layout, Volume
from volforensic.evidence.signatures import Filesystem
from volforensic.evidence.source import Source
from volforensic.evidence.vast import of_files
from volforensic.sandbox.pool import Pool
from volforensic.survey import Survey
from volforensic.unlocking import Unlocking

DAMAGED_QCOW = b"QFI\xfb\0\0\0\3".ljust(72, b"\xff")
COMPRESSED = gzip.compress(b"nothing", mtime=0)


@pytest.mark.parametrize("head", [DAMAGED_QCOW, COMPRESSED], ids=["qcow2", "gzip"])
def test_a_disk_named_raw_is_read_though_its_first_sector_is_a_broken_containers(
    head: bytes,
    disk: bytes,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(head + disk[len(head) :])
    found = read(path)
    assert len(found.rows) > 1
    assert any("read as a plain disk" in problem.reason for problem in found.problems)


def test_an_image_may_lie_in_more_files_than_one_message_to_a_worker_takes(
    disk: bytes,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    size = -(-len(disk) // 500)
    for number in range(500):
        (tmp_path / f"disk.{number + 1:03d}").write_bytes(disk[number * size : (number + 1) * size])
    found = read(tmp_path / "disk.001")
    assert found.sha256 == hashlib.sha256(disk).hexdigest()
    assert any(row["path"] == "/usr/bin/tool" for row in found.rows)


def test_an_encrypted_volume_that_lies_too_deep_is_told(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4096))
    locked = Volume(
        index=7, offset=0, length=4096, kind="luks", description="", filesystem=Filesystem(type="luks", unread="closed")
    )
    with Source(path) as source, Pool(preload=[], jobs=1) as pool:
        unlocking = Unlocking(plain_image(source), pool)
        unlocking.give_up(Layout(disks=[], volumes=[locked], problems=[]))
    assert [(problem.volume, problem.lost) for problem in unlocking.problems] == [(7, True)]


def test_what_was_cut_while_it_was_read_is_not_merely_without_a_filesystem(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 20))
    with Source(path) as source, Pool(preload=[], jobs=1) as pool:
        survey = Survey(plain_image(source), pool, Silence(), lambda _: None)
        os.truncate(path, 512)
        with pytest.raises(IntegrityError, match="changed while it was read"):
            survey.read_layout()


def qcow2_on(parent: bytes) -> bytes:
    """Return a qcow2 of a MiB that holds nothing and stands on another disk."""
    header = b"QFI\xfb" + (2).to_bytes(4, "big") + (72).to_bytes(8, "big") + len(parent).to_bytes(4, "big")
    header += (16).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big") + bytes(4) + (1).to_bytes(4, "big")
    header += (1 << 16).to_bytes(8, "big") + (2 << 16).to_bytes(8, "big") + (1).to_bytes(4, "big") + bytes(12)
    return (header + parent).ljust(1 << 18, b"\0")


def test_a_neighbour_that_is_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    folder, secret = tmp_path / "images", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(bytes(1 << 20))
    (folder / "top.qcow2").write_bytes(qcow2_on(b"base.raw"))
    (folder / "base.raw").symlink_to(secret)
    with pytest.raises(SourceError, match="is a link that leads out of its folder"):
        read(folder / "top.qcow2")


def test_of_a_vast_file_what_is_stored_is_hashed(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"begin")
    os.truncate(path, 1 << 40)
    with path.open("r+b") as file:
        file.seek(1 << 39)
        file.write(b"middle")
    with Source(path) as source:
        digest = source.digest()
    block = 512 << 10
    expected = hashlib.sha256(bytes(8) + b"begin".ljust(block, b"\0"))
    expected.update((1 << 39).to_bytes(8, "little") + b"middle".ljust(block, b"\0"))
    assert digest.sha256 == expected.hexdigest()
    assert [problem.lost for problem in digest.problems] == [False]


def test_several_files_have_one_hash() -> None:
    assert of_files(["ab"]) == "ab"
    assert of_files(["ab", "cd"]) == hashlib.sha256(b"abcd").hexdigest()
