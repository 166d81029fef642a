"""The search for an artifact's files: round by round, for a file may name others (Include, AuthorizedKeysFile)."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from volforensic.collection.coverage import CoverageCounts
from volforensic.collection.definitions import Artifact, ArtifactSource
from volforensic.collection.globbing import Allowance, expand
from volforensic.collection.matching import HostView, Matched, Taken, match_source
from volforensic.record import CONTAINER_PREFIX, Problem, text_fields

_MOST_FOLLOWED = 256
_LONGEST_PATTERN = 4096
_MOST_NAMES = 2_000_000
_STARS = re.compile(r"\*{2,}")


class Followed:
    """Holds the globs that records name, by ``artifact.field`` and host. They are evidence: few, short, no ``**``."""

    def __init__(self) -> None:
        """Begin with none."""
        self._patterns: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
        self._refused: dict[tuple[str, str], None] = {}

    def note(self, artifact: Artifact, host: int, rows: Sequence[Any]) -> None:
        """Keep the values of the artifact's list fields that are absolute globs."""
        for field in (name for name, kind in artifact.fields.items() if kind == "list"):
            patterns = self._patterns[f"{artifact.name}.{field}", host]
            for row in rows:
                for pattern in getattr(row, field) or ():
                    if pattern.startswith(("/", "~/")):
                        self._keep(patterns, artifact.name, field, _STARS.sub("*", pattern))

    def _keep(self, patterns: dict[str, None], artifact: str, field: str, pattern: str) -> None:
        if pattern in patterns:
            return
        if len(patterns) < _MOST_FOLLOWED and len(pattern) <= _LONGEST_PATTERN:
            patterns[pattern] = None
        else:
            self._refused[artifact, field] = None

    def patterns(self, name: str, host: int) -> list[str]:
        """Return what records of ``artifact.field`` named on a host so far."""
        return list(self._patterns[name, host])

    def problems(self, follower: Artifact) -> Iterator[Problem]:
        """Yield a problem for each field that the artifact follows and whose globs were too many or too long."""
        for artifact, field in self._refused:
            if any(source.follow == f"{artifact}.{field}" for source in follower.sources):
                reason = f"{artifact}.{field} names more than {_MOST_FOLLOWED} globs, or one that is too long"
                yield Problem(stage="collection", reason=f"{reason}: not all were followed", artifact=follower.name)


class Search:
    """Holds what was found of one artifact, so that each round gives only what is new."""

    def __init__(self, artifact: Artifact, views: Sequence[HostView]) -> None:
        """Search for the artifact's sources in each view."""
        self._artifact = artifact
        self._views = views
        self._taken = Taken()
        self._searched: set[tuple[int, int, str]] = set()
        self._allowance = Allowance(_MOST_NAMES)

    def next_round(self, followed: Followed) -> Iterator[Matched]:
        """Yield what was not matched yet: all in the first round, then what the records name that came of it."""
        for view_number, view in enumerate(self._views):
            for source_number, source in enumerate(self._artifact.sources):
                patterns = self._patterns(source, view.number, followed)
                new = [pattern for pattern in patterns if (view_number, source_number, pattern) not in self._searched]
                self._searched.update((view_number, source_number, pattern) for pattern in new)
                allowance = self._allowance if source.follow else None
                yield from match_source(self._artifact, source, new, view, self._taken, allowance)

    def problems(self) -> Iterator[Problem]:
        """Yield a problem where the globs of the evidence were so wide that they were not followed to their end."""
        if self._allowance.is_spent:
            reason = f"globs named in the evidence match more than {_MOST_NAMES} names: not all were followed"
            yield Problem(stage="collection", reason=reason, artifact=self._artifact.name)

        if self._taken.unrepeated:
            reason = f"{self._taken.unrepeated} files of layers that several containers have are told of one of them"
            yield Problem(stage="collection", reason=reason, lost=False, artifact=self._artifact.name)

    @staticmethod
    def _patterns(source: ArtifactSource, host: int, followed: Followed) -> list[str]:
        return source.paths or followed.patterns(source.follow or "", host)


def unread_forms(artifact: Artifact, views: Sequence[HostView], counts: CoverageCounts) -> Iterator[Problem]:
    """Yield a problem for each host that has the artifact's traces in a form that is not read.

    Where that is all the host has of them, something is lost and the artifact is unsupported there.
    """
    for view in views if artifact.unread else ():
        if view.is_below_mounts:
            continue
        found = sum(1 for pattern in artifact.unread for match in expand(view.namespace, pattern))
        if not found:
            continue
        root = view.host.root.volume
        volumes = {root} if view.label else {tree.volume for tree in view.host.trees}
        is_all = not counts.files_on(artifact.name, [(volume, view.label) for volume in sorted(volumes)])
        reason = f"{found} files that match {', '.join(artifact.unread)} are not read by this version"
        if is_all:
            reason += ", and there is no other trace of this artifact"
            counts.unsupported(artifact.name, (root, view.label), reason)
        place = text_fields("source", (CONTAINER_PREFIX + view.label).encode()) if view.label else {}
        yield Problem(stage="collection", reason=reason, lost=is_all, artifact=artifact.name, volume=root, **place)
