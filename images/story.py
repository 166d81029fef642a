"""A test disk as a story: the shape of images/*.yaml, and how one is read.

A story says what a host was (``base`` and ``tree``: paths as the host saw them), on which disk it lived (``disk``) and
what a triage of that disk must find (``expect``). Paths of the tree go to the partition or subvolume whose ``mount``
is the longest prefix, so a story reads like the host and not like its disk.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from ruamel.yaml import YAML

STORIES = Path(__file__).parent
BASES = STORIES / "bases"

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class StoryError(ValueError):
    """A story that cannot be built: which one, and what is wrong with it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One path of the host.

    ``content`` is text, ``{base64: ...}``, ``{generator: NAME, arguments: {...}}`` (a function of images/contents.py)
    or a list of these, joined; ``compress: gzip`` packs the result. ``target`` is a symlink's text, ``device`` the
    kind, major and minor number of a device node. Times that are not given follow ``mtime``, and that the story's
    ``installed``.
    """

    path: str
    type: Literal["file", "directory", "symlink", "fifo", "device"] = "file"
    content: str | dict[str, Any] | list[str | dict[str, Any]] = ""
    compress: Literal["gzip"] | None = None
    target: str = ""
    device: tuple[Literal["block", "character"], int, int] | None = None
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    mtime: datetime | None = None
    atime: datetime | None = None
    ctime: datetime | None = None
    crtime: datetime | None = None


class Subvolume(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A btrfs subvolume at the top level: its name and where the host mounts it."""

    name: str
    mount: str


class Partition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partition: its place in the table and the filesystem in it.

    ``size`` is a number with KiB, MiB or GiB. ``logical`` puts it inside the extended partition of an MBR.
    """

    size: str
    type: Literal["linux", "bios-boot", "efi", "swap"] = "linux"
    logical: bool = False
    name: str = ""
    filesystem: Literal["ext2", "ext3", "ext4", "xfs", "btrfs"] | None = None
    mount: str | None = None
    label: str = ""
    uuid: str = ""
    subvolumes: list[Subvolume] = []


class Disk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The disk: its table (``none`` means that the filesystem has the whole disk), its identity, its partitions."""

    table: Literal["gpt", "mbr", "none"]
    size: str
    identifier: str = ""
    partitions: list[Partition]


class ExpectedFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finding that must be there once: its rule, and what tells it from others of that rule.

    ``path`` is the finding's path, ``contains`` text in its statement, evidence lines or cited things.
    """

    rule: str
    severity: str | None = None
    path: str | None = None
    contains: str | None = None


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a triage of the disk must say: every finding, the exit status, the coverage of some artifacts.

    ``coverage`` maps an artifact to its best status over the volumes.
    """

    findings: list[ExpectedFinding]
    exit_status: int = 0
    coverage: dict[str, str] = {}


class Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a distribution puts on a server before anything happens to it."""

    doc: str
    tree: list[Entry]


class Story(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test disk. ``installed`` is when the host was set up, ``taken`` when the disk was imaged (both UTC).

    ``absent`` names paths of the base that this host does not have, ``deleted`` paths of the tree that were removed
    before the disk was imaged (ext2, ext3 and ext4 only).
    """

    name: str
    doc: str
    installed: datetime
    taken: datetime
    disk: Disk
    tree: list[Entry]
    expect: Expectation
    base: str | None = None
    absent: list[str] = []
    deleted: list[str] = []


def byte_size(text: str) -> int:
    """Return the bytes that a size such as ``48MiB`` names."""
    match = re.fullmatch(r"(\d{1,6})(KiB|MiB|GiB)", text)
    if match is None:
        raise StoryError(f"size {text!r}: write a number with KiB, MiB or GiB")
    return int(match[1]) * _UNITS[match[2]]


def names() -> list[str]:
    """Return the names of the stories in this folder, sorted."""
    return sorted(path.stem for path in STORIES.glob("*.yaml"))


def _read(path: Path) -> object:
    yaml = YAML(typ="safe", pure=True)
    return yaml.load(path)


def load(name: str) -> Story:
    """Read ``images/<name>.yaml`` and put the entries of its base before its own; a path of its own replaces one."""
    path = STORIES / f"{name}.yaml"
    if not path.is_file():
        raise StoryError(f"{name}: no such story; there are {', '.join(names())}")
    try:
        story = msgspec.convert(_read(path), Story)
        base = msgspec.convert(_read(BASES / f"{story.base}.yaml"), Base).tree if story.base else []
    except (msgspec.ValidationError, OSError) as error:
        raise StoryError(f"{name}: {error}") from error
    entries = {entry.path: entry for entry in [*base, *story.tree]}
    for absent in story.absent:
        if entries.pop(absent, None) is None:
            raise StoryError(f"{name}: absent: {absent} is not in the base")
    return msgspec.structs.replace(story, tree=[entries[key] for key in sorted(entries)])
