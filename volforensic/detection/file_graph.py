"""Which file names which: what is kept of the inventory to follow a line of persistence to the program behind it."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from volforensic.detection.command_paths import clean
from volforensic.record import Finding, Problem, Row

DEPTH_LIMIT = 5
"""Files between a line of persistence and the last program that is followed."""
FLAG_SEVERITIES = frozenset({"critical", "high", "medium"})
"""Severities of the findings that make a file worth following to."""

_NODES_LIMIT = 200_000
_REFERENCES_LIMIT = 1_000_000
_POOLS_LIMIT = 50
_LINKS_LIMIT = 200_000
_LINK_HOPS = 40  # ELOOP: path_resolution(7)
_VISITED_LIMIT = 2_000


class Node(NamedTuple):
    """A file that is flagged, or that names others; ``severe`` where a flag is of a high or critical finding."""

    path: str
    flags: tuple[str, ...]
    severe: bool
    references: tuple[str, ...]
    indicators: tuple[str, ...]


class Chain(NamedTuple):
    """The files from the first one that a line names to a flagged one, and the pools and wallets that they name."""

    files: tuple[Node, ...]
    indicators: tuple[str, ...]


class FileGraph:
    """The flagged files, the files that name others, and the symbolic links between them."""

    def __init__(self) -> None:
        """Start with no file."""
        self.nodes: dict[str, Node] = {}
        self.links: dict[str, str] = {}
        self.names: set[str] = set()
        self.pools: dict[str, dict[str, None]] = {}
        self.references = 0
        self.rows = 0
        self.left_out = 0

    def watch(self, judged: Iterable[tuple[Row, list[Finding | Problem]]]) -> Iterator[Finding | Problem]:
        """Note every row of the inventory and pass on what was found about it."""
        for row, found in judged:
            self.add(row, [outcome for outcome in found if isinstance(outcome, Finding)])
            yield from found

    def add(self, row: Row, found: list[Finding]) -> None:
        """Note one row of the inventory and the findings about it."""
        self.rows += 1
        path = row.get("path")
        if not isinstance(path, str) or not row.get("allocated", True):
            return
        if row.get("type") == "symlink":
            target = row.get("link_target")
            if isinstance(target, str) and target and len(self.links) < _LINKS_LIMIT:
                self.links.setdefault(path, target)
            return
        self._add_file(path, row, [finding for finding in found if finding.severity in FLAG_SEVERITIES])

    def _add_file(self, path: str, row: Row, found: list[Finding]) -> None:
        references = _texts(row.get("references"))
        indicators = tuple(text for text in _texts(row.get("indicators")) if text.startswith(("pool:", "wallet:")))
        if indicators and len(self.pools) < _NODES_LIMIT:
            pools = self.pools.setdefault(path.rpartition("/")[0], {})
            pools.update(dict.fromkeys(indicators[: max(_POOLS_LIMIT - len(pools), 0)]))
        if not found and (not references or path in self.nodes):
            return
        self.references += len(references)
        if not found and (len(self.nodes) >= _NODES_LIMIT or self.references > _REFERENCES_LIMIT):
            self.left_out += 1
            return
        flags = tuple(dict.fromkeys(finding.rule for finding in found))
        severe = any(finding.severity != "medium" for finding in found)
        self.nodes[path] = Node(path, flags, severe, references, indicators)
        self.names.add(path.rsplit("/", 1)[-1])

    def resolve(self, path: str) -> str:
        """Follow the symbolic links of a path inside the inventory; a loop leaves it where it is."""
        hops = 0
        done = ""
        rest = deque(part for part in path.split("/") if part)
        while rest:
            part = rest.popleft()
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            target = self.links.get(f"{done}/{part}")
            if target is None or part == ".":
                done = done if part == "." else f"{done}/{part}"
                continue
            hops += 1
            if hops > _LINK_HOPS:
                return path
            rest.extendleft(reversed([piece for piece in target.split("/") if piece]))
            done = "" if target.startswith("/") else done
        return done or "/"

    def chain(self, paths: Iterable[str]) -> Chain | None:
        """Return the way from one of the paths to a flagged file: the longest there is within ``DEPTH_LIMIT`` files."""
        parents: dict[str, str | None] = {}
        queue: deque[tuple[str, int]] = deque()
        for path in paths:
            self._visit(path, None, 1, parents, queue)
        best: str | None = None
        indicators: dict[str, None] = {}
        while queue:
            path, depth = queue.popleft()
            node = self.nodes[path]
            indicators.update(dict.fromkeys(node.indicators))
            if node.flags:
                best = path
                indicators.update(self.pools.get(path.rpartition("/")[0], {}))
            if depth < DEPTH_LIMIT:
                for reference in node.references:
                    self._visit(reference, path, depth + 1, parents, queue)
        if best is None:
            return None
        return Chain(tuple(self._way(best, parents)), tuple(indicators))

    def _visit(
        self, path: str, parent: str | None, depth: int, parents: dict[str, str | None], queue: deque[tuple[str, int]]
    ) -> None:
        found = self.resolve(clean(path))
        if found in self.nodes and found not in parents and len(parents) < _VISITED_LIMIT:
            parents[found] = parent
            queue.append((found, depth))

    def _way(self, path: str, parents: dict[str, str | None]) -> list[Node]:
        way: list[Node] = []
        step: str | None = path
        while step is not None:
            way.append(self.nodes[step])
            step = parents[step]
        return way[::-1]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
