"""The examination of one file's bytes: hashes, type, YARA and what the file names, in one pass."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from volforensic.evidence.digests import Digests, Hashes
from volforensic.inventory import indicators as naming
from volforensic.inventory import magic_edge, signatures
from volforensic.inventory.candidates import names_by_content
from volforensic.inventory.scanner import STRINGS_PER_RULE, Match, MatchedString, RuleSet, ScanError
from volforensic.record import Row

WINDOW_SIZE = 48 << 20
"""Bytes that are scanned at once; of a file that is larger, half of that."""
OVERLAP_SIZE = 1 << 20
"""Bytes of the window before that are scanned again, for what lies across the border."""
_LONGEST_TEXT = 4 << 10


class Examination(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the bytes of one file are.

    ``size_read`` is how many bytes were given (hashed), ``problems`` says which of them were not scanned and why.
    ``family`` is the signature table's (elf, script, text, json …) or ``other``; ``mime`` is None where nobody knows,
    ``encoding`` where the file is no text. ``others`` are hashes by further algorithms.
    """

    sha256: str
    size_read: int
    mime: str | None
    family: str
    encoding: str | None = None
    matches: list[Match] = []
    references: list[str] = []
    indicators: list[str] = []
    problems: list[str] = []
    others: dict[str, str] = {}

    @property
    def yara(self) -> list[str]:
        """The names of the rules that match, in order."""
        return [match.rule for match in self.matches]

    def row(self) -> Row:
        """Return the keys that the inventory's row of the file gets; lists that are empty are left out but ``yara``."""
        row: Row = {"sha256": self.sha256, "mime": self.mime, "family": self.family, "yara": self.yara, **self.others}
        if self.encoding is not None:
            row["encoding"] = self.encoding
        if self.matches:
            row["matches"] = msgspec.to_builtins(self.matches)
        if self.references:
            row["references"] = self.references
        if self.indicators:
            row["indicators"] = self.indicators
        if self.problems:
            row["problems"] = self.problems
        return row

    def refused(self) -> str:
        """Return why a worker cannot have found this honestly; "" where it can."""
        hashes = [self.sha256, *self.others.values()]
        if len(self.sha256) != 64 or any(len(digest) > 128 or not _is_hexadecimal(digest) for digest in hashes):
            return "a file's hash is none"
        if self.size_read < 0 or len(self.mime or "") > _LONGEST_TEXT or len(self.family) > _LONGEST_TEXT:
            return "a file's size or type is none"
        return ""


class Tools(NamedTuple):
    """What files are examined with: rules and libmagic's cookie (None leaves either out), further algorithms."""

    rules: RuleSet | None = None
    magic: Any | None = None
    others: Collection[str] = ()


NO_TOOLS = Tools()


class Window(NamedTuple):
    """Bytes to scan and where in the file they begin; the first ``repeated`` of them were scanned before."""

    offset: int
    data: bytes
    repeated: int


def examine(data_windows: Iterable[bytes], size: int, tools: Tools = NO_TOOLS, *, is_named: bool = True) -> Examination:
    """Examine a file whose bytes come in order, each once, in pieces of any size.

    Args:
        data_windows: The file's bytes in order, holes as zeros. Pieces of up to ``WINDOW_SIZE`` bytes are scanned as
            they are, without a copy, where the file is one piece.
        size: Size of the file in bytes as its filesystem gives it; a difference to what came is a problem.
        tools: Rules, libmagic, further hash algorithms.
        is_named: Whether texts are searched for what they name too, not only programs, scripts and JSON.
    """
    digests = Digests(tools.others)
    matches: dict[str, list[MatchedString]] = {}
    problems: list[str] = []
    read, begin = 0, _Begin(b"", *signatures.content_type(b""))
    for window in _windows(data_windows, WINDOW_SIZE if size <= WINDOW_SIZE else WINDOW_SIZE // 2):
        digests.update(memoryview(window.data)[window.repeated :])
        read = window.offset + len(window.data)
        _scan(window, tools.rules, matches, problems)
        if window.offset == 0:
            begin = _begin(window.data, size, tools, is_named=is_named, is_matched=bool(matches))
        del window
    if read != size:
        problems.append(f"{read} of {size} bytes were examined")
    return _examination(Hashes(digests.sha256, digests.others), read, begin, tools, matches, problems)


def examine_bytes(data: bytes, hashes: Hashes, tools: Tools, *, is_named: bool = True) -> Examination:
    """Examine a file that is given whole, at most ``WINDOW_SIZE`` bytes, and whose hashes are known."""
    matches: dict[str, list[MatchedString]] = {}
    problems: list[str] = []
    _scan(Window(0, data, 0), tools.rules, matches, problems)
    begin = _begin(data, len(data), tools, is_named=is_named, is_matched=bool(matches))
    return _examination(hashes, len(data), begin, tools, matches, problems)


class _Begin(NamedTuple):
    """What a file's first window says: its type, and what the file names."""

    head: bytes
    kind: signatures.FileType | None
    encoding: str | None
    references: Sequence[str] = ()
    indicators: Sequence[str] = ()


def _begin(data: bytes, size: int, tools: Tools, *, is_named: bool, is_matched: bool) -> _Begin:
    head = data[: signatures.HEAD_SIZE]
    kind, encoding = signatures.content_type(data)
    if not (is_named or is_matched or names_by_content(data)):
        return _Begin(head, kind, encoding)
    # A program is worth a search where a rule says so, or, without rules, where it has the word that miners know.
    is_suspicious = is_matched if tools.rules is not None else b"stratum" in data
    return _Begin(head, kind, encoding, *_names(data, size, kind, suspicious=is_suspicious))


def _examination(  # noqa: PLR0913, PLR0917 - the parts of one value
    hashes: Hashes,
    size_read: int,
    begin: _Begin,
    tools: Tools,
    matches: dict[str, list[MatchedString]],
    problems: list[str],
) -> Examination:
    kind = begin.kind
    return Examination(
        sha256=hashes.sha256,
        size_read=size_read,
        mime=kind.mime if kind else magic_edge.identify(tools.magic, begin.head),
        family=kind.family if kind else "other",
        encoding=begin.encoding,
        matches=[Match(rule, strings) for rule, strings in sorted(matches.items())],
        references=list(begin.references),
        indicators=list(begin.indicators),
        problems=problems,
        others=hashes.others,
    )


def _windows(pieces: Iterable[bytes], largest: int) -> Iterator[Window]:
    """Join pieces to windows of at most ``largest`` new bytes after the last ``OVERLAP_SIZE`` of the one before.

    Nothing of a window is held while the next one is made: two of them are all that there is room for.
    """
    offset, tail = 0, b""
    pending: list[bytes] = []
    waiting = 0
    for piece in pieces:
        for start in range(0, len(piece), largest):
            part = piece[start : start + largest]
            if waiting + len(part) > largest:
                data = b"".join((tail, *pending))
                pending.clear()
                repeated, tail = len(tail), data[-OVERLAP_SIZE:]
                yield Window(offset - repeated, data, repeated)
                del data
                offset, waiting = offset + waiting, 0
            pending.append(part)
            waiting += len(part)
    if waiting:
        data = pending[0] if len(pending) == 1 and not tail else b"".join((tail, *pending))
        pending.clear()
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
        return [], naming.binary_indicators(data) if suspicious else []
    readable = family in signatures.TEXT_FAMILIES or suspicious
    if family == "script" or (readable and size <= naming.TEXT_LIMIT):
        return naming.references(data), naming.text_indicators(data)
    return [], []


def _is_hexadecimal(digest: str) -> bool:
    return not digest.strip("0123456789abcdef")
