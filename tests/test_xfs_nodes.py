"""Common inodes of XFS are decoded in few steps, and whole directory blocks at once: the same as by the careful way."""

import os
import random
from pathlib import Path

from media import medium_of

from images.hostile.other_disks import xfs_image
from volforensic.evidence.node import Node
from volforensic.evidence.reader import Window
from volforensic.evidence.superblocks import crc32c
from volforensic.evidence.xfs_directory import block_entries, block_names
from volforensic.evidence.xfs_inodes import XfsInodes
from volforensic.evidence.xfs_nodes import XfsNodes

SIZE = 512


def outcome(nodes: XfsNodes, inodes: XfsInodes, number: int, *, careful: bool) -> Node | str:
    try:
        return nodes.of(inodes.read(number)) if careful else nodes.node(number)
    except (ValueError, OSError) as error:
        return str(error)


def with_checksum(inode: bytes) -> bytes:
    cleared = inode[:100] + bytes(4) + inode[104:]
    return inode[:100] + crc32c(cleared).to_bytes(4, "little") + inode[104:]


def test_both_ways_give_the_same_of_damaged_inodes(tmp_path: Path) -> None:
    path = xfs_image(tmp_path)
    sound = path.read_bytes()
    descriptor = os.open(path, os.O_RDONLY)
    root = XfsInodes(Window(medium_of(descriptor), 0, len(sound))).root
    os.close(descriptor)
    table = sound.index(b"IN\x41\xed")  # the root: a directory that everybody may read
    chance = random.Random(11)  # noqa: S311 - no secret: the same each time
    seen = set()
    for turn in range(120):
        data = bytearray(sound[table : table + 30 * SIZE])
        for _ in range(chance.randint(0, 80)):
            place = chance.randrange(len(data))
            data[place] = chance.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF, data[place] ^ 1 << chance.randrange(8)))
        for start in range(0, len(data), SIZE) if turn % 4 else ():
            data[start : start + SIZE] = with_checksum(bytes(data[start : start + SIZE]))
        descriptor = os.open(path, os.O_RDWR)
        os.pwrite(descriptor, data, table)
        window = Window(medium_of(descriptor), 0, len(sound))
        inodes = XfsInodes(window)
        nodes = XfsNodes(window, inodes)
        for number in range(root, root + 40):
            fast = outcome(nodes, inodes, number, careful=False)
            assert fast == outcome(nodes, inodes, number, careful=True)
            seen.add(fast if isinstance(fast, str) else fast.type)
            seen |= set() if isinstance(fast, str) else set(fast.problems)
        os.close(descriptor)
    assert {"file", "directory", "the checksum of its inode is wrong"} <= seen


def entry(number: int, name: bytes) -> bytes:
    body = number.to_bytes(8, "big") + bytes([len(name)]) + name + b"\1"
    return body.ljust(-(-(len(body) + 2) // 8) * 8, b"\0")


def block(*parts: bytes) -> bytes:
    body = b"XDD3".ljust(64, b"\0") + b"".join(parts)
    room = 512 - len(body)
    return body + (b"\xff\xff" + room.to_bytes(2, "big")).ljust(room, b"\0")


def test_a_block_read_at_once_gives_what_the_careful_way_gives() -> None:
    sound = block(entry(7, b"a"), entry(1 << 40, b"n" * 200), b"\xff\xff\0\x10".ljust(16, b"\0"), entry(9, b"\xff/"))
    assert block_names(sound, has_types=True) == [(7, b"a", 1), (1 << 40, b"n" * 200, 1), (9, b"\xff/", 1)]
    chance = random.Random(5)  # noqa: S311 - no secret: the same each time
    outcomes = set()
    for _ in range(3000):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(512)] = chance.choice((0, 1, 8, 0xFF, chance.randrange(256)))
        fast = block_names(bytes(data), has_types=True)
        careful = list(block_entries(bytes(data), has_types=True))
        outcomes.add(fast is None)
        assert fast is None or fast == careful
        assert fast is not None or any(isinstance(found, str) for found in careful) or data[:4] == b"XDB3"
    assert outcomes == {True, False}
