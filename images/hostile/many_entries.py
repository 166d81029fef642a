"""Directories with hundreds of thousands of names, written as blocks: in one directory, or over many (4.6)."""

import struct
from pathlib import Path

from images.hostile.ext_disk import Ext, extent_header, extent_leaf

_BLOCK = 1024
_NAME = struct.Struct("<IHBB7sx")
_MOST_BLOCKS = 32768
_SECTORS = _BLOCK // 512


def many_entries(folder: Path, count: int, directories: int) -> Path:
    """Build an ext4 whose ``directories`` have ``count`` names in all, each a hard link of /etc/hostname."""
    image = Ext(folder)
    image.debugfs("mkdir /many", *(f"mkdir /many/d{number:04}" for number in range(directories)))
    linked = image.number("/etc/hostname")
    per_block, per_directory = _BLOCK // _NAME.size, count // directories
    blocks = -(-per_directory // per_block)
    first, place = 8192 + 64, 0  # behind the filesystem that was made: it is enlarged
    with image.path.open("r+b") as file:
        for directory in range(directories):
            path = f"/many/d{directory:04}"
            start, own = first + directory * (blocks + 1), image.number(path)
            head = image.read(image.block(path) * _BLOCK, _BLOCK)
            names = (
                _NAME.pack(linked, _NAME.size, 7, 1, b"%07d" % number) for number in range(place, place + per_directory)
            )
            body = b"".join(names)
            rest = len(body) % _BLOCK
            if rest:  # the last entry reaches to the end of its block
                end = len(body) - _NAME.size
                last = _NAME.pack(linked, _NAME.size + _BLOCK - rest, 7, 1, body[end + 8 : end + 15])
                body = body[:end] + last + bytes(_BLOCK - rest)
            file.seek(start * _BLOCK)
            file.write(head + body)
            place += per_directory
            _map(image, image.inode_place(own), start, blocks + 1)
    image.superblock(4, "<I", first + directories * (blocks + 1))
    return image.path


def _map(image: Ext, inode: int, start: int, blocks: int) -> None:
    leaves = [
        extent_leaf(done, min(_MOST_BLOCKS, blocks - done), start + done) for done in range(0, blocks, _MOST_BLOCKS)
    ]
    image.write(inode + 40, (extent_header(len(leaves), 4, 0) + b"".join(leaves)).ljust(60, b"\0"))
    image.write(inode + 4, struct.pack("<I", blocks * _BLOCK))
    image.write(inode + 28, struct.pack("<I", blocks * _SECTORS))
