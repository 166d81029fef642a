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
_WORDS_OF_MINERS = (b'"user"', b"wallet", b"stratum")
_NAMING_PLACES = (
    *(b"/tmp/", b"/var/tmp/", b"/dev/", b"/run/", b"/root/", b"/var/spool/", b"/etc/"),
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


def is_searched_for_names(entry: FileEntry, host_path: bytes) -> bool:
    """Return whether a text is searched for paths, pools and downloads whatever it looks like.

    Scripts, programs and what a rule matches are searched wherever they lie; deployed applications hold a hundred
    thousand texts that start nothing.
    """
    return bool(entry.mode & _EXECUTABLE) or b"/." in host_path or host_path.startswith(_NAMING_PLACES)


def is_examined_by_head(head: bytes, size: int) -> bool:
    """Return whether a file's first bytes make it worth examining: ELF, a script, a packed program, JSON-like text."""
    if head.startswith((b"\x7fELF", b"#!", b"UPX!")):
        return True
    return size <= 1 << 20 and head[:256].lstrip()[:1] in (b"{", b"[")


def names_by_content(data: bytes) -> bool:
    """Return whether a file is worth the search for its bytes: a program, a script, JSON with a user or a wallet."""
    if data.startswith((b"\x7fELF", b"#!", b"UPX!")):
        return True
    is_like_json = data[:256].lstrip()[:1] in (b"{", b"[")
    return is_like_json and any(word in data for word in _WORDS_OF_MINERS)
