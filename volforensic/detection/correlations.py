"""Judgements that take more than one record: the watchers that records pass, and what they conclude."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from volforensic.detection import brute_force, brute_force_findings, distributed, sessions
from volforensic.detection.accounts import Accounts
from volforensic.detection.file_graph import FileGraph
from volforensic.detection.key_logins import KeyLogins
from volforensic.detection.logins import Tally
from volforensic.detection.persistence import MECHANISMS, Persistence, missing_libraries
from volforensic.record import Finding, Problem, Row, container_of

HOMES_LIMIT = 10_000
"""Home directories that are kept to read ``~`` in commands."""

Records = Callable[[str], Iterable[Row]]
Files = Callable[[], Iterable[Row]]


class Correlations:
    """What the watchers of all artifacts have seen; records pass each once, then ``conclude`` is asked."""

    def __init__(
        self,
        graph: FileGraph,
        records: Records,
        files: Files,
        layers: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """Hold the files that are known, the ways to read records and files once more, and containers' layers."""
        self._graph = graph
        self._records = records
        self._files = files
        self._tallies = {"auth_log": Tally(), "logins": Tally()}
        self._accounts = Accounts()
        self._keys = KeyLogins()
        self._persistence = Persistence(graph, _homes(records("users")), layers)
        self._sources: dict[str, sessions.ChangedFile] = {}

    def watch(self, artifact: str, rows: Iterable[Row]) -> Iterable[Row]:
        """Return the artifact's records, to be read once, passing every watcher that wants them."""
        if artifact == "auth_log":
            rows = self._keys.watch_log(self._tallies[artifact].watch_log(rows))
        elif artifact == "logins":
            rows = self._tallies[artifact].watch_databases(rows)
        elif artifact == "users":
            rows = self._accounts.watch(rows)
        elif artifact == "authorized_keys":
            rows = self._keys.watch_files(rows)
        elif artifact == "sshd_config":
            rows = self._keys.watch_settings(rows)
        if artifact in MECHANISMS:
            rows = self._persistence.watch(artifact, rows)
        if artifact in sessions.WATCHED:
            rows = sessions.watch_sources(artifact, rows, self._sources)
        return rows

    def conclude(self) -> Iterator[Finding | Problem]:
        """Yield what the records amount to; called once, after all of them have passed."""
        judged = brute_force.verdicts(self._tallies.values())
        yield from brute_force_findings.findings(judged)
        yield from brute_force_findings.problems(self._tallies)
        told = [verdict.address for verdict in judged if verdict.kind in {"succeeded", "guessed"}]
        yield from distributed.findings(self._tallies["auth_log"].histories, told)
        yield from self._accounts.findings()
        yield from self._keys.findings()
        yield from self._persistence.findings.values()
        yield from self._persistence.problems()
        yield from self._missing_libraries()
        if self._sources and any(verdict.kind == "succeeded" for verdict in judged):
            won = sessions.intruders_sessions(judged, self._records("auth_log"))
            yield from sessions.changed_files(self._files(), self._sources, won)

    def _missing_libraries(self) -> Iterator[Finding]:
        """Look the preloaded libraries up in the inventory; without an inventory nothing can be said."""
        libraries = self._persistence.libraries
        if not libraries or not self._graph.rows:
            return
        wanted = {path for library in libraries for path in self._persistence.places(library.source, library.path)}
        present = {
            path for row in self._files() if (path := str(row.get("path"))) in wanted and row.get("allocated", True)
        }
        yield from missing_libraries(libraries, present, self._persistence)


def _homes(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """Return the homes of users by container ("": the host) and name."""
    homes: dict[tuple[str, str], str] = {}
    for row in rows:
        user, home = row.get("user"), row.get("home")
        if isinstance(user, str) and isinstance(home, str) and home.startswith("/") and len(homes) < HOMES_LIMIT:
            homes.setdefault((container_of(row.get("source")), user), home)
    return homes
