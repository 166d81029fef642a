"""Erofs against the kernel: names, inodes, contents of every layout that mkfs.erofs makes; and what damage costs."""

import hashlib
import json
import os
import random
import struct
from pathlib import Path

import pytest
from collection_runs import disk
from command_line import run, triage
from erofs_images import erofs_image
from loop_mounts import mounted
from media import medium_of
from mutant_runs import judged
from test_squashfs import fill, without_unkept
from test_walk import Walked, kernel_rows, our_rows

from images.hostile.kit import good_tree
from volforensic.evidence.erofs_space import ErofsError, ErofsSpace
from volforensic.evidence.node import REACHED_BEFORE
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import Filesystem, recognise
from volforensic.evidence.superblocks import crc32c

VARIANTS = (
    (),
    ("-zlz4",),
    ("-zlz4hc,12", "-C65536"),
    ("-zlz4", "-C1048576"),
    ("-zlz4hc", "-Elegacy-compress"),
    ("-zlz4", "-Eztailpacking"),
    ("-zlz4", "-C32768", "-Eztailpacking,force-inode-extended"),
    ("-zlz4", "--max-extent-bytes=16384"),
    ("-Enoinline_data",),
    ("-Eforce-inode-extended", "-x1"),
    ("-Eforce-inode-compact", "--ignore-mtime", "--force-uid=7", "--force-gid=65535"),
    ("-x-1",),
    ("--chunksize=4096",),
    ("--chunksize=65536", "-Eforce-inode-blockmap"),
    ("--chunksize=4096", "-Eforce-chunk-indexes"),
    ("-zlz4", "-T1234567890"),
)


def more(folder: Path) -> Path:
    """Write what only an erofs keeps in its own ways: half-compressible files, large ones, shared attributes."""
    fill(folder)
    (folder / ("n" * 255)).rename(folder / ("n" * 254))  # mkfs.erofs 1.5 ends with an error at 255
    chance = random.Random(5)  # noqa: S311 - no secret: the same each time
    words = [chance.randbytes(7) for _ in range(50)]
    text = b"".join(chance.choice(words) for _ in range(200_000))
    (folder / "words").write_bytes(text)
    (folder / "mixed").write_bytes(
        b"".join(text[n : n + 20_000] + chance.randbytes(9_000) for n in range(0, 900_000, 20_000))
    )
    (folder / "zeros").write_bytes(bytes(3_000_000))
    (folder / "tail").write_bytes(text[:100_003])
    (folder / "many" / "longer").write_bytes(text[:8192])
    if not os.geteuid():
        for name in ("words", "mixed", "zeros", "tail"):
            os.setxattr(folder / name, "user.shared", b"the same value of all")
            os.setxattr(folder / name, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 12, 0, 0, 0))
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return more(tmp_path_factory.mktemp("erofs") / "tree")


@pytest.mark.parametrize("options", VARIANTS, ids=" ".join)
def test_the_walk_sees_what_the_kernel_sees(tree: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    image = erofs_image(tree, tmp_path / "image", *options)
    with mounted(image, tmp_path / "mount", "ro") as folder:
        expected = without_unkept(kernel_rows(folder))
        links = {os.fsencode(path)[len(os.fsencode(folder)) :]: path.lstat().st_nlink for path in folder.rglob("*")}
        devices = {path: os.lstat(os.fsencode(folder) + path).st_rdev for path in (b"/device", b"/block")}
    walked = Walked(image, "erofs")
    found = without_unkept(our_rows(walked))
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}
    living = walked.living()
    assert {path: entry.links for path, entry in living.items() if path != b"/"} == links
    assert {path: os.makedev(*living[path].device or ()) for path in devices} == devices
    assert walked.problems == []
    capable = {path: entry.capabilities for path, entry in living.items() if entry.capabilities}
    raw = {b"/text4095", b"/text4096", b"/hard", b"/random4097"}
    expected_names = dict.fromkeys(raw, "cap_net_raw=ep") | dict.fromkeys(
        (b"/words", b"/mixed", b"/zeros", b"/tail"), "cap_net_admin=ep"
    )
    assert capable == ({} if "-x-1" in options else expected_names)
