"""Which file names which: what is kept of the inventory to follow a line of persistence to the program behind it."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from volforensic.detection.command_paths import clean
from volforensic.record import Finding, Problem, Row

DEPTH_LIMIT = 5
"""Files between a line of persistence and the last program that is followed."""
FLAG_SEVERITIES = frozenset({"critical", "high", "medium"})
"""Severities of the findings that make a file worth following to."""
WORSE_WHEN_STARTED = frozenset({"download_piped_to_shell"})
"""Rules that are low by themselves, since installers do the same, but not for what runs again and again by itself."""

NO_DESTINATION = frozenset(
    {
        *("package-file-altered", "capable-file", "setuid-shell", "setuid-file-writable"),
        *("immutable-file", "device-node-outside-dev"),
    }
)
"""Rules about programs that everything on the host uses, and about files that nobody starts: what leads there is not
worse for it."""
WEAK_ALONE = frozenset(
    {
        "unowned-program-in-system-directory",
        "unowned-kernel-module",
        "owner-without-account",
        "times-contradict",
        "name-that-hides",
        "name-given-twice",
        "script-in-upload-directory",
        "program-in-web-root",
    }
)
"""Rules whose medium findings are worth a look and no more: what starts such a file is not worse for it."""

_NODES_LIMIT = 200_000
_REFERENCES_LIMIT = 1_000_000
_POOLS_LIMIT = 50
_LINKS_LIMIT = 200_000
_LINK_HOPS = 40  # ELOOP: path_resolution(7)
_VISITED_LIMIT = 2_000
_CHAIN_LIMIT = 20

PROGRAM_TYPES = ("application/x-executable", "application/x-pie-executable", "application/x-elf")
"""MIME types of programs."""


class Node(NamedTuple):
    """A file that is flagged, or that names others; ``severe`` where a flag is of a high or critical finding.

    ``program`` says that it is an executable, not a script or a configuration.
    """

    path: str
    flags: tuple[str, ...]
    severe: bool
    program: bool
    references: tuple[str, ...]
    indicators: tuple[str, ...]


class Chain(NamedTuple):
    """The flagged files that a line leads to, and the pools and wallets that they name.

    ``files`` are the way to the ``end``, which is a program where one is flagged, then the other flagged files and what
    leads to them: a miner's line names its program and its configuration. Of the ``indicators`` those of configurations
    and scripts come before those built into programs, which are mostly the addresses that a miner donates to.
    """

    files: tuple[Node, ...]
    end: Node
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
        self._add_file(path, row, [finding for finding in found if _is_flag(finding)])

    def _add_file(self, path: str, row: Row, found: list[Finding]) -> None:
        references = _texts(row.get("references"))
        indicators = tuple(text for text in _texts(row.get("indicators")) if text.startswith(("pool:", "wallet:")))
        program = str(row.get("mime")).startswith(PROGRAM_TYPES)
        if indicators and not program and len(self.pools) < _NODES_LIMIT:
            pools = self.pools.setdefault(path.rpartition("/")[0], {})
            pools.update(dict.fromkeys(indicators[: max(_POOLS_LIMIT - len(pools), 0)]))
        if not found and (not references or path in self.nodes):
            return
        self.references += len(references)
        if not found and (len(self.nodes) >= _NODES_LIMIT or self.references > _REFERENCES_LIMIT):
            self.left_out += 1
            return
        before = self.nodes.get(path)  # a file is added once more with what is found about it at the end of the pass
        flags = tuple(dict.fromkeys([*(before.flags if before else ()), *(finding.rule for finding in found)]))
        severe = (before is not None and before.severe) or any(
            finding.severity in {"critical", "high"} for finding in found
        )
        self.nodes[path] = Node(path, flags, severe, program, references, indicators)
        self.names.add(path.rsplit("/", 1)[-1])

    def resolve(self, path: str, root: str = "") -> str:
        """Follow the symbolic links of a path inside the inventory; a loop leaves it where it is.

        ``root`` is the directory that the path begins at: a layer of a container.
        """
        hops = 0
        done = root
        rest = deque(part for part in path.split("/") if part)
        while rest:
            part = rest.popleft()
            if part == "..":
                done = done.rpartition("/")[0] if done != root else done
                continue
            target = self.links.get(f"{done}/{part}")
            if target is None or part == ".":
                done = done if part == "." else f"{done}/{part}"
                continue
            hops += 1
            if hops > _LINK_HOPS:
                return root + path
            rest.extendleft(reversed([piece for piece in target.split("/") if piece]))
            done = root if target.startswith("/") else done
        return done or "/"

    def chain(self, paths: Iterable[str], roots: Sequence[str] = ("",)) -> Chain | None:
        """Return the ways from the paths to flagged files, each of ``DEPTH_LIMIT`` files at most; None without one.

        ``roots`` are the directories that paths begin at: the layers of a container.
        """
        parents: dict[str, str | None] = {}
        depths: dict[str, int] = {}
        queue: deque[tuple[str, int]] = deque()
        for path, root in product(paths, roots):
            self._visit(path, root, None, 1, parents, queue)
        configured: dict[str, None] = {}
        built_in: dict[str, None] = {}
        while queue:
            path, depth = queue.popleft()
            node = self.nodes[path]
            (built_in if node.program else configured).update(dict.fromkeys(node.indicators))
            if node.flags:
                depths[path] = depth
                configured.update(self.pools.get(path.rpartition("/")[0], {}))
            if depth < DEPTH_LIMIT:
                for reference, root in product(node.references, roots):
                    self._visit(reference, root, path, depth + 1, parents, queue)
        if not depths:
            return None
        end = max(depths, key=lambda path: (self.nodes[path].program, depths[path]))
        files: dict[str, Node] = {}
        for path in (end, *depths):
            files.update((node.path, node) for node in self._way(path, parents))
            if len(files) >= _CHAIN_LIMIT:
                break
        return Chain(tuple(files.values()), self.nodes[end], tuple(configured | built_in))

    def _visit(  # noqa: PLR0913, PLR0917 - a step of the search, and its state
        self,
        path: str,
        root: str,
        parent: str | None,
        depth: int,
        parents: dict[str, str | None],
        queue: deque[tuple[str, int]],
    ) -> None:
        found = self.resolve(clean(path), root)
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


def _is_flag(finding: Finding) -> bool:
    if finding.rule in NO_DESTINATION or (finding.severity == "medium" and finding.rule in WEAK_ALONE):
        return False
    return finding.severity in FLAG_SEVERITIES or finding.rule in WORSE_WHEN_STARTED


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
