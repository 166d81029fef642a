"""What must hold of every parser whatever bytes it is given, and bytes that are more than noise."""

import base64
from collections.abc import Callable, Iterator, Sequence

import msgspec
from hypothesis import strategies

from volforensic.collection.content import Content, SourceFile
from volforensic.record import Row

Parser = Callable[[Content], Iterator[Row]]


def parse(parser: Parser, data: bytes, path: bytes = b"/etc/file", **source: object) -> list[Row]:
    """Return a parser's rows over bytes, after checking what must hold of all of them."""
    content = Content.of(data, SourceFile(path=path, size=len(data), **source))  # type: ignore[arg-type]
    rows = list(parser(content))
    for row in rows:
        assert 0 <= row["position"] <= len(data)
        assert msgspec.json.decode(msgspec.json.encode(row)) == row
        assert not isinstance(row.get("timestamp", 0), float)
    return rows


def original_bytes(row: Row, name: str) -> bytes:
    """Return the bytes that ``record.text_fields`` was given."""
    encoded = row.get(f"{name}_bytes")
    return base64.b64decode(encoded) if encoded else str(row[name]).encode()


def noise(words: Sequence[bytes]) -> strategies.SearchStrategy[bytes]:
    """Return bytes of which many are words of the format, so that its branches are reached."""
    anything = strategies.binary(max_size=12)
    separators = [b" ", b"\t", b"\n", b"\r", b"\0", b":", b",", b"=", b'"', b"\\", b"#", b"\xff", b"9" * 25, b"-1"]
    piece = strategies.one_of(strategies.sampled_from([*words, *separators]), anything)
    return strategies.one_of(strategies.binary(max_size=200), strategies.lists(piece, max_size=30).map(b"".join))


def chosen(rows: list[Row], *names: str) -> list[tuple[object, ...]]:
    """Return the named fields of each row, None where it has none."""
    return [tuple(row.get(name) for name in names) for row in rows]
