"""What the second readers through dissect have in common: one inode costs itself only, names and links are bytes."""

from collections.abc import Callable, Iterator
from typing import Any

from volforensic.evidence.node import LINK_TARGET_LIMIT, NEVER_ENDED, SLASH_IN_NAME, Listed, Node

_READ_SIZE = 1 << 20


def name_of(text: str) -> bytes:
    """Return a name of dissect's as the bytes that it was decoded from."""
    return text.encode("utf-8", "surrogateescape")


def listed(name: bytes, inode: int, tree: int, read: Callable[[], Node] | None) -> Listed:
    """Return the entry of a name; ``read`` gives its inode, None where reading it ended an earlier worker."""
    problems = (SLASH_IN_NAME,) if b"/" in name else ()
    if read is None:
        return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, NEVER_ENDED))
    try:
        return Listed(name, inode, tree, allocated=True, node=read(), problems=problems)
    except Exception as error:  # noqa: BLE001 - dissect's errors have no common root; this inode costs itself only
        reason = f"the inode could not be read: {error or type(error).__name__}"[:300]
        return Listed(name, inode, tree, allocated=True, node=None, problems=(*problems, reason))


def link_target(inode: Any, size: int) -> bytes:
    """Return where a symbolic link of dissect's leads; ValueError where it is longer than any that a kernel makes."""
    if size > LINK_TARGET_LIMIT:
        raise ValueError(f"a symbolic link of {size} bytes")
    return name_of(inode.link)


def stream_chunks(stream: Any) -> Iterator[tuple[int, bytes]]:
    """Yield a stream of dissect's with positions."""
    position = 0
    while data := stream.read(_READ_SIZE):
        yield position, data
        position += len(data)
