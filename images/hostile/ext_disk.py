"""Small ext filesystems that are edited by name (debugfs) and by byte: deterministic, without root."""

import os
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from images.hostile.kit import UUID, good_tree

BLOCK = 1024
INODE_SIZE = 256


class Ext:
    """An ext filesystem with blocks of 1 KiB in one block group, edited by ``debugfs`` and by bytes."""

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "ext4",
        features: str = "^metadata_csum,^has_journal",
        more: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Make the image from the good tree, with ``more`` files beside or in place of those."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "disk.raw"
        self._environment = os.environ | {"E2FSPROGS_FAKE_TIME": "1700000000"}
        command = [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            kind,
            "-b",
            str(BLOCK),
            "-I",
            str(INODE_SIZE),
            "-O",
            features,
            "-U",
            UUID,
        ]
        command += [
            "-E",
            f"hash_seed={UUID},root_owner=0:0",
            "-d",
            str(good_tree(folder / "tree", more)),
            str(self.path),
            "8M",
        ]
        subprocess.run(command, check=True, env=self._environment, capture_output=True)

    def debugfs(self, *lines: str) -> str:
        """Run lines of debugfs and return what it printed."""
        done = subprocess.run(
            ["debugfs", "-w", "-f", "-", str(self.path)],
            input="\n".join(lines).encode(),
            env=self._environment,
            check=True,
            capture_output=True,
        )
        return done.stdout.decode("utf-8", "replace")

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite bytes."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def superblock(self, offset: int, form: str, value: int) -> None:
        """Set a field of the superblock."""
        self.write(1024 + offset, struct.pack(form, value))

    def number(self, path: str) -> int:
        """Return a path's inode number."""
        return int(self.debugfs(f"stat {path}").partition("Inode:")[2].split()[0])

    def inode(self, path: str) -> int:
        """Return the byte offset of a path's inode."""
        return self.inode_place(self.number(path))

    def inode_place(self, number: int) -> int:
        """Return the byte offset of an inode."""
        table = struct.unpack("<I", self.read(2048 + 8, 4))[0]
        return int(table * BLOCK + (number - 1) * INODE_SIZE)

    def block(self, path: str, index: int = 0) -> int:
        """Return the number of a file's block."""
        return int(self.debugfs(f"bmap {path} {index}").split("\n")[1].split()[0])

    def free_block(self) -> int:
        """Return the number of a block near the end that nothing uses."""
        return 8192 - 40

    def set_extents(self, path: str, header: bytes) -> None:
        """Write a file's i_block: an extent header and what follows it."""
        self.write(self.inode(path) + 40, header.ljust(60, b"\0"))

    def rename_in_place(self, directory: str, old: bytes, new: bytes) -> None:
        """Overwrite a name in a directory's block by one of the same length."""
        if len(old) != len(new):
            raise ValueError("a name is overwritten by one of the same length")
        start = self.block(directory) * BLOCK
        data = self.read(start, BLOCK)
        self.write(start + data.index(old), new)


def extent_header(entries: int, most: int, depth: int) -> bytes:
    """Return an extent header (fs/ext4/ext4_extents.h)."""
    return struct.pack("<HHHHI", 0xF30A, entries, most, depth, 0)


def extent_index(logical: int, block: int) -> bytes:
    """Return an index entry: from which logical block on, and the block that goes on."""
    return struct.pack("<IIHH", logical, block & 0xFFFFFFFF, block >> 32, 0)


def extent_leaf(logical: int, count: int, block: int) -> bytes:
    """Return a leaf entry: logical block, number of blocks, physical block."""
    return struct.pack("<IHHI", logical, count, block >> 32, block & 0xFFFFFFFF)
