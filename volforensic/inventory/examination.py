"""The examination of one file's bytes: hash, type, YARA and what the file names, in one pass."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from volforensic.inventory import indicators as naming
from volforensic.inventory import magic_edge, signatures
from volforensic.inventory.scanner import STRINGS_PER_RULE, Match, MatchedString, RuleSet, ScanError
from volforensic.record import Row

WINDOW_SIZE = 64 << 20
"""Bytes that are scanned at once."""
OVERLAP_SIZE = 1 << 20
"""Bytes of the window before that are scanned again, for what lies across the border."""


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes of one file are.

    ``size_read`` is how many bytes were given (hashed), ``problems`` says which of them were not scanned and why.
    ``family`` is the signature table's (elf, script, text, json …) or ``other``; ``mime`` is None where nobody knows,
    ``encoding`` where the file is no text.
    """

    sha256: str
    size_read: int
    mime: str | None
    family: str
    encoding: str | None = None
    yara: list[str] = []
    matches: list[Match] = []
    references: list[str] = []
    indicators: list[str] = []
    problems: list[str] = []

    def row(self) -> Row:
        """Return the keys that the inventory's row of the file gets."""
        row: Row = msgspec.to_builtins(self)
        row.pop("size_read")
        if self.encoding is None:
            del row["encoding"]
        return row


class Window(NamedTuple):
    """Bytes to scan and where in the file they begin; the first ``repeated`` of them were scanned before."""

    offset: int
    data: bytes
    repeated: int


def examine(
    data_windows: Iterable[bytes], size: int, rules: RuleSet | None = None, magic: Any | None = None
) -> Examination:
    """Examine a file whose bytes come in order, each once, in pieces of any size.

    Args:
        data_windows: The file's bytes in order, holes as zeros. Pieces of up to ``WINDOW_SIZE`` bytes are scanned as
            they are, without a copy, where the file is one piece.
        size: Size of the file in bytes as its filesystem gives it; a difference to what came is a problem.
        rules: The rules to scan with; None leaves YARA out.
        magic: What ``magic_edge.prepare`` gave; None leaves libmagic out.
    """
    digest = hashlib.sha256()
    matches: dict[str, list[MatchedString]] = {}
    problems: list[str] = []
    head, read = b"", 0
    kind, encoding = signatures.content_type(b"")
    named: tuple[list[str], list[str]] = ([], [])
    for window in _windows(data_windows):
        digest.update(memoryview(window.data)[window.repeated :])
        read = window.offset + len(window.data)
        _scan(window, rules, matches, problems)
        if window.offset == 0:
            head = window.data[: signatures.HEAD_SIZE]
            kind, encoding = signatures.content_type(window.data)
            named = _names(window.data, size, kind, suspicious=bool(matches))
    if read != size:
        problems.append(f"{read} of {size} bytes were examined")
    return Examination(
        sha256=digest.hexdigest(),
        size_read=read,
        mime=kind.mime if kind else magic_edge.identify(magic, head),
        family=kind.family if kind else "other",
        encoding=encoding,
        yara=sorted(matches),
        matches=[Match(rule, strings) for rule, strings in sorted(matches.items())],
        references=named[0],
        indicators=named[1],
        problems=problems,
    )


def _windows(pieces: Iterable[bytes]) -> Iterator[Window]:
    """Join pieces to windows of at most ``WINDOW_SIZE`` new bytes after the last ``OVERLAP_SIZE`` of the one before."""
    offset, tail = 0, b""
    pending: list[bytes] = []
    waiting = 0
    for piece in pieces:
        for start in range(0, len(piece), WINDOW_SIZE):
            part = piece[start : start + WINDOW_SIZE]
            if waiting + len(part) > WINDOW_SIZE:
                window = Window(offset - len(tail), b"".join((tail, *pending)), len(tail))
                yield window
                offset, tail, pending, waiting = offset + waiting, window.data[-OVERLAP_SIZE:], [], 0
            pending.append(part)
            waiting += len(part)
    if waiting:
        data = pending[0] if len(pending) == 1 and not tail else b"".join((tail, *pending))
        yield Window(offset - len(tail), data, len(tail))


def _scan(window: Window, rules: RuleSet | None, matches: dict[str, list[MatchedString]], problems: list[str]) -> None:
    """Add the window's matches to those of the windows before; what the overlap shows twice is kept once."""
    if rules is None:
        return
    try:
        found = rules.scan(window.data)
    except ScanError as error:
        problems.append(f"bytes {window.offset} to {window.offset + len(window.data)} were not scanned: {error}")
        return
    for match in found:
        kept = matches.setdefault(match.rule, [])
        for string in match.strings:
            moved = msgspec.structs.replace(string, offset=window.offset + string.offset)
            if len(kept) < STRINGS_PER_RULE and moved not in kept:
                kept.append(moved)


def _names(
    data: bytes, size: int, kind: signatures.FileType | None, *, suspicious: bool
) -> tuple[list[str], list[str]]:
    """Return the paths and the indicators that the file names.

    A program is searched only where a rule matched it, a text only up to ``TEXT_LIMIT``, a script's head always.
    """
    family = kind.family if kind else "other"
    if family == "elf":
        return [], naming.binary_indicators(data) if suspicious or b"stratum" in data else []
    readable = family in signatures.TEXT_FAMILIES or suspicious
    if family == "script" or (readable and size <= naming.TEXT_LIMIT):
        return naming.references(data), naming.text_indicators(data)
    return [], []
