"""Opening the filesystem of a volume: with the reader that reads it truly, or with a library for a second opinion."""

from collections.abc import Callable, Sequence

from volforensic.evidence.archive_signatures import ARCHIVES
from volforensic.evidence.devices import DeviceRange
from volforensic.evidence.node import Reader
from volforensic.evidence.reader import Window


def open_filesystem(  # noqa: PLR0913 - one for each kind; what a reader may want to know
    kind: str,
    window: Window,
    begin_item: Callable[[int], None],
    skipped: frozenset[int] = frozenset(),
    devices: Sequence[DeviceRange] = (),
    *,
    is_verifying: bool = False,
) -> Reader:
    """Return the reader for the filesystem ``kind`` in the window; raises what the reader raises.

    ``devices`` are those of a filesystem that has several (btrfs), the window's own may be among them. Where
    ``is_verifying`` the reader compares the checksums of files' bytes too, if the filesystem has them.
    """
    # The libraries are loaded here and not above: the parent process never loads a parser.
    if kind == "xfs":
        from volforensic.evidence.xfs import XfsReader  # noqa: PLC0415 - see above

        return XfsReader(window, begin_item, skipped)
    if kind == "btrfs":
        from volforensic.evidence.btrfs import BtrfsReader  # noqa: PLC0415 - see above

        return BtrfsReader(window, begin_item, skipped, devices, is_verifying=is_verifying)
    packed = _open_packed(kind, window, begin_item, skipped)
    if packed is not None:
        return packed
    from volforensic.evidence.tsk import open_with_tsk  # noqa: PLC0415 - see above

    return open_with_tsk(kind, window, begin_item, skipped)


def _open_packed(
    kind: str, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int]
) -> Reader | None:
    """Return the reader of what is written once and never changed; None for other filesystems."""
    if kind == "squashfs":
        from volforensic.evidence.squashfs import SquashfsReader  # noqa: PLC0415 - see above

        return SquashfsReader(window, begin_item, skipped)
    if kind == "erofs":
        from volforensic.evidence.erofs import ErofsReader  # noqa: PLC0415 - see above

        return ErofsReader(window, begin_item, skipped)
    if kind in ARCHIVES:
        from volforensic.evidence.archives import open_archive  # noqa: PLC0415 - see above

        return open_archive(kind, window, begin_item, skipped)
    if kind == "iso9660":
        from volforensic.evidence.iso import IsoReader, has_rock_ridge  # noqa: PLC0415 - see above

        if has_rock_ridge(window):
            return IsoReader(window, begin_item, skipped)
    return None


SECOND_READERS = {
    "xfs": "dissect.xfs",
    "btrfs": "dissect.btrfs",
    "squashfs": "dissect.squashfs",
    "ext2": "TSK",
    "ext3": "TSK",
    "ext4": "TSK",
}
"""The libraries that can read a filesystem again, by its type."""


def open_with_library(
    kind: str, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int] = frozenset()
) -> Reader:
    """Return the second reader for a filesystem of ``SECOND_READERS``; raises what the library raises."""
    if kind == "xfs":
        from volforensic.evidence.library_xfs import LibraryXfsReader  # noqa: PLC0415 - see above

        return LibraryXfsReader(window, begin_item, skipped)
    if kind == "btrfs":
        from volforensic.evidence.library_btrfs import LibraryBtrfsReader  # noqa: PLC0415 - see above

        return LibraryBtrfsReader(window, begin_item, skipped)
    if kind == "squashfs":
        from volforensic.evidence.library_squashfs import LibrarySquashfsReader  # noqa: PLC0415 - see above

        return LibrarySquashfsReader(window, begin_item, skipped)
    from volforensic.evidence.tsk import TskReader  # noqa: PLC0415 - see above

    return TskReader(window, begin_item, skipped)
