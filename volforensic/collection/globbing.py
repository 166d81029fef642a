"""Globs of artifact definitions, matched against the inventory: nothing is opened, links stay inside the evidence."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from volforensic.collection.namespace import Namespace
from volforensic.inventory.entry import FileEntry

MOST_NAMES = 50_000_000
_DEEPEST = 64
_WILD = re.compile(rb"[*?\[]")
_TOKEN = re.compile(rb"\*|\?|\[[^\]]{1,64}\]|[^*?]", re.DOTALL)


class Match(NamedTuple):
    """A path that matched: its entry (a link is not followed yet), the host path, and what ``~`` stood for."""

    entry: FileEntry
    host_path: bytes
    home: bytes = b""


class Allowance:
    """Holds how many more names may be looked at: a glob of the evidence may be made to match the whole disk."""

    def __init__(self, names: int) -> None:
        """Allow so many."""
        self._left = names

    @property
    def is_spent(self) -> bool:
        """Whether nothing more is allowed."""
        return self._left <= 0

    def limit(self, entries: Iterator[FileEntry]) -> Iterator[FileEntry]:
        """Yield the entries while they are allowed."""
        for entry in entries:
            self._left -= 1
            if self._left <= 0:
                return
            yield entry


def expand(namespace: Namespace, pattern: str, allowance: Allowance | None = None) -> Iterator[Match]:
    """Yield what a glob matches, once each: ``*`` and ``?`` in a component, ``**`` any depth, ``~`` any directory.

    A home need not be named by /etc/passwd: the history of an account that was deleted is found all the same.
    """
    first, *parts = pattern.encode("utf-8", "surrogateescape").split(b"/")
    parts = [part for part in parts if part]
    if not parts:
        return
    seen: set[tuple[int, bytes, int]] = set()
    walk = _Expansion(namespace, allowance or Allowance(MOST_NAMES))
    for match in walk.from_homes(parts) if first == b"~" else walk.below(b"", tuple(parts), 0):
        key = match.entry.volume, match.entry.path, match.entry.inode
        if key not in seen:
            seen.add(key)
            yield match


class _Expansion:
    """Holds what the steps of one expansion share."""

    def __init__(self, namespace: Namespace, allowance: Allowance) -> None:
        self._namespace = namespace
        self._allowance = allowance

    def from_homes(self, parts: list[bytes]) -> Iterator[Match]:
        first, *rest = parts
        wild = _WILD.search(first)
        fixed = first[: wild.start()] if wild else first
        tokens = _tokens(first)
        for entry in self._allowance.limit(self._namespace.candidates(fixed, is_prefix=wild is not None)):
            path = self._namespace.host_path(entry)
            if path is None or not _matches(entry.name, tokens):
                continue
            home = path.rpartition(b"/")[0] or b"/"
            found = self.below(path, tuple(rest), 0) if rest else [Match(entry, path)]
            yield from (match._replace(home=home) for match in found)

    def below(self, base: bytes, parts: tuple[bytes, ...], depth: int) -> Iterator[Match]:
        """Yield what the components match under a host path that exists."""
        while len(parts) > 1 and not _WILD.search(parts[0]):
            base, parts = base + b"/" + parts[0], parts[1:]
        if not parts or depth > _DEEPEST or self._allowance.is_spent:
            return
        part, rest = parts[0], parts[1:]
        if not _WILD.search(part):
            entry = self._namespace.at(base + b"/" + part)
            yield from [] if entry is None else [Match(entry, base + b"/" + part)]
            return
        directory = self._namespace.resolve(base or b"/").entry
        if directory is None or directory.type != "directory":
            return
        if part == b"**":
            yield from self._any_depth(base, directory, rest, depth)
            return
        tokens = _tokens(part)
        for child in self._children(directory):
            if _matches(child.name, tokens):
                yield from self._child(Match(child, base + b"/" + child.name), rest, depth)

    def _children(self, directory: FileEntry) -> Iterator[FileEntry]:
        return self._allowance.limit(self._namespace.children(directory))

    def _child(self, match: Match, rest: tuple[bytes, ...], depth: int) -> Iterator[Match]:
        if not rest:
            yield match
        elif match.entry.type in ("directory", "symlink"):
            yield from self.below(match.host_path, rest, depth + 1)

    def _any_depth(self, base: bytes, directory: FileEntry, rest: tuple[bytes, ...], depth: int) -> Iterator[Match]:
        waiting = [(base, directory, depth)]
        while waiting:
            base, directory, depth = waiting.pop()
            yield from self.below(base, rest or (b"*",), depth)
            if depth < _DEEPEST:
                inner = [child for child in self._children(directory) if child.type == "directory"]
                for child in reversed(inner):
                    path = base + b"/" + child.name
                    waiting.append((path, self._namespace.mounted_over(path) or child, depth + 1))


@lru_cache(maxsize=1024)
def _tokens(part: bytes) -> tuple[bytes, ...]:
    return tuple(_TOKEN.findall(part))


def _matches(name: bytes, tokens: tuple[bytes, ...]) -> bool:
    """Return whether a name matches a component's tokens: ``*`` any bytes, ``?`` one, ``[...]`` one of a set.

    A pattern may come out of the evidence (a path in sshd_config), so the work is bounded by name times pattern: only
    the last ``*`` is ever taken up again.
    """
    place = token = 0
    star, star_place = -1, 0
    while place < len(name):
        if token < len(tokens) and tokens[token] == b"*":
            star, star_place = token, place
            token += 1
        elif token < len(tokens) and _one(name[place], tokens[token]):
            place, token = place + 1, token + 1
        elif star >= 0:
            star_place += 1
            place, token = star_place, star + 1
        else:
            return False
    return all(rest == b"*" for rest in tokens[token:])


def _one(byte: int, token: bytes) -> bool:
    if token == b"?":
        return True
    if len(token) > 2 and token.startswith(b"[") and token.endswith(b"]"):
        inner = token[1:-1]
        negated = inner[:1] in (b"!", b"^") and len(inner) > 1
        return _in_set(byte, inner[1:] if negated else inner) != negated
    return len(token) == 1 and byte == token[0]


def _in_set(byte: int, members: bytes) -> bool:
    ranges = re.findall(rb"(.)-(.)|(.)", members, re.DOTALL)
    return any(low[0] <= byte <= high[0] if low else single[0] == byte for low, high, single in ranges)
