"""Globs of artifact definitions, matched against the inventory: nothing is opened, links stay inside the evidence."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from volforensic.collection.namespace import Namespace
from volforensic.inventory.entry import FileEntry

MOST_MATCHES = 200_000
_DEEPEST = 64
_WILD = re.compile(rb"[*?\[]")
_TOKEN = re.compile(rb"\*|\?|\[[^\]]{1,64}\]|[^*?]", re.DOTALL)


class Match(NamedTuple):
    """A path that matched: its entry (a link is not followed yet), the host path, and what ``~`` stood for."""

    entry: FileEntry
    host_path: bytes
    home: bytes = b""


def expand(namespace: Namespace, pattern: str) -> Iterator[Match]:
    """Yield what a glob matches, once each: ``*`` and ``?`` in a component, ``**`` any depth, ``~`` any directory.

    A home need not be named by /etc/passwd: the history of an account that was deleted is found all the same.
    """
    parts = pattern.encode().split(b"/")
    seen: set[tuple[int, bytes]] = set()
    found = _from_homes(namespace, parts[1:]) if parts[0] == b"~" else _from_root(namespace, parts[1:])
    for match in found:
        key = match.entry.volume, match.entry.path
        if key not in seen:
            seen.add(key)
            yield match
        if len(seen) >= MOST_MATCHES:
            return


def _from_root(namespace: Namespace, parts: list[bytes]) -> Iterator[Match]:
    yield from _below(namespace, b"", tuple(part for part in parts if part), 0)


def _from_homes(namespace: Namespace, parts: list[bytes]) -> Iterator[Match]:
    first, *rest = parts
    wild = _WILD.search(first)
    fixed = first[: wild.start()] if wild else first
    for entry in namespace.inventory.named(fixed, is_prefix=wild is not None):
        path = namespace.host_path(entry)
        if path is None or not _matches(entry.name, first):
            continue
        home = path.rpartition(b"/")[0]
        if not rest:
            yield Match(entry, path, home or b"/")
            continue
        for match in _below(namespace, path, tuple(rest), 0):
            yield match._replace(home=home or b"/")


def _below(namespace: Namespace, base: bytes, parts: tuple[bytes, ...], depth: int) -> Iterator[Match]:
    """Yield what the components match under a host path that exists."""
    while parts and not _WILD.search(parts[0]) and len(parts) > 1:
        base, parts = base + b"/" + parts[0], parts[1:]
    if not parts or depth > _DEEPEST:
        return
    part, rest = parts[0], parts[1:]
    if not _WILD.search(part):
        entry = namespace.at(base + b"/" + part)
        yield from [] if entry is None else [Match(entry, base + b"/" + part)]
        return
    directory = namespace.resolve(base or b"/").entry
    if directory is None or directory.type != "directory":
        return
    if part == b"**":
        yield from _any_depth(namespace, base, directory, rest, depth)
        return
    for child in namespace.children(directory):
        if _matches(child.name, part):
            yield from _child(namespace, Match(child, base + b"/" + child.name), rest, depth)


def _child(namespace: Namespace, match: Match, rest: tuple[bytes, ...], depth: int) -> Iterator[Match]:
    if not rest:
        yield match
    elif match.entry.type in ("directory", "symlink"):
        yield from _below(namespace, match.host_path, rest, depth + 1)


def _any_depth(
    namespace: Namespace, base: bytes, directory: FileEntry, rest: tuple[bytes, ...], depth: int
) -> Iterator[Match]:
    waiting = [(base, directory, depth)]
    while waiting:
        base, directory, depth = waiting.pop()
        yield from _below(namespace, base, rest, depth)
        if depth < _DEEPEST:
            inner = [child for child in namespace.children(directory) if child.type == "directory"]
            waiting.extend((base + b"/" + child.name, child, depth + 1) for child in reversed(inner))


def _matches(name: bytes, part: bytes) -> bool:
    """Return whether a name matches one component: ``*`` any bytes, ``?`` one, ``[...]`` one of a set.

    A pattern may come out of the evidence (a path in sshd_config), so the work is bounded by name times pattern: only
    the last ``*`` is ever taken up again.
    """
    tokens = _TOKEN.findall(part)
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
        negated = inner.startswith(b"!") and len(inner) > 1
        return _in_set(byte, inner[1:] if negated else inner) != negated
    return len(token) == 1 and byte == token[0]


def _in_set(byte: int, members: bytes) -> bool:
    ranges = re.findall(rb"(.)-(.)|(.)", members, re.DOTALL)
    return any(low[0] <= byte <= high[0] if low else single[0] == byte for low, high, single in ranges)
