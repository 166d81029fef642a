"""Common inodes of ext are decoded in few steps: the same must come out as by the careful way."""

import os
import random
import struct
from pathlib import Path

import pytest
from media import medium_of

from images.hostile.ext_disk import Ext
from volforensic.evidence.ext_inodes import ExtInodes
from volforensic.evidence.ext_nodes import ExtNodes
from volforensic.evidence.node import Node
from volforensic.evidence.reader import Window

FEATURES = {"with checksums": "metadata_csum,^has_journal", "without": "^metadata_csum,^has_journal"}


def outcome(nodes: ExtNodes, inodes: ExtInodes, number: int, *, careful: bool) -> Node | str:
    try:
        return nodes.of(inodes.read(number)) if careful else nodes.node(number)
    except (ValueError, OSError) as error:
        return str(error)


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
def test_both_ways_give_the_same_of_damaged_inodes(tmp_path: Path, features: str) -> None:
    image = Ext(tmp_path, features=features)
    image.debugfs("symlink /etc/link passwd", "mknod /etc/null c 1 3", "ea_set /etc/passwd security.selinux label")
    table = struct.unpack("<I", image.read(2048 + 8, 4))[0] * 1024
    sound = image.path.read_bytes()
    chance = random.Random(7)  # noqa: S311 - no secret: the same each time
    seen = set()
    for _ in range(150):
        data = bytearray(sound)
        for _ in range(chance.randint(0, 60)):
            place = table + 10 * 256 + chance.randrange(30 * 256)
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, data[place] ^ 1 << chance.randrange(8)))
        image.path.write_bytes(data)
        descriptor = os.open(image.path, os.O_RDONLY)
        window = Window(medium_of(descriptor), 0, len(data))
        inodes = ExtInodes(window)
        nodes = ExtNodes(window, inodes)
        for number in range(1, 50):
            fast = outcome(nodes, inodes, number, careful=False)
            assert fast == outcome(nodes, inodes, number, careful=True)
            seen.add(fast if isinstance(fast, str) else fast.type)
        os.close(descriptor)
    assert {"file", "directory", "symlink", "character_device"} <= seen


def test_a_wrong_checksum_is_said_whichever_bit_of_the_inode_changed(tmp_path: Path) -> None:
    image = Ext(tmp_path, features=FEATURES["with checksums"])
    place, number = image.inode("/usr/share/doc/one"), image.number("/usr/share/doc/one")
    for offset in (*range(4, 24), 45, 100, 110, 124, 125, 130, 131, 133, 150, 200, 255):
        before = image.read(place + offset, 1)
        image.write(place + offset, bytes([before[0] ^ 0x10]))
        descriptor = os.open(image.path, os.O_RDONLY)
        window = Window(medium_of(descriptor), 0, image.path.stat().st_size)
        inodes = ExtInodes(window)
        found = outcome(ExtNodes(window, inodes), inodes, number, careful=False)
        os.close(descriptor)
        assert not isinstance(found, str)
        assert "the checksum of its inode is wrong" in found.problems
        image.write(place + offset, before)
