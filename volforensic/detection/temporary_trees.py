"""Programs in temporary directories, judged by the tree they lie in: what is unpacked or built there is told once.

A source or release tree is known by the files that such trees have at their top. Two different ones are asked for, so
that one README does not make a tree of a dropped program.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from volforensic.detection import places
from volforensic.detection.rows import cut, integer
from volforensic.detection.rules import CITES_LIMIT, EVIDENCE_LIMIT
from volforensic.record import Finding, Row, finding_id

TREES_LIMIT = 10_000
"""Trees whose top files are noted."""
HELD_LIMIT = 50_000
"""Programs that are kept until all of their tree has been seen; beyond that each is judged alone."""
RULE = "executable-in-temporary-directory"

_MARKERS_WANTED = 2
_MARKER = re.compile(
    r"(?:AUTHORS|CHANGE(?:S|LOG)|COPYING|INSTALL|LICEN[CS]E|NEWS|NOTICE|README)(?:[.-][A-Za-z0-9.]{1,12})?|ChangeLog"
    r"|configure(?:\.ac|\.in)?|(?:GNUm|M|m)akefile(?:\.am|\.in|\.PL)?|CMakeLists\.txt|meson\.build|WORKSPACE"
    r"|package\.json|go\.mod|Cargo\.toml|setup\.(?:py|cfg)|pyproject\.toml|PKG-INFO|METADATA|MANIFEST\.in|pom\.xml"
    r"|build\.gradle|Gemfile|Rakefile|composer\.json|Dockerfile"
)


class TemporaryTrees:
    """The trees in temporary directories: which are unpacked sources or releases, and the programs in each."""

    def __init__(self) -> None:
        """Start with no tree."""
        self._markers: dict[str, set[str]] = {}
        self._held: dict[str, list[tuple[Row, Finding]]] = {}
        self._count = 0

    def note(self, path: str) -> None:
        """Note a file that may show what its tree is: at the tree's top, or one directory below it."""
        tree = places.temporary_tree(path)
        if tree is None:
            return
        *directories, name = path[len(tree) :].split("/")
        if len(directories) < 2 and _MARKER.fullmatch(name) and (tree in self._markers or self._has_room()):
            self._markers.setdefault(tree, set()).add(name)

    def hold(self, row: Row, found: Finding) -> bool:
        """Keep the finding that a program of a tree would get alone; False where it is to be told at once."""
        path = str(row.get("path"))
        tree = places.temporary_tree(path)
        if tree is None or found.rule != RULE or self._count >= HELD_LIMIT:
            return False
        self._count += 1
        self._held.setdefault(tree, []).append((row, found))
        return True

    def release(self) -> Iterator[tuple[Row, Finding]]:
        """Yield what was kept: one low finding for each ordinary tree, the findings themselves of the others."""
        for tree, held in self._held.items():
            ordinary = [pair for pair in held if self._is_ordinary(tree, pair[0])]
            yield from (pair for pair in held if not self._is_ordinary(tree, pair[0]))
            if len(ordinary) == 1:
                row, found = ordinary[0]
                yield row, msgspec.structs.replace(found, severity="low")
            elif ordinary:
                yield ordinary[0][0], _tree_finding(tree, [row for row, _ in ordinary])

    def _has_room(self) -> bool:
        return len(self._markers) < TREES_LIMIT

    def _is_ordinary(self, tree: str, row: Row) -> bool:
        unpacked = len(self._markers.get(tree, ())) >= _MARKERS_WANTED or places.is_leftover_tree(tree)
        return unpacked and places.hidden_part(f"/{str(row['path'])[len(tree) :]}") is None


def _tree_finding(tree: str, rows: Iterable[Row]) -> Finding:
    rows = sorted(rows, key=lambda row: str(row["path"]))
    paths = [str(row["path"]) for row in rows]
    volume = rows[0].get("volume")
    times = [str(row["mtime"]) for row in rows if isinstance(row.get("mtime"), str)]
    return Finding(
        finding_id=finding_id(RULE, [str(volume), tree]),
        rule=RULE,
        severity="low",
        statement=f"{len(rows)} programs lie in {cut(tree)}, which looks like an unpacked, built or installing package",
        attack=[],
        cites=paths[:CITES_LIMIT],
        evidence=[cut(path) for path in paths[:EVIDENCE_LIMIT]],
        path=tree.rstrip("/"),
        volume=integer(volume),
        count=len(rows),
        details={
            "cites_total": len(rows),
            "mtime_first": min(times, default=None),
            "mtime_last": max(times, default=None),
        },
    )
