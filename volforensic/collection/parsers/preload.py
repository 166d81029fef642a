"""The libraries that every program on the host loads first: /etc/ld.so.preload, ld.so(8)."""

import re
from collections.abc import Iterator

from volforensic.collection.content import Content
from volforensic.collection.parsers.plain_text import unparsed
from volforensic.record import Row, text_fields

_COMMENT = re.compile(rb"#[^\n]*")
_NAME = re.compile(rb"[^\s:\0]+")
_PATH_LIMIT = 4096


def libraries(content: Content) -> Iterator[Row]:
    """Yield a row for each library: they stand between blanks and colons, ``#`` begins a comment (glibc's rtld.c)."""
    data = _COMMENT.sub(lambda comment: bytes(len(comment[0])).replace(b"\0", b" "), content.whole())
    for name in _NAME.finditer(data):
        if len(name[0]) > _PATH_LIMIT:
            yield unparsed(name.start(), name[0][: 2 * _PATH_LIMIT])
        else:
            yield {"position": name.start(), **text_fields("library", name[0])}
