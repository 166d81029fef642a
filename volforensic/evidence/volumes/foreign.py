"""Volumes that are named and not read: what a signature alone tells.

Sources: cryptsetup's docs and the kernel's drivers/md/dm-integrity.c and dm-verity's superblock (veritysetup(8)),
Microsoft's BitLocker boot sector, mdadm's super-intel.c and super-ddf.c (SNIA DDF 2.0) for where a signature lies.
"""

from volforensic.evidence.reader import Window

_AT_BEGIN = (
    (3, b"-FVE-FS-", "encrypted by BitLocker"),
    (0, b"integrt\0", "under dm-integrity"),
    (0, b"verity\0\0", "hashes of dm-verity"),
)
_SECTOR = 512
_DDF = b"\xde\x11\xde\x11"
_IMSM = b"Intel Raid ISM Cfg Sig. "


def foreign_kind(window: Window) -> str:
    """Return what a volume is that is not read here, as a problem says it; empty where no signature tells."""
    head = _read(window, 0, _SECTOR)
    return next((kind for place, magic, kind in _AT_BEGIN if head[place : place + len(magic)] == magic), "")


def external_metadata(window: Window) -> str:
    """Return whose RAID metadata stand at the volume's end (DDF, Intel's IMSM); empty for none."""
    last = _read(window, window.length - _SECTOR, _SECTOR)
    if last.startswith(_DDF):
        return "metadata of DDF"
    for sector in (_SECTOR, 4096):
        if _read(window, window.length - 2 * sector, len(_IMSM)) == _IMSM:
            return "metadata of Intel (IMSM)"
    return ""


def _read(window: Window, place: int, size: int) -> bytes:
    try:
        return window.read_at(place, size)
    except OSError:
        return b""
