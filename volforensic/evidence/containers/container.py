"""What a container format is asked: whether a file is one, what it says of itself, and its disk as a medium.

Each format is a module with three functions. All run in a worker: headers and tables are evidence.

- ``recognises(first: NamedFile) -> bool``: by signature and size, without reading much.
- ``look(files: Sequence[NamedFile]) -> ContainerFacts``: ``files[0]`` is the one that was named, the others are what
  was found for the references of an earlier look. It is asked again until no new reference comes.
- ``open_container(files, parent: Medium | None, note: NoteFault) -> Medium``: the logical disk.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from volforensic.medium import Medium
from volforensic.record import Problem


class ContainerError(ValueError):
    """A structure of a container is not what it can be, or names what is not supported: a sentence for the examiner."""


class NamedFile(NamedTuple):
    """A file of a container: the last component of its path, and its bytes."""

    name: bytes
    medium: Medium


class Fault(NamedTuple):
    """A range of the logical disk (bytes) that fails a check of the container's own, and why.

    ``lost`` is false where the bytes came all the same: they stand as they are stored, and their checksum differs.
    """

    position: int
    length: int
    reason: str
    lost: bool


NoteFault = Callable[[Fault], None]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Another file that the container names, as it names it; only the last component is ever looked for.

    ``parent`` is a disk below this one: it is opened as an image of its own. The others are parts of this one.
    """

    name: bytes
    role: Literal["segment", "extent", "data", "parent"]
    is_optional: bool = False


class ContainerFacts(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a container says of itself: the disk's size in bytes, what else it needs, the hashes that it stores.

    ``hashes`` are of the logical disk, by algorithm; ``details`` are for the examiner to read.
    """

    kind: str
    size: int
    references: list[Reference] = []
    hashes: dict[str, str] = {}
    details: dict[str, str] = {}
    problems: list[Problem] = []


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why a container cannot be read: what its reader says, in a ``ContainerError``."""

    reason: str


def parent_mismatch(child: ContainerFacts, parent: ContainerFacts) -> str:
    """Return why the one does not have the other as its parent, by VMDK's content ids; "" where nothing says so."""
    wanted, found = child.details.get("parent CID", ""), parent.details.get("CID", "")
    if not wanted or wanted.lower().lstrip("0") == found.lower().lstrip("0"):
        return ""
    return (
        f"vmdk: the parent's content id is {found or 'not known'} and not {wanted}: it was changed, or is another disk"
    )
