"""Opening the filesystem of a volume with the library that reads it truly."""

from collections.abc import Callable

from volforensic.evidence.node import Reader
from volforensic.evidence.reader import Window


def open_filesystem(
    kind: str, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int] = frozenset()
) -> Reader:
    """Return a reader for the filesystem ``kind`` in the window; raises what the library raises."""
    # The libraries are loaded here and not above: the parent process never loads a parser.
    if kind == "xfs":
        from volforensic.evidence.xfs import XfsReader  # noqa: PLC0415 - see above

        return XfsReader(window, begin_item, skipped)
    if kind == "btrfs":
        from volforensic.evidence.btrfs import BtrfsReader  # noqa: PLC0415 - see above

        return BtrfsReader(window, begin_item, skipped)
    from volforensic.evidence.tsk import open_with_tsk  # noqa: PLC0415 - see above

    return open_with_tsk(kind, window, begin_item, skipped)
