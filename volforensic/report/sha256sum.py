r"""Files as lines that ``sha256sum -c`` checks at the root of a mount.

The format is that of GNU coreutils (info coreutils, "md5sum invocation"): ``<hash>  <path>``; where the path holds a
backslash, a line feed or a carriage return, these are written ``\\``, ``\n`` and ``\r`` and the line begins with a
backslash. Paths are bytes: what is not UTF-8 stands as it is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from volforensic.record import Row
from volforensic.report.row_values import name_bytes

_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_NO_COMPONENTS = frozenset({b"", b".", b".."})


def sha256sum_lines(rows: Iterable[Row], left_out: Counter[str], *, in_volume: bool = False) -> Iterator[bytes]:
    """Yield a line, with its end, for each allocated regular file that has a hash.

    Args:
        rows: Rows of the inventory.
        left_out: Is given the regular files that get no line: their number, by reason. Other entries are not counted.
        in_volume: Paths are from the root of each file's own volume, not from the root of the host.
    """
    for row in rows:
        if row["type"] != "file":
            continue
        path = _path(row, in_volume=in_volume)
        reason = _reason(row, path)
        if reason is not None:
            left_out[reason] += 1
            continue
        yield _line(row["sha256"], b"." + path)


def _path(row: Row, *, in_volume: bool) -> bytes:
    inside = name_bytes(row, "volume_path") if in_volume else None
    return inside if inside is not None else name_bytes(row, "path") or b""


def _reason(row: Row, path: bytes) -> str | None:
    """Return why the row gets no line; None where it gets one."""
    if not row["allocated"]:
        return "deleted"
    if row.get("orphan"):
        return "without a name"
    if not row.get("sha256"):
        return "without a hash"
    if not path.startswith(b"/") or b"\x00" in path or not _NO_COMPONENTS.isdisjoint(path[1:].split(b"/")):
        return "a name that a mount cannot show"
    return None


def _line(digest: str, path: bytes) -> bytes:
    escaped = path
    for raw, escape in _ESCAPES:
        escaped = escaped.replace(raw, escape)
    return b"%s%s  %s\n" % (b"\\" if escaped != path else b"", digest.encode("ascii"), escaped)
