"""Builds hostile and damaged disk images: deterministic, without root, each with good files around the damage.

The good file is /etc/crontab: its record must come out of every image in which the damage does not hide it.
"""

import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MEBIBYTE = 1 << 20
UUID = "6d0c1f3e-5a47-4b1e-9a55-0f5f8d3b7c21"
CRON_COMMAND = "/usr/local/sbin/good-job"
AUTH_LINE = b"Oct 10 10:10:%02d web sshd[11]: Accepted password for alice from 192.0.2.7 port 40022 ssh2\n"
BLOCK = 1024
INODE_SIZE = 256


class Hostile(NamedTuple):
    """An image and what a run of it must give.

    ``keeps`` are the artifacts whose good record must be there, ``says`` a word that a problem must hold ("" where
    nothing is lost and the run may be complete), ``statuses`` the exit statuses that are right.
    """

    path: Path
    keeps: tuple[str, ...] = ("cron",)
    says: str = ""
    statuses: tuple[int, ...] = (3,)


Builder = Callable[[Path], Hostile]


def good_tree(folder: Path) -> Path:
    """Write the files of a small server below ``folder``."""
    files = {
        "etc/crontab": f"17 * * * * root {CRON_COMMAND}\n".encode(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
        "etc/hostname": b"web\n",
        "etc/os-release": b'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian 12"\n',
        "var/log/auth.log": b"".join(AUTH_LINE % (number % 60) for number in range(200)),
        "home/alice/.bash_history": b"ls\nid\n",
        "home/alice/a/deep/file": b"deep\n",
        "usr/share/doc/one": b"1" * 3000,
        "usr/share/doc/two": b"2" * 3000,
        "bin/tool": b"\x7fELF" + bytes(5000),
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


class Ext:
    """An ext filesystem with blocks of 1 KiB in one block group, edited by ``debugfs`` and by bytes."""

    def __init__(self, folder: Path, *, kind: str = "ext4", features: str = "^metadata_csum,^has_journal") -> None:
        """Make the image from the good tree."""
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
            str(good_tree(folder / "tree")),
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
        table = struct.unpack("<I", self.read(2048 + 8, 4))[0]
        return int(table * BLOCK + (self.number(path) - 1) * INODE_SIZE)

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
        assert len(old) == len(new)
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


def _extent_loop(folder: Path) -> Hostile:
    image = Ext(folder)
    free = image.free_block()
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 1) + extent_index(0, free))
    image.write(free * BLOCK, extent_header(1, 84, 1) + extent_index(0, free))
    return Hostile(image.path, says="auth.log")


def _extent_depth(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 65535) + extent_index(0, image.free_block()))
    return Hostile(image.path, says="auth.log")


def _extent_fan_out(folder: Path) -> Hostile:
    image = Ext(folder)
    free = image.free_block()
    image.set_extents("/var/log/auth.log", extent_header(4, 4, 5) + b"".join(extent_index(n, free) for n in range(4)))
    for depth in range(5):
        below = free + depth + 1
        image.write(
            (free + depth) * BLOCK,
            extent_header(84, 84, 4 - depth) + b"".join(extent_index(n, below) for n in range(84)),
        )
    image.debugfs("set_inode_field /var/log/auth.log size 1073741824")
    return Hostile(image.path, says="auth.log")


def _extent_overfull(folder: Path) -> Hostile:
    image = Ext(folder)
    block = image.block("/var/log/auth.log")
    image.set_extents("/var/log/auth.log", extent_header(65535, 65535, 0) + extent_leaf(0, 20, block))
    return Hostile(image.path, says="auth.log")


def _extent_beyond(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", extent_header(1, 4, 0) + extent_leaf(0, 20, 1 << 40))
    return Hostile(image.path, says="auth.log")


def _extents_overlapping(folder: Path) -> Hostile:
    image = Ext(folder)
    block = image.block("/var/log/auth.log")
    leaves = [extent_leaf(0, 17, block), extent_leaf(2, 5, block), extent_leaf(1, 9, block), extent_leaf(0, 17, block)]
    image.set_extents("/var/log/auth.log", extent_header(4, 4, 0) + b"".join(leaves))
    return Hostile(image.path, says="auth.log")


def _extent_magic(folder: Path) -> Hostile:
    image = Ext(folder)
    image.set_extents("/var/log/auth.log", b"\xff" * 60)
    return Hostile(image.path, says="auth.log")


def _indirect_loop(place: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder, kind="ext2", features="^resize_inode")
        free = image.free_block()
        image.write(free * BLOCK, struct.pack("<I", free) * (BLOCK // 4))
        image.write(image.inode("/var/log/auth.log") + 40 + place * 4, struct.pack("<I", free))
        image.debugfs("set_inode_field /var/log/auth.log size 8589934592")
        return Hostile(image.path, says="auth.log")

    return build


def _directory_cycle(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("ln <2> /home/alice/loop", "ln <2> /home/alice/a/loop", "ln /home /home/alice/a/up", "ln <2> /loop")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _record_length(value: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        start = image.block("/usr/share/doc") * BLOCK
        image.write(start + 24 + 4, struct.pack("<H", value))
        return Hostile(image.path, keeps=("cron", "auth_log"), says="/usr/share/doc")

    return build


def _inode_out_of_range(value: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        start = image.block("/usr/share/doc") * BLOCK
        image.write(start + 24, struct.pack("<I", value))
        return Hostile(image.path, keeps=("cron", "auth_log"), says="/usr/share/doc")

    return build


def _odd_names(folder: Path) -> Hostile:
    image = Ext(folder)
    names = [f"name{number:04}" for number in range(10)]
    image.debugfs("mkdir /odd", "cd /odd", *(f"write /etc/hostname {name}" for name in names))
    odd = [b"na\x00e0000", b"../../et", b"\x1b]52;c;0", b"\xff\xfeABCDEF", b"new\nline", b"dup00000", b"dup00000"]
    odd += [b"=cmd()!A", b"-rf / ..", b"\xe2\x80\xaeabcde"]
    for name, new in zip(names, odd, strict=True):
        image.rename_in_place("/odd", name.encode(), new)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _dot_dot_file(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("mkdir /odd", "cd /odd", "write /etc/hostname zz", "write /etc/hostname z")
    image.rename_in_place("/odd", b"zz", b"..")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _deep(folder: Path) -> Hostile:
    image = Ext(folder)
    lines = ["mkdir /odd", "cd /odd"]
    for _ in range(1500):
        lines += ["mkdir d", "cd d"]
    image.debugfs(*lines)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _huge_size(path: str, *keeps: str) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        image.debugfs(f"set_inode_field {path} size 0x3fffffffffffff")
        return Hostile(image.path, keeps=keeps or ("cron",), statuses=(0, 3))

    return build


def _huge_directory(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("set_inode_field /usr/share/doc size 0x3fffffffffffff")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _huge_symlink(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("symlink /var/log/secure /etc/passwd", "set_inode_field /var/log/secure size 0x3fffffffffffff")
    return Hostile(image.path, keeps=("cron", "auth_log"), says="secure")


def _symlink_chains(folder: Path) -> Hostile:
    image = Ext(folder)
    lines = ["symlink /var/log/secure /var/log/secure.1", "symlink /var/log/secure.1 /var/log/secure"]
    lines += ["mkdir /odd", *(f"symlink /odd/l{number} /odd/l{number + 1}" for number in range(500))]
    lines += ["symlink /var/log/auth.log.1 /odd/l0", "symlink /odd/out ../../../../../../etc/shadow"]
    image.debugfs(*lines)
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _log_directory_is_link(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("mkdir /old", "ln /var/log /old/log", "unlink /var/log", "symlink /var/log /old/log")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _special_files(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs(
        "rm /var/log/auth.log", "cd /var/log", "mknod auth.log p", "mknod wtmp c 1 5", "mknod btmp b 8 0",
        "cd /home/alice", "rm .bash_history", "mknod .bash_history c 1 5",
    )  # fmt: skip
    return Hostile(image.path, statuses=(0, 3))


def _superblock_field(offset: int, form: str, value: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        image.superblock(offset, form, value)
        return Hostile(image.path, keeps=(), statuses=(0, 3, 7))

    return build


SUPERBLOCK_FIELDS = {
    "inodes_count": (0, "<I"),
    "blocks_count": (4, "<I"),
    "first_data_block": (20, "<I"),
    "log_block_size": (24, "<I"),
    "blocks_per_group": (32, "<I"),
    "inodes_per_group": (40, "<I"),
    "magic": (56, "<H"),
    "revision": (76, "<I"),
    "first_inode": (84, "<I"),
    "inode_size": (88, "<H"),
    "incompatible": (96, "<I"),
    "descriptor_size": (254, "<H"),
    "blocks_count_high": (336, "<I"),
    "log_groups_per_flex": (372, "<B"),
}


def _cut(size: int) -> Builder:
    def build(folder: Path) -> Hostile:
        image = Ext(folder)
        os.truncate(image.path, size)
        return Hostile(image.path, keeps=(), statuses=(3, 7))

    return build


def _filled(content: bytes) -> Builder:
    def build(folder: Path) -> Hostile:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "disk.raw"
        path.write_bytes(content * (4 * MEBIBYTE // len(content)))
        return Hostile(path, keeps=(), statuses=(7,))

    return build


def _forged_mbr(folder: Path) -> Hostile:
    image = Ext(folder)
    image.write(446, struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 4096))
    image.write(510, b"\x55\xaa")
    return Hostile(image.path, keeps=("cron", "auth_log"), says="partition table", statuses=(0, 3))


def _forged_gpt(folder: Path) -> Hostile:
    image = Ext(folder)
    entry = struct.pack("<16s16sQQQ72s", b"\1" * 16, b"\2" * 16, 34, 60, 0, "x".encode("utf-16-le"))
    image.write(512, gpt_header(entries=entry.ljust(128 * 4, b"\0"), entries_at=60, count=4))
    image.write(60 * 512, entry)
    return Hostile(image.path, keeps=(), statuses=(0, 3))


def gpt_header(*, entries: bytes, entries_at: int, count: int, entry_size: int = 128) -> bytes:
    """Return a GPT header whose own checksum is right (UEFI 2.10, table 5.5)."""
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART", 0x10000, 92, 0, 0, 1, 0, 34, 16000, b"\7" * 16, entries_at, count, entry_size, zlib.crc32(entries),
    )  # fmt: skip
    return head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]


def gpt_disk(folder: Path, *, sector: int = 512) -> tuple[Path, int]:
    """Build a GPT disk with the good ext4 in its one partition; return it and the partition's first byte."""
    image = Ext(folder)
    content = image.path.read_bytes()
    start = MEBIBYTE
    size = start + len(content) + MEBIBYTE
    last = size // sector - 1
    first = start // sector
    entry = struct.pack("<16s16sQQQ72s", b"\xaf" * 16, b"\2" * 16, first, first + len(content) // sector - 1, 0, b"")
    entries = entry.ljust(128 * 128, b"\0")
    disk = bytearray(size)
    disk[446:462] = struct.pack("<B3xB3xII", 0, 0xEE, 1, last)
    disk[510:512] = b"\x55\xaa"
    disk[sector : sector + 92] = gpt_header(entries=entries, entries_at=2, count=128)
    disk[2 * sector : 2 * sector + len(entries)] = entries
    behind = last - len(entries) // sector
    disk[behind * sector : behind * sector + len(entries)] = entries
    disk[last * sector : last * sector + 92] = gpt_header(entries=entries, entries_at=behind, count=128)
    disk[start : start + len(content)] = content
    image.path.write_bytes(disk)
    return image.path, start


def _gpt(edits: dict[int, bytes], keeps: tuple[str, ...], says: str, statuses: tuple[int, ...] = (3,)) -> Builder:
    def build(folder: Path) -> Hostile:
        path, _ = gpt_disk(folder)
        with path.open("r+b") as file:
            for offset, data in edits.items():
                file.seek(offset)
                file.write(data)
        return Hostile(path, keeps=keeps, says=says, statuses=statuses)

    return build


def _gpt_header_edit(*, count: int = 128, entry_size: int = 128, entries_at: int = 2) -> Builder:
    """Write the same absurd header, its own checksum right, as primary and as backup."""

    def build(folder: Path) -> Hostile:
        path, _ = gpt_disk(folder)
        header = gpt_header(entries=b"", entries_at=entries_at, count=count, entry_size=entry_size)
        with path.open("r+b") as file:
            for place in (512, path.stat().st_size - 512):
                file.seek(place)
                file.write(header)
        keeps = ("cron", "auth_log") if entries_at == 2 else ()
        return Hostile(path, keeps=keeps, says="GPT", statuses=(3, 7))

    return build


def _extended_loop(folder: Path) -> Hostile:
    image = Ext(folder)
    content = image.path.read_bytes()
    disk = bytearray(MEBIBYTE) + content + bytes(MEBIBYTE)
    disk[446:478] = struct.pack("<B3xB3xII", 0, 0x83, 2048, len(content) // 512) + struct.pack(
        "<B3xB3xII", 0, 0x05, 100, 1000
    )
    disk[510:512] = b"\x55\xaa"
    disk[100 * 512 + 446 : 100 * 512 + 494] = struct.pack("<B3xB3xII", 0, 0x05, 0, 1000) * 3
    disk[100 * 512 + 510 : 100 * 512 + 512] = b"\x55\xaa"
    image.path.write_bytes(disk)
    return Hostile(image.path, keeps=("cron", "auth_log"), says="circle")


def _inode_table_outside(folder: Path) -> Hostile:
    image = Ext(folder)
    image.write(2048 + 8, struct.pack("<I", 0xFFFFFFF0))
    return Hostile(image.path, keeps=(), says="ext4", statuses=(3, 7))


def _root_is_file(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("set_inode_field <2> mode 0100644")
    return Hostile(image.path, keeps=(), says="root", statuses=(3, 7))


def _zeroed_superblock(folder: Path) -> Hostile:
    image = Ext(folder)
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "^metadata_csum,^has_journal", "-U", UUID,
         "-d", str(folder / "tree"), str(image.path), "20M"], check=True, capture_output=True,
    )  # fmt: skip
    image.write(1024, bytes(1024))
    return Hostile(image.path, keeps=("cron", "auth_log"), says="backup superblock")


def _odd_inodes(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs(
        "set_inode_field /usr/share/doc/one mode 0170644",
        "set_inode_field /usr/share/doc/two links_count 0",
        "set_inode_field /etc/hostname uid 4294967295",
        "set_inode_field /home/alice/.bash_history mtime 0xffffffff",
        "set_inode_field /home/alice/.bash_history mtime_extra 0xffffffff",
        "set_inode_field /home/alice/.bash_history crtime_extra 0xffffffff",
        "set_inode_field /bin/tool generation 0xffffffff",
    )
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _odd_attributes(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("ea_set /etc/passwd user.x aaaa", f"ea_set /etc/hostname user.y {'b' * 300}")
    image.write(image.inode("/etc/passwd") + 128 + 32 + 4 + 2, b"\xff" * 12)
    image.write(image.inode("/etc/hostname") + 104, struct.pack("<I", 0xFFFFFFFF))
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0, 3))


def _inline_data(folder: Path) -> Hostile:
    image = Ext(folder, features="^metadata_csum,^has_journal,inline_data")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0,))


def _log_is_directory(folder: Path) -> Hostile:
    image = Ext(folder)
    image.debugfs("rm /var/log/auth.log", "mkdir /var/log/auth.log", "mkdir /etc/passwd.d")
    return Hostile(image.path, statuses=(0, 3))


def _dirty_journal(folder: Path) -> Hostile:
    image = Ext(folder, features="^metadata_csum,has_journal")
    flags = struct.unpack("<I", image.read(1024 + 96, 4))[0]
    image.superblock(96, "<I", flags | 0x4)
    return Hostile(image.path, keeps=("cron", "auth_log"), says="journal")


def _checksummed(folder: Path) -> Hostile:
    image = Ext(folder, features="metadata_csum,has_journal")
    return Hostile(image.path, keeps=("cron", "auth_log"), statuses=(0,))


BUILDERS: dict[str, Builder] = {
    "extent-loop": _extent_loop,
    "extent-depth-65535": _extent_depth,
    "extent-fan-out": _extent_fan_out,
    "extent-more-than-most": _extent_overfull,
    "extent-beyond-the-end": _extent_beyond,
    "extents-overlapping": _extents_overlapping,
    "extent-magic-wrong": _extent_magic,
    "indirect-loop-single": _indirect_loop(12),
    "indirect-loop-double": _indirect_loop(13),
    "indirect-loop-triple": _indirect_loop(14),
    "directory-cycle": _directory_cycle,
    "record-length-0": _record_length(0),
    "record-length-odd": _record_length(7),
    "record-length-65535": _record_length(65535),
    "inode-out-of-range": _inode_out_of_range(0xFFFFFFF0),
    "inode-one-too-high": _inode_out_of_range(2049),
    "odd-names": _odd_names,
    "file-named-dot-dot": _dot_dot_file,
    "deep-directories": _deep,
    "huge-passwd": _huge_size("/etc/passwd", "cron", "auth_log"),
    "huge-auth-log": _huge_size("/var/log/auth.log"),
    "huge-history": _huge_size("/home/alice/.bash_history", "cron", "auth_log"),
    "huge-os-release": _huge_size("/etc/os-release", "cron", "auth_log"),
    "huge-directory": _huge_directory,
    "huge-symlink": _huge_symlink,
    "symlink-chains": _symlink_chains,
    "log-directory-is-link": _log_directory_is_link,
    "log-is-directory": _log_is_directory,
    "special-files": _special_files,
    **{f"{name}-0": _superblock_field(offset, form, 0) for name, (offset, form) in SUPERBLOCK_FIELDS.items()},
    **{
        f"{name}-max": _superblock_field(offset, form, (1 << 8 * struct.calcsize(form)) - 1)
        for name, (offset, form) in SUPERBLOCK_FIELDS.items()
    },
    "cut-half": _cut(4 * MEBIBYTE),
    "cut-to-inode-table": _cut(300 << 10),
    "cut-to-superblock": _cut(2048),
    "cut-to-a-byte": _cut(1),
    "zeros": _filled(bytes(4096)),
    "noise": _filled(bytes(range(1, 256)) + b"\x01"),
    "forged-mbr": _forged_mbr,
    "forged-gpt": _forged_gpt,
    "gpt-primary-gone": _gpt({512: bytes(512)}, ("cron", "auth_log"), "backup", (0, 3)),
    "gpt-entries-changed": _gpt({1024 + 56: b"x"}, ("cron", "auth_log"), "checksum", (0, 3)),
    "gpt-first-after-last": _gpt(
        {1024 + 32: struct.pack("<Q", 1 << 40), 10 * MEBIBYTE - 512: bytes(512)}, (), "partition 1", (3, 7)
    ),
    "gpt-beyond-the-end": _gpt(
        {1024 + 40: struct.pack("<Q", (1 << 64) - 1), 10 * MEBIBYTE - 512: bytes(512)},
        ("cron", "auth_log"),
        "partition 1",
    ),
    "gpt-both-gone": _gpt({512: bytes(512), 10 * MEBIBYTE - 512: bytes(512)}, (), "", (3, 7)),
    "gpt-count-2-32": _gpt_header_edit(count=0xFFFFFFFF),
    "gpt-entry-size-0": _gpt_header_edit(entry_size=0),
    "gpt-entry-size-1": _gpt_header_edit(entry_size=1),
    "gpt-entries-beyond": _gpt_header_edit(entries_at=1 << 60),
    "extended-loop": _extended_loop,
    "inode-table-outside": _inode_table_outside,
    "root-is-a-file": _root_is_file,
    "superblock-zeroed": _zeroed_superblock,
    "odd-inodes": _odd_inodes,
    "odd-attributes": _odd_attributes,
    "inline-data": _inline_data,
    "dirty-journal": _dirty_journal,
    "checksummed": _checksummed,
}


def xfs_image(folder: Path, *options: str) -> Path:
    """Build an XFS with the good tree; mkfs.xfs takes one as small as this only for its own test suite."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = good_tree(folder / "tree")
    prototype = folder / "prototype"
    prototype.write_text("\n".join(["/", "0 0", "d--755 0 0", *_prototype(tree), "$", ""]))
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, 32 * MEBIBYTE)
    environment = os.environ | {"TEST_DIR": "1", "TEST_DEV": "1", "QA_CHECK_FS": "1"}
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", "-m", f"uuid={UUID}", *options, "-p", str(prototype), str(path)],
        check=True, env=environment, capture_output=True,
    )  # fmt: skip
    return path


def _prototype(directory: Path) -> list[str]:
    lines = []
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            lines += [f"{path.name} d--755 0 0", *_prototype(path), "$"]
        else:
            lines.append(f"{path.name} ---644 0 0 {path}")
    return lines


def btrfs_image(folder: Path) -> Path:
    """Build a btrfs with the good tree, data and metadata mixed so that it is small."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "disk.raw"
    path.touch()
    os.truncate(path, 32 * MEBIBYTE)
    tree = good_tree(folder / "tree")
    subprocess.run(
        ["mkfs.btrfs", "-q", "--mixed", "-U", UUID, "--rootdir", str(tree), str(path)], check=True, capture_output=True
    )
    return path


def seed_images(folder: Path) -> dict[str, Path]:
    """Build one sound image of each kind, for what mutates them."""
    return {
        "ext4": Ext(folder / "ext4", features="metadata_csum,has_journal").path,
        "ext4-plain": Ext(folder / "ext4-plain").path,
        "ext2": Ext(folder / "ext2", kind="ext2", features="^resize_inode").path,
        "gpt": gpt_disk(folder / "gpt")[0],
        "xfs": xfs_image(folder / "xfs"),
        "btrfs": btrfs_image(folder / "btrfs"),
    }
