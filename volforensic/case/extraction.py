"""One file of the evidence on its way to extracted/<sha256>: bytes with their positions, holes as NUL bytes."""

from typing import NamedTuple

from volforensic.case.evidence_folder import EvidenceFolder, ExtractedWriter

_ZEROS = bytes(1 << 20)


class Extracted(NamedTuple):
    """What was kept: the SHA-256 over the bytes and their number."""

    sha256: str
    size: int


class Extraction:
    """Holds the file that is being extracted; ``end`` keeps it, ``discard`` does not."""

    def __init__(self, folder: EvidenceFolder) -> None:
        """Begin at the file's first byte."""
        self._writer: ExtractedWriter = folder.extract()
        self._position = 0

    def write_at(self, position: int, data: bytes) -> None:
        """Write bytes at a position; positions rise, what they leave out is a hole."""
        self._fill(position)
        self._writer.write(data[max(0, self._position - position) :])
        self._position = max(self._position, position + len(data))

    def end(self, size: int | None) -> Extracted:
        """Keep the file; the hole at the end of one of ``size`` bytes is filled. None: keep what came, no more."""
        self._fill(size or 0)
        self._writer.keep()
        return Extracted(self._writer.sha256, self._writer.size)

    def discard(self) -> None:
        """Keep nothing."""
        self._writer.discard()

    def _fill(self, position: int) -> None:
        while self._position < position:
            count = min(len(_ZEROS), position - self._position)
            self._writer.write(_ZEROS[:count])
            self._position += count
