"""Partition tables that are named and not read.

Sources: the kernel's block/partitions: bsd label (0x82564557 in the second sector, or 64 bytes into the first), mac.c
("ER", then "PM"), sun.c (0xDABE at byte 508), sgi.c (0x0BE5A941).
"""

from volforensic.evidence.reader import Window

_BSD = b"\x57\x45\x56\x82"


def other_table(window: Window) -> str:
    """Return the name of the table at the start of the window, with its article; "" for none."""
    try:
        head = window.read_at(0, 4096)
    except OSError:
        return ""
    if any(head[place : place + 4] == _BSD == head[place + 132 : place + 136] for place in (512, 64, 0)):
        return "a BSD disklabel"
    if head.startswith(b"ER") and b"PM" in (head[512:514], head[2048:2050]):
        return "an Apple partition map"
    if head[508:510] == b"\xda\xbe":
        return "a Sun disk label"
    return "an SGI disk label" if head.startswith(b"\x0b\xe5\xa9\x41") else ""
