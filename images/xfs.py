"""Builds XFS filesystems with mkfs.xfs and a protofile, the same bytes each time.

mkfs.xfs writes the clock into every inode, and a protofile knows neither times nor the sticky bit. So mode, owner and
times are written into the inodes afterwards, with their checksums (xfs_dinode in fs/xfs/libxfs/xfs_format.h of the
kernel; version 3 inodes).
"""

import re
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from images import tools
from images.checksum import crc32c
from images.story import Partition, StoryError, byte_size
from images.tree import Node, Times

_SMALL = {"TEST_DIR": "1", "TEST_DEV": "1", "QA_CHECK_FS": "1"}
"""mkfs.xfs makes filesystems below 300 MiB for its own tests only, which it knows by these variables."""

_KINDS = {
    stat.S_IFDIR: "d",
    stat.S_IFREG: "-",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFBLK: "b",
    stat.S_IFCHR: "c",
}
_CHUNK = 64  # inodes are made in chunks of so many, aligned
_CHECKSUM = 100
_GENERATION = 92
_FLAGS = 120
_BIRTH = 144
_NUMBER = 152
_BIG_TIMES = 8
_BIG_TIME_ZERO = (1 << 31) * 1_000_000_000


class Geometry(NamedTuple):
    """What is needed to find an inode by its number (sizes in bytes, logarithms to the base 2)."""

    block: int
    group_blocks: int
    inode: int
    inodes_log: int
    group_log: int
    special: tuple[int, ...]

    def offset(self, number: int) -> int:
        """Return where an inode begins, in bytes."""
        index = number & ((1 << self.inodes_log) - 1)
        block = number >> self.inodes_log & ((1 << self.group_log) - 1)
        group = number >> (self.inodes_log + self.group_log)
        return (group * self.group_blocks + block) * self.block + index * self.inode


def build(partition: Partition, nodes: Sequence[Node], moments: tuple[int, int], folder: Path) -> Path:
    """Build the filesystem in ``folder`` and return its file; the arguments are those of ``ext4.build``."""
    image = folder / "filesystem"
    with image.open("wb") as file:
        file.truncate(byte_size(partition.size))
    (folder / "protofile").write_text("-\n0 0\n" + "".join(_protofile(nodes, folder)))
    tools.run(_mkfs(partition), environment=_SMALL, folder=folder)
    with image.open("r+b") as file:
        _write_inodes(file, nodes, _inode_numbers(image, nodes), moments[0] * 1_000_000_000)
    return image


def _mkfs(partition: Partition) -> list[str]:
    metadata = f"crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=1,inobtcount=1,uuid={partition.uuid}"
    sizes = ["-b", "size=4096", "-s", "size=512", "-i", "size=512,sparse=1", "-d", "agcount=2", "-l", "size=16m"]
    label = ["-L", partition.label] if partition.label else []
    return ["mkfs.xfs", "-q", "-K", "-m", metadata, *sizes, *label, "-p", "protofile", "filesystem"]


def _protofile(nodes: Sequence[Node], folder: Path) -> Iterator[str]:
    """Yield the tokens of mkfs.xfs(8): a node a line, ``$`` at the end of each directory."""
    children: dict[str, list[tuple[int, Node]]] = {}
    for number, node in enumerate(nodes):
        if node.path != "/":
            children.setdefault(node.parent, []).append((number, node))

    def directory(path: str) -> Iterator[str]:
        for number, node in children.get(path, []):
            yield _protofile_line(node, folder / f"content-{number}")
            if stat.S_ISDIR(node.mode):
                yield from directory(node.path)
        yield "$\n"

    yield "d--755 0 0\n"
    yield from directory("/")


def _protofile_line(node: Node, content: Path) -> str:
    if re.search(r"[\s:$]", node.name + node.target) or node.deleted:
        raise StoryError(f"{node.path}: a protofile takes no blanks, colons or dollar signs and deletes nothing")
    kind = stat.S_IFMT(node.mode)
    last = ""
    if kind == stat.S_IFREG:
        content.write_bytes(node.content)
        last = f" {content.name}"
    elif kind == stat.S_IFLNK:
        last = f" {node.target}"
    elif kind in (stat.S_IFBLK, stat.S_IFCHR):
        last = f" {node.device[0]} {node.device[1]}"
    return f"{node.name} {_KINDS[kind]}--{node.mode & 0o777:03o} {node.uid} {node.gid}{last}\n"


def _inode_numbers(image: Path, nodes: Sequence[Node]) -> dict[str, int]:
    """Ask xfs_db for the inode number of every path."""
    folders = [node.path for node in nodes if stat.S_ISDIR(node.mode)]
    commands = [word for path in folders for word in ("-c", f"ls {path}")]
    numbers: dict[str, int] = {}
    current = ""
    for line in tools.run(["xfs_db", "-r", *commands, image]).stdout.splitlines():
        if line.startswith("/") and line.endswith(":"):
            current = line[:-1].rstrip("/")
        elif match := re.fullmatch(r"\d+ +(\d+) +\S+ +0x[0-9a-f]+ +\d+ (.*) \(good\)", line):
            numbers[f"{current}/{match[2]}"] = int(match[1])
    return numbers


def _geometry(file: BinaryIO) -> Geometry:
    file.seek(0)
    superblock = file.read(512)
    block = struct.unpack_from(">I", superblock, 4)[0]
    group_blocks = struct.unpack_from(">I", superblock, 84)[0]
    inode, _ = struct.unpack_from(">HH", superblock, 104)
    special = struct.unpack_from(">QQQ", superblock, 56)
    return Geometry(block, group_blocks, inode, superblock[123], superblock[124], special)


def _write_inodes(file: BinaryIO, nodes: Sequence[Node], numbers: Mapping[str, int], made: int) -> None:
    geometry = _geometry(file)
    root, *internal = geometry.special
    for number in internal:
        _write_inode(file, geometry, number, Times(made, made, made, made), None)
    used = {*geometry.special}
    for node in nodes:
        number = root if node.path == "/" else numbers[node.path]
        used.add(number)
        _write_inode(file, geometry, number, node.times, node)
    for chunk in sorted({number & -_CHUNK for number in used}):
        for number in {*range(chunk, chunk + _CHUNK)} - used:
            _settle_free_inode(file, geometry.offset(number), geometry.inode)


def _settle_free_inode(file: BinaryIO, offset: int, size: int) -> None:
    """Take the random generation away that mkfs.xfs since 6.13 gives the inodes it made and did not use."""
    file.seek(offset)
    inode = bytearray(file.read(size))
    if inode[:2] == b"IN" and inode[4] == 3:
        _seal(inode)
        file.seek(offset)
        file.write(inode)


def _seal(inode: bytearray) -> None:
    """Write generation 0 and the checksum."""
    struct.pack_into(">I", inode, _GENERATION, 0)
    struct.pack_into("<I", inode, _CHECKSUM, 0)
    struct.pack_into("<I", inode, _CHECKSUM, crc32c(bytes(inode)))


def _write_inode(file: BinaryIO, geometry: Geometry, number: int, times: Times, node: Node | None) -> None:
    file.seek(geometry.offset(number))
    inode = bytearray(file.read(geometry.inode))
    flags, own_number = struct.unpack_from(">Q", inode, _FLAGS)[0], struct.unpack_from(">Q", inode, _NUMBER)[0]
    if inode[:2] != b"IN" or inode[4] != 3 or own_number != number or not flags & _BIG_TIMES:
        raise tools.ToolError(f"mkfs.xfs: inode {number} is not where it should be, or without 64-bit times")
    if node is not None:
        struct.pack_into(">H", inode, 2, node.mode)
        struct.pack_into(">II", inode, 8, node.uid, node.gid)
    atime, ctime, mtime, crtime = (_BIG_TIME_ZERO + moment for moment in times)
    struct.pack_into(">QQQ", inode, 32, atime, mtime, ctime)
    struct.pack_into(">Q", inode, _BIRTH, crtime)
    _seal(inode)
    file.seek(geometry.offset(number))
    file.write(inode)
