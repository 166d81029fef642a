"""Counting what became of each artifact on each volume."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec import UNSET

from volforensic.collection.records import Batch
from volforensic.record import Coverage, CoverageStatus

_MOST_REASONS = 20


Place = tuple[int, str]
"""A volume, and the label of the container whose view is meant ("": a host's), on the volume of its upper layer."""


class _Count:
    def __init__(self) -> None:
        self.files = self.records = self.unparsed = self.lost = 0
        self.is_unsupported = False
        self.reasons: dict[str, None] = {}


class CoverageCounts:
    """Holds the counts while the stage runs. ``doubtful`` are volumes whose inventory is not complete."""

    def __init__(self, doubtful: frozenset[int]) -> None:
        """Begin with nothing counted."""
        self._doubtful = doubtful
        self._counts: dict[tuple[str, Place], _Count] = defaultdict(_Count)

    def file(self, artifact: str, place: Place) -> None:
        """Count a file that was found."""
        self._counts[artifact, _key(place)].files += 1

    def batch(self, artifact: str, place: Place, batch: Batch) -> None:
        """Count records, those that are lines which were not understood, and rows that were refused."""
        count = self._counts[artifact, _key(place)]
        count.records += len(batch.rows)
        count.unparsed += batch.unparsed
        if batch.refused:
            self.lost(artifact, place, "rows that are not what the definition declares")

    def lost(self, artifact: str, place: Place, reason: str) -> None:
        """Count a byte range or a file that was not read."""
        count = self._counts[artifact, _key(place)]
        count.lost += 1
        if len(count.reasons) < _MOST_REASONS:
            count.reasons[reason] = None

    def files_on(self, artifact: str, places: Iterable[Place]) -> int:
        """Return how many files of the artifact were found in these places."""
        return sum(self._counts[artifact, _key(place)].files for place in places)

    def unsupported(self, artifact: str, place: Place, reason: str) -> None:
        """Note that what the artifact leaves is there in a form that is not read, and in no other."""
        self._counts[artifact, _key(place)].is_unsupported = True
        self._counts[artifact, _key(place)].reasons[reason] = None

    def coverage(self, artifact: str, places: Iterable[Place]) -> Iterator[Coverage]:
        """Yield the artifact's coverage in each place."""
        for place in places:
            volume, container = place
            count = self._counts[artifact, _key(place)]
            if volume in self._doubtful and not count.reasons:
                count.reasons["the inventory of this volume is not complete: files may be missing"] = None
            yield Coverage(
                artifact=artifact,
                volume=volume,
                status=self._status(count, volume),
                files=count.files,
                records=count.records,
                unparsed=count.unparsed,
                reasons=list(count.reasons),
                container=container or UNSET,
            )

    def _status(self, count: _Count, volume: int) -> CoverageStatus:
        if count.is_unsupported:
            return "unsupported"
        if count.lost:
            return "partial" if count.records else "unreadable"
        if volume in self._doubtful:
            return "partial"
        return "complete" if count.files else "absent"


def _key(place: Place) -> Place:
    """Return what is counted together: a container's files lie on the volumes of all its layers."""
    return (-1, place[1]) if place[1] else place
