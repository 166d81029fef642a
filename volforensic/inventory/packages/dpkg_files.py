"""The small files of a dpkg database: diversions, statoverride, alternatives, path filters, lists and MD5 sums.

Formats: dpkg-divert(1), dpkg-statoverride(1), update-alternatives(1) with lib/dpkg/ and utils/update-alternatives.c
of dpkg's source, dpkg(1) for ``path-exclude``, deb-md5sums(5).
"""

import fnmatch
import re
from typing import NamedTuple

from volforensic.inventory.packages.accounts import Accounts
from volforensic.inventory.packages.claims import MOST_LINK_TARGETS, hex_digest, normal_path

_LONGEST_PATTERN = 4096
_MOST_RULES = 2000
_MOST_SLAVES = 2000


class Diversion(NamedTuple):
    """Where a path's file goes: ``package`` is the one that diverts (empty: an administrator) and keeps the path."""

    to: bytes
    package: str


class Override(NamedTuple):
    """Owner, group and permission bits that an administrator set for a path; -1 where nobody knows the number."""

    uid: int
    gid: int
    mode: int


class Alternative(NamedTuple):
    """A symbolic link that update-alternatives manages, and what it may point to."""

    link: bytes
    targets: tuple[bytes, ...]


class PathRule(NamedTuple):
    """A ``path-exclude`` or ``path-include``: the text of the rule and what it matches."""

    text: str
    is_exclusion: bool
    pattern: re.Pattern[str]


def file_list(data: bytes) -> list[bytes]:
    """Return the paths of an info/*.list, one a line, without the root."""
    paths = (normal_path(line) for line in data.split(b"\n") if line and line != b"/.")
    return [path for path in paths if path is not None and path != b"/"]


def md5_sums(data: bytes) -> dict[bytes, bytes]:
    """Return digests by path from an info/*.md5sums: 32 hexadecimal digits, two spaces, a path without its slash."""
    sums = {}
    for line in data.split(b"\n"):
        digest = hex_digest(line[:32], "md5")
        path = normal_path(b"/" + line[32:].lstrip(b" *")) if digest else None
        if path is not None:
            sums[path] = digest
    return sums


def diversions(data: bytes) -> dict[bytes, Diversion]:
    """Return the diversions by the path that is diverted: three lines each (from, to, package or ``:``)."""
    lines = data.split(b"\n")
    found = {}
    for start in range(0, len(lines) - 2, 3):
        path, to = normal_path(lines[start]), normal_path(lines[start + 1])
        if path is not None and to is not None:
            owner = lines[start + 2].decode("utf-8", "replace")
            found[path] = Diversion(to, "" if owner == ":" else owner)
    return found


def overrides(data: bytes, accounts: Accounts) -> dict[bytes, Override]:
    """Return what statoverride says by path: ``user group mode path`` a line, the mode in octal."""
    found = {}
    for line in data.split(b"\n"):
        fields = line.split(b" ", 3)
        path = normal_path(fields[3]) if len(fields) == 4 else None
        if path is not None and re.fullmatch(rb"[0-7]{1,6}", fields[2]):
            found[path] = Override(accounts.user(fields[0]), accounts.group(fields[1]), int(fields[2], 8) & 0o7777)
    return found


def alternatives(name: bytes, data: bytes) -> list[Alternative]:
    """Return the links of one file of dpkg's alternatives folder; ``name`` is the file's name.

    The file holds the status, the master's link, a name and a link for each slave, an empty line; then for each choice
    its path, its priority and a path for each slave (empty: none). An empty line ends it.
    """
    lines = data.split(b"\n")
    if len(lines) < 4 or lines[0] not in (b"auto", b"manual"):
        return []
    names, links, position = [name], [lines[1]], 2
    while position + 1 < len(lines) and lines[position] and len(names) < _MOST_SLAVES:
        names.append(lines[position])
        links.append(lines[position + 1])
        position += 2
    choices: list[set[bytes]] = [set() for _ in names]
    position += 1
    while position < len(lines) and lines[position] and len(choices[0]) < MOST_LINK_TARGETS:
        paths = [lines[position], *lines[position + 2 : position + 1 + len(names)]]
        for targets, path in zip(choices, paths, strict=False):
            targets.update([path] if path else [])
        position += 1 + len(names)
    found = []
    for own, link, targets in zip(names, links, choices, strict=True):
        outer, inner = normal_path(link), normal_path(b"/etc/alternatives/" + own.replace(b"/", b"_"))
        if outer is not None and inner is not None:
            found += [Alternative(outer, (inner,)), Alternative(inner, tuple(sorted(targets)))]
    return found


def path_rules(data: bytes) -> list[PathRule]:
    """Return the path filters of a dpkg.cfg, in their order: ``path-exclude=GLOB`` or with blanks for the ``=``."""
    rules = []
    for line in data.split(b"\n")[: 10 * _MOST_RULES]:
        option, _, value = re.sub(rb"\s*=\s*|\s+", b"=", line.strip(), count=1).partition(b"=")
        option = option.removeprefix(b"--")
        glob = value.strip().strip(b"\"'").decode("latin-1")
        if option in (b"path-exclude", b"path-include") and 0 < len(glob) <= _LONGEST_PATTERN:
            text = f"{option.decode()}={glob}"
            rules.append(PathRule(text, option == b"path-exclude", re.compile(fnmatch.translate(glob))))
    return rules


class PathFilter:
    """Holds the path filters of a host."""

    def __init__(self, rules: list[PathRule]) -> None:
        """Take the rules in their order."""
        self._rules = rules[:_MOST_RULES]
        excluding = [rule.pattern.pattern for rule in self._rules if rule.is_exclusion]
        self._any = re.compile("|".join(excluding)) if excluding else None

    def exclusion(self, path: bytes) -> str:
        """Return the rule that keeps a path from being unpacked; empty where none does. The last match decides."""
        if self._any is None:
            return ""
        text = path.decode("latin-1")
        if self._any.match(text) is None:
            return ""
        last = next((rule for rule in reversed(self._rules) if rule.pattern.match(text)), None)
        return last.text if last is not None and last.is_exclusion else ""
