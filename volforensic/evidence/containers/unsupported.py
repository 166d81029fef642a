"""Containers that are known by their bytes and not opened: which one it is, and how to make of it what is opened.

Sources: libewf's documentation of EWF2 (Ex01, Lx01); libyal's of AD1 and BitLocker; AFFLIB's of AFF; the description of
ASIF in huven/asif-format; qemu's docs/interop/parallels.txt and qed_spec.txt; Apple's man page of hdiutil; 7-Zip's
7zFormat.txt; PKWARE's APPNOTE.TXT; the LZ4 frame format.
"""

from volforensic.medium import Medium

_QEMU = "convert it with: qemu-img convert -O raw FILE disk.raw"
_BITLOCKER = "unlock it with: cryptsetup open --type bitlk --readonly FILE name, and read /dev/mapper/name"
_BY_HEAD: list[tuple[int, bytes, str, str]] = [
    (0, b"WithoutFreeSpace", "Parallels (HDD)", _QEMU),
    (0, b"WithouFreSpacExt", "Parallels (HDD, extended)", _QEMU),
    (0, b"QED\0", "QED", _QEMU),
    (0, b"EVF2\r\n\x81\0", "EnCase 7 (Ex01)", "export it as E01, or with: ewfexport FILE (libewf with EWF2)"),
    (0, b"LEF2\r\n\x81\0", "EnCase 7 logical evidence (Lx01)", "extract its files with EnCase or with ewfmount"),
    (0, b"LVF\t\r\n\xff\0", "EnCase logical evidence (L01)", "extract its files with EnCase or with ewfmount"),
    (0, b"AFF10\r\n\0", "AFF", "convert it with: affconvert -r FILE"),
    (0, b"ADSEGMENTEDFILE\0", "AccessData logical image (AD1)", "export it with FTK Imager"),
    (0, b"ADCRYPT\0", "AccessData encrypted image (ADCRYPT)", "decrypt it with FTK Imager, or with dissect's adcrypt"),
    (0, b"shdw", "Apple sparse image (ASIF)", "attach it on a Mac with: diskutil image attach, and copy the device"),
    (0, b"sprs", "Apple sparse image (sparseimage)", "convert it with: hdiutil convert FILE -format UDTO -o disk"),
    (0, b"encrcdsa", "Apple encrypted disk image", "convert it with: hdiutil convert FILE -format UDTO -o disk"),
    (0, b"cdsaencr", "Apple encrypted disk image", "convert it with: hdiutil convert FILE -format UDTO -o disk"),
    (0, b"\x04\x22\x4d\x18", "LZ4 frame", "unpack it with: lz4 -d FILE disk.raw"),
    (0, b"\x02\x21\x4c\x18", "LZ4 legacy frame", "unpack it with: lz4 -d FILE disk.raw"),
    (0, b"PK\3\4", "ZIP", "unpack it with: unzip FILE"),
    (0, b"PK\5\6", "ZIP (empty)", "unpack it with: unzip FILE"),
    (0, b"PK\7\x08PK\3\4", "ZIP (in parts)", "unpack it with: 7z x FILE"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", "unpack it with: 7z x FILE"),
    (0, b"Rar!\x1a\7", "RAR", "unpack it with: unrar x FILE"),
    (0, b"MSWIM\0\0\0", "Windows image (WIM)", "extract its files with: wimlib-imagex extract"),
    (4, b"1AY&SY", "bzip2", "unpack it with: bunzip2 FILE"),
    (3, b"-FVE-FS-", "BitLocker volume", _BITLOCKER),
]
_BITLOCKER_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
_DMG_TRAILER = b"koly"
_DMG_REMEDY = "convert it with: hdiutil convert FILE -format UDTO -o disk, or with: dmg2img FILE disk.raw"


def named_unsupported(head: bytes) -> str:
    """Return which container begins so and what to do with it, in one sentence; "" where none is known.

    ``head`` are the first bytes of the file, 512 are enough.
    """
    for offset, signature, name, remedy in _BY_HEAD:
        if head.startswith(signature, offset):
            return _sentence(name, remedy)
    if head[424:440] == _BITLOCKER_TO_GO:
        return _sentence("BitLocker To Go volume", _BITLOCKER)
    return ""


def named_container(window: Medium) -> str:
    """Return which container a whole file is that is not opened, and what to do with it; "" where none is known."""
    try:
        return named_unsupported(window.read_at(0, 512)) or named_by_trailer(window)
    except OSError:
        return ""


def named_by_trailer(medium: Medium) -> str:
    """Return the same for what is only known by the file's last 512 bytes: Apple's disk image (DMG)."""
    tail = medium.read_at(max(0, medium.size - 512), 512)
    is_dmg = tail.startswith(_DMG_TRAILER) and tail[4:12] == b"\0\0\0\4\0\0\2\0"
    return _sentence("Apple disk image (DMG)", _DMG_REMEDY) if is_dmg else ""


def _sentence(name: str, remedy: str) -> str:
    return f"{name} is not supported: {remedy}"
