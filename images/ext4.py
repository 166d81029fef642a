"""Builds ext2, ext3 and ext4 filesystems with mke2fs and debugfs, the same bytes each time.

``mke2fs -d`` copies a folder in the order in which the host lists it, which differs between hosts; debugfs writes in
ours. Every field of an inode that a tool fills from the clock or from the host's file is set afterwards.
"""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from images import tools
from images.story import Partition, byte_size
from images.tree import Node

_BASE_FEATURES = "none,ext_attr,dir_index,filetype,sparse_super,large_file,resize_inode"
FEATURES = {
    "ext2": _BASE_FEATURES,
    "ext3": f"{_BASE_FEATURES},has_journal",
    "ext4": f"{_BASE_FEATURES},has_journal,extent,flex_bg,64bit,huge_file,dir_nlink,extra_isize,metadata_csum",
}
_EPOCH_BITS = 2
_LINES = "\n\r\0"


def build(partition: Partition, nodes: Sequence[Node], moments: tuple[int, int], folder: Path) -> Path:
    """Build the filesystem in ``folder`` and return its file.

    Args:
        partition: size, kind, UUID and label of the filesystem.
        nodes: what is in it, parents before children, the root first.
        moments: when it was made and when it was last written, in seconds since 1970.
        folder: a temporary folder for the file contents and the result.
    """
    image = folder / "filesystem"
    with image.open("wb") as file:
        file.truncate(byte_size(partition.size))
    made, written = moments
    tools.run(_mke2fs(partition, image), environment={"E2FSPROGS_FAKE_TIME": str(made), "MKE2FS_CONFIG": "/dev/null"})
    removals = (f"{_removal(node)} {_quoted(node.path)}" for node in reversed(nodes) if node.deleted)
    _debugfs(image, [*_creation(nodes, folder), *_inode_fields(nodes), *removals], written)
    return image


def _mke2fs(partition: Partition, image: Path) -> list[str | Path]:
    extended = f"hash_seed={partition.uuid},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard"
    identity = ["-U", partition.uuid, *(["-L", partition.label] if partition.label else [])]
    geometry = ["-b", "4096", "-I", "256", "-m", "1", "-O", FEATURES[str(partition.filesystem)]]
    return ["mke2fs", "-q", "-F", "-t", str(partition.filesystem), *geometry, *identity, "-E", extended, image]


def _debugfs(image: Path, commands: Sequence[str], now: int) -> None:
    """Run debugfs commands; it exits with 0 also where one fails, so any word on its standard error counts."""
    script = image.with_name("debugfs.script")
    script.write_text("".join(f"{command}\n" for command in commands))
    done = tools.run(["debugfs", "-w", "-f", script, image], environment={"E2FSPROGS_FAKE_TIME": str(now)})
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")]
    if complaints:
        raise tools.ToolError(f"debugfs: {complaints[0]}")


def _creation(nodes: Sequence[Node], folder: Path) -> Iterator[str]:
    for number, node in enumerate(nodes):
        if node.path == "/":
            continue
        yield f"cd {_quoted(node.parent)}"
        yield _create(node, folder / f"content-{number}")


def _create(node: Node, content: Path) -> str:
    name = _quoted(node.name)
    match stat.S_IFMT(node.mode):
        case stat.S_IFDIR:
            return f"mkdir {name}"
        case stat.S_IFLNK:
            return f"symlink {name} {_quoted(node.target)}"
        case stat.S_IFIFO:
            return f"mknod {name} p"
        case stat.S_IFBLK | stat.S_IFCHR as kind:
            return f"mknod {name} {'b' if kind == stat.S_IFBLK else 'c'} {node.device[0]} {node.device[1]}"
        case _:
            content.write_bytes(node.content)
            return f"write {_quoted(str(content))} {name}"


def _removal(node: Node) -> str:
    return "rmdir" if stat.S_ISDIR(node.mode) else "rm"


def _inode_fields(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        path = _quoted(node.path)
        for name, value in _fields(node):
            yield f"set_inode_field {path} {name} {value}"


def _fields(node: Node) -> Iterator[tuple[str, str]]:
    yield "mode", f"0{node.mode:o}"
    yield "uid", str(node.uid)
    yield "gid", str(node.gid)
    for name, value in node.times._asdict().items():
        whole, fraction = divmod(value, 1_000_000_000)
        yield name, f"@{whole}"
        yield f"{name}_extra", str(fraction << _EPOCH_BITS)


def _quoted(word: str) -> str:
    if any(character in word for character in _LINES):
        raise tools.ToolError(f"debugfs: a script cannot hold the name {word!r}")
    return '"' + word.replace('"', '""') + '"'
