"""The edge to libmagic, for what the signature table does not know. libmagic may be missing: then nothing is known."""

from typing import Any

HEAD_SIZE = 4096
"""Bytes of a file that libmagic is given."""

_UNKNOWN = ("", "application/octet-stream")


def prepare() -> Any | None:
    """Return a libmagic cookie with its database loaded, or None where the host has no libmagic that works.

    The database is opened here, so a worker calls this before it gives up the right to open files.
    """
    try:
        import magic  # noqa: PLC0415 - costs 30 ms and needs a library that the host may lack

        return magic.Magic(mime=True)
    except Exception:  # noqa: BLE001 - MagicException has no base but Exception; without libmagic the table serves alone
        return None


def identify(cookie: Any | None, head: bytes) -> str | None:
    """Return the MIME type that libmagic tells from a file's first bytes; None where it does not know."""
    if cookie is None:
        return None
    try:
        mime = str(cookie.from_buffer(head[:HEAD_SIZE]))
    except Exception:  # noqa: BLE001 - hostile bytes cost this file its MIME type and nothing else
        return None
    return None if mime in _UNKNOWN else mime
