"""Which archive of a tree a disk is, and the reader that opens it."""

from collections.abc import Callable

from volforensic.evidence.archive_reader import ArchiveReader, OpenArchive
from volforensic.evidence.cpio import CpioArchive
from volforensic.evidence.reader import Window
from volforensic.evidence.tar import TarArchive

_FORMATS: dict[str, OpenArchive] = {"tar": TarArchive, "cpio": CpioArchive}


def open_archive(
    kind: str, window: Window, begin_item: Callable[[int], None], skipped: frozenset[int] = frozenset()
) -> ArchiveReader:
    """Return the reader of an archive of one of ``ARCHIVES``."""
    return ArchiveReader(_FORMATS[kind], window, begin_item, skipped)
