"""Which encoding a text is in, in the words of ``file --mime-encoding`` (encoding.c of file 5.44).

EBCDIC, which file(1) guesses where nothing else fits, is not told: on a Linux server it is a wrong guess.
"""

import codecs
import re

ENCODING_SIZE = 64 << 10
"""Bytes of a file that its encoding is told from, as many as file(1) looks at (its parameter "encoding")."""

TEXT_BYTES = bytes([*range(7, 14), 27, *range(32, 127)])
"""The bytes of ASCII that stand in texts; any other of its bytes makes a file binary."""

_ANY_TEXT_BYTES = TEXT_BYTES + bytes(range(128, 256))
_NOT_ISO_8859 = re.compile(rb"[\x80-\x84\x86-\x9f]")
_NO_TEXT = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f\ufffe\uffff]")
# The decoders themselves, not their names: to find one by its name is to import it, and a worker may open no file.
_WIDE = (
    (b"\xff\xfe\x00\x00", "utf-32le", codecs.utf_32_le_decode),
    (b"\x00\x00\xfe\xff", "utf-32be", codecs.utf_32_be_decode),
    (b"\xff\xfe", "utf-16le", codecs.utf_16_le_decode),
    (b"\xfe\xff", "utf-16be", codecs.utf_16_be_decode),
)
_UTF_7 = re.compile(rb"\+/v[89+/]")


def is_text(data: bytes) -> bool:
    """Return whether the bytes are a text in ASCII, UTF-8 or a kin of ISO 8859: without control characters, that is."""
    return not data.translate(None, TEXT_BYTES if data.isascii() else _ANY_TEXT_BYTES)


def text_encoding(data: bytes) -> str | None:
    """Return the encoding of a text: us-ascii, utf-8, utf-16le, iso-8859-1, unknown-8bit …; None for binary data.

    Args:
        data: The file's first bytes; more than ``ENCODING_SIZE`` are not looked at. A character may be cut by the end.
    """
    data = data[:ENCODING_SIZE]
    if not data:
        return None
    if not is_text(data):
        return wide_encoding(data)
    if data.isascii():
        return "utf-7" if _UTF_7.match(data) else "us-ascii"
    try:
        codecs.utf_8_decode(data, "strict", False)  # noqa: FBT003 - no name: more bytes may follow
    except UnicodeDecodeError:
        return wide_encoding(data) or ("unknown-8bit" if _NOT_ISO_8859.search(data) else "iso-8859-1")
    return "utf-8"


def wide_encoding(data: bytes) -> str | None:
    """Return the encoding of a text in UTF-16 or UTF-32, which begins with a byte order mark; None for others."""
    for mark, name, decode in _WIDE:
        if data.startswith(mark):
            try:
                text = decode(data[len(mark) :], "strict", False)[0]  # noqa: FBT003 - no name: more bytes may follow
            except UnicodeDecodeError:
                continue
            if not _NO_TEXT.search(text):
                return name
    return None
