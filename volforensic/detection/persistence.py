"""What runs by itself, followed to the file behind it: a cron or at line, a preloaded library, and flagged programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from volforensic.detection.command_paths import clean, named_paths
from volforensic.detection.file_graph import Chain, FileGraph, Node
from volforensic.detection.rows import cut, integer, main_text, shown, string
from volforensic.detection.rules import FINDINGS_LIMIT, limit_problem
from volforensic.record import Finding, Problem, Row, container_of, finding_id


class Mechanism(NamedTuple):
    """How an artifact makes something run: the fields that name it, words for a sentence, the technique."""

    fields: tuple[str, ...]
    words: str
    technique: str


MECHANISMS: Mapping[str, Mechanism] = {
    "cron": Mechanism(("command", "script"), "A cron job of user {user}", "T1053.003"),
    "at": Mechanism(("command",), "An at job of user {user}", "T1053.002"),
    "ld_preload": Mechanism(("library",), "The library that every program would load first", "T1574.006"),
}
"""The artifacts whose records start or load a file."""

LIBRARIES_LIMIT = 1_000
_SHOWN_INDICATORS = 3
_DYNAMIC_TOKENS = ("$LIB", "$PLATFORM", "$ORIGIN", "${")


class Library(NamedTuple):
    """A library that /etc/ld.so.preload names by an absolute path."""

    path: str
    record_id: str
    source: str
    volume: int | None


class Persistence:
    """Findings about what runs by itself, made while the records pass; and the libraries that are preloaded."""

    def __init__(
        self, graph: FileGraph, homes: Mapping[tuple[str, str], str], layers: Mapping[str, Sequence[str]]
    ) -> None:
        """Follow names to the files of ``graph``; ``homes`` are the home directories by container and user.

        ``layers`` are the paths of each container's layers in the inventory, by its label, the upper one first.
        """
        self._layers = layers
        self.findings: dict[str, Finding] = {}
        self.libraries: list[Library] = []
        self._graph = graph
        self._homes = homes
        self._beyond = 0

    def watch(self, artifact: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass the records of an artifact of ``MECHANISMS`` through and follow what they name."""
        mechanism = MECHANISMS[artifact]
        for row in rows:
            self._note_library(row)
            label = container_of(row.get("source"))
            chain = self._graph.chain(self._paths(mechanism, row, label), self._layers.get(label, ("",)))
            if chain is not None:
                self._add(_chain_finding(artifact, mechanism, row, chain))
            yield row

    def problems(self) -> Iterator[Problem]:
        """Yield what there was too much of."""
        if self._beyond:
            yield limit_problem("persistence-runs-flagged-file", self._beyond)
        if self._graph.left_out:
            reason = f"{self._graph.left_out} files that name others were not followed: there are too many"
            yield Problem(stage="detection", reason=reason)

    def places(self, source: str, path: str) -> list[str]:
        """Return where in the inventory a path may be that was read from ``source``: links followed, in each layer."""
        roots = self._layers.get(container_of(source), ("",))
        return [self._graph.resolve(path, root) for root in roots]

    def _paths(self, mechanism: Mechanism, row: Row, label: str) -> Iterator[str]:
        user = row.get("user")
        home = self._homes.get((label, user), "") if isinstance(user, str) else ""
        environment = row.get("environment")
        for field in mechanism.fields:
            text = row.get(field)
            if isinstance(text, str):
                yield from named_paths(
                    text,
                    home=home,
                    environment=environment if isinstance(environment, list) else (),
                    wanted_names=self._graph.names,
                )

    def _note_library(self, row: Row) -> None:
        library = row.get("library")
        if not isinstance(library, str) or not library.startswith("/") or len(self.libraries) >= LIBRARIES_LIMIT:
            return
        if not any(token in library for token in _DYNAMIC_TOKENS):
            self.libraries.append(
                Library(clean(library), str(row.get("record_id")), shown(row.get("source")), integer(row.get("volume")))
            )

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < FINDINGS_LIMIT:
            self.findings.setdefault(finding.finding_id, finding)
        elif finding.finding_id not in self.findings:
            self._beyond += 1


def missing_libraries(libraries: Iterable[Library], present: set[str], known: Persistence) -> Iterator[Finding]:
    """Yield a finding for each preloaded library that is not among the ``present`` paths of the inventory."""
    for library in libraries:
        if not present.isdisjoint(known.places(library.source, library.path)):
            continue
        statement = (
            f"{library.source} names {cut(library.path)}, which every program would load first, and that file is not"
            " there: removed since, or hidden"
        )
        yield Finding(
            finding_id=finding_id("preloaded-library-missing", [library.record_id, library.path]),
            rule="preloaded-library-missing",
            severity="high",
            statement=statement,
            attack=["T1574.006"],
            cites=[library.record_id],
            evidence=[cut(library.path)],
            volume=library.volume,
        )


def _chain_finding(artifact: str, mechanism: Mechanism, row: Row, chain: Chain) -> Finding:
    line = main_text({field: row.get(field) for field in mechanism.fields})
    steps = [f"`{line}`", *(_step(node) for node in chain.files), *chain.indicators[:_SHOWN_INDICATORS]]
    who = mechanism.words.format(user=shown(row.get("user")))
    statement = f"{who} in {shown(row.get('source'))} leads to a flagged file: {' → '.join(steps)}"
    moment = string(row.get("timestamp"))
    return Finding(
        finding_id=finding_id("persistence-runs-flagged-file", [artifact, statement]),
        rule="persistence-runs-flagged-file",
        severity="critical" if any(node.severe for node in chain.files) else "high",
        statement=statement,
        attack=[mechanism.technique],
        cites=[str(row.get("record_id")), *(node.path for node in chain.files)],
        evidence=[line, *chain.indicators[:_SHOWN_INDICATORS]],
        path=chain.end.path,
        volume=integer(row.get("volume")),
        first_seen=moment,
        last_seen=moment,
        details={
            "artifact": artifact,
            "chain": [node.path for node in chain.files],
            "flags": {node.path: list(node.flags) for node in chain.files if node.flags},
            "indicators": list(chain.indicators[:50]),
        },
    )


def _step(node: Node) -> str:
    return f"{cut(node.path)} ({', '.join(node.flags)})" if node.flags else cut(node.path)
