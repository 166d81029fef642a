"""Which files are examined whole, which only by their first bytes."""

from volforensic.inventory.entry import FileEntry

_EXECUTABLE = 0o111
# Where droppers write: temporary and memory directories, web roots, homes, and wherever a service may write.
_DROP_PLACES = (
    b"/tmp/",
    b"/var/tmp/",
    b"/dev/",
    b"/run/",
    b"/root/",
    b"/home/",
    b"/opt/",
    b"/srv/",
    b"/var/www/",
    b"/var/spool/",
    b"/var/lib/",
    b"/var/cache/",
    b"/usr/local/",
    b"/etc/",
    b"/mnt/",
    b"/media/",
    b"/lost+found/",
)
_LARGEST_IN_PLACE = 64 << 20


def is_examined_whole(entry: FileEntry, host_path: bytes) -> bool:
    """Return whether a regular file is hashed, typed and scanned whatever its first bytes are.

    ``host_path`` is where the host had it. Of every other file the first bytes decide: a program, a script, JSON.
    """
    if entry.mode & _EXECUTABLE or b"/." in host_path:
        return True
    return host_path.startswith(_DROP_PLACES) and entry.size <= _LARGEST_IN_PLACE


def is_examined_by_head(head: bytes, size: int) -> bool:
    """Return whether a file's first bytes make it worth examining: ELF, a script, a packed program, JSON-like text."""
    if head.startswith((b"\x7fELF", b"#!", b"UPX!")):
        return True
    return size <= 1 << 20 and head[:256].lstrip()[:1] in (b"{", b"[")
