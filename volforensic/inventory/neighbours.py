"""Files that lie in one run each, read with their neighbours: one request for many small files."""

from collections.abc import Sequence

from volforensic.evidence.reader import Window
from volforensic.inventory.file_bytes import StoredFile
from volforensic.medium import Medium

_SMALL = 128 << 10
_LARGEST_RUN = 1 << 20
_SLACK = 4096  # what a file leaves of its last block: it comes with the block anyway


class Neighbours:
    """Holds the bytes of the run that was read last."""

    def __init__(self, medium: Medium, files: Sequence[StoredFile]) -> None:
        """Read from the medium; ``files`` are in the order in which they will be asked for, by their first runs."""
        self._medium = medium
        self._files = files
        self._start = 0
        self._data = b""

    def end(self, index: int, longest: int) -> int:
        """Return up to which byte of the source is read for a file: a run of small ones, ``longest`` bytes at most."""
        extents = self._files[index].extents
        if not extents:
            return 0
        start, length = extents[0].source_offset, extents[0].length
        if not _is_small(self._files[index]):
            return start + min(length, longest)
        if self._holds(start, length):
            return self._start + len(self._data)
        return self._run_end(index, start)

    def read(self, index: int) -> bytes | None:
        """Return a file that lies in one run; None where it does not, or did not read whole."""
        file = self._files[index]
        if not is_one_run(file) or not file.extents:
            return None
        start, length = file.extents[0].source_offset, file.extents[0].length
        if not _is_small(file):
            return self._window(start, length)
        if not self._holds(start, length):
            end = self._run_end(index, start)
            self._start, self._data = start, self._window(start, end - start) or b""
            if not self._data:  # a neighbour's damage is its own
                return self._window(start, length)
        return self._data[start - self._start : start - self._start + length]

    def _holds(self, start: int, length: int) -> bool:
        return self._start <= start and start + length <= self._start + len(self._data)

    def _run_end(self, index: int, start: int) -> int:
        end = start
        for number in range(index, len(self._files)):
            file = self._files[number]
            if not _is_small(file) or not file.extents:
                break
            first = file.extents[0]
            if not 0 <= first.source_offset - end < _SLACK or first.source_offset + first.length - start > _LARGEST_RUN:
                break
            end = first.source_offset + first.length
        return end

    def _window(self, start: int, length: int) -> bytes | None:
        try:
            data = Window(self._medium, start, length).read_at(0, length)
        except OSError:
            return None
        return data if len(data) == length else None


def is_one_run(file: StoredFile) -> bool:
    """Return whether a file's bytes are one run, from its first byte to its last."""
    extents = file.extents
    return extents is not None and len(extents) == 1 and not extents[0].file_offset and extents[0].length == file.size


def _is_small(file: StoredFile) -> bool:
    return file.size <= _SMALL and is_one_run(file)
