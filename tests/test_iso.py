"""ISO 9660 with Rock Ridge: names, owners, modes, links and times as the host had them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from media import medium_of

from volforensic.evidence.filesystems import open_filesystem
from volforensic.evidence.iso import IsoReader
from volforensic.evidence.reader import Window

pytestmark = pytest.mark.skipif(shutil.which("genisoimage") is None, reason="genisoimage is not installed")
LONG = "a directory of the host " + "n" * 60


@pytest.mark.parametrize("joliet", [[], ["-J", "-joliet-long"]])
def test_entries_are_those_of_the_tree(tmp_path: Path, joliet: list[str]) -> None:
    tree, disk = tmp_path / "tree", tmp_path / "disk.iso"
    (tree / LONG).mkdir(parents=True)
    (tree / LONG / "a.b.conf").write_text("here")
    (tree / "link").symlink_to("../" + LONG + "/a.b.conf")
    (tree / LONG / "a.b.conf").chmod(0o640)
    subprocess.run(["genisoimage", "-quiet", "-R", *joliet, "-o", str(disk), str(tree)], check=True)
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        medium = medium_of(descriptor)
        window = Window(medium, 0, medium.size)
        reader = open_filesystem("iso9660", window, lambda _: None)
        assert isinstance(reader, IsoReader)
        nodes = {one.name: one.node for one in reader.entries(reader.root())}
        assert set(nodes) == {LONG.encode(), b"link"}
        link, directory = nodes[b"link"], nodes[LONG.encode()]
        assert link is not None
        assert link.link_target == b"../" + LONG.encode() + b"/a.b.conf"
        assert directory is not None
        (file,) = reader.entries(directory)
        assert file.name == b"a.b.conf"
        assert file.node is not None
        assert (file.node.mode, file.node.size, file.node.problems) == (0o640, 4, ())
        assert file.node.modified == int((tree / LONG / "a.b.conf").stat().st_mtime) * 1_000_000_000
        assert file.node.extents is not None
        assert window.read_at(file.node.extents[0].source_offset, 4) == b"here"
        assert list(reader.remarks()) == []
    finally:
        os.close(descriptor)
