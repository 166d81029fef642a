"""Whether a disk is an archive of a tree: a tar by its first header, a cpio by its magic numbers."""

from volforensic.evidence.cpio_header import LONGEST_HEADER
from volforensic.evidence.cpio_header import read_header as cpio_header
from volforensic.evidence.reader import Window
from volforensic.evidence.tar_header import BLOCK, is_header

ARCHIVES = ("tar", "cpio")


def archive_kind(window: Window) -> str:
    """Return which archive begins with the window, "" for none.

    A tar is known by a header whose checksum is right. A cpio by a header that can be, with a name that ends where it
    says.
    """
    try:
        block = window.read_at(0, BLOCK)
        if is_header(block):
            return "tar"
        header = cpio_header(block[:LONGEST_HEADER])
        if header is None:
            return ""
        return "cpio" if window.read_at(header.length + header.name_size - 1, 1) == b"\0" else ""
    except OSError:
        return ""
