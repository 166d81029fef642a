"""A medium: bytes by position. A disk in a container, a volume above several disks, a plain image are all read so."""

from typing import Protocol


class Medium(Protocol):
    """What is read by position. Nothing is written to it, and nothing is asked of it but bytes."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def read_at(self, position: int, size: int) -> bytes:
        """Return ``size`` bytes from ``position`` on; fewer only where the medium ends, none outside it.

        Raises:
            OSError: With ``EIO`` where bytes of the range cannot be had; who wants the others asks for less.
        """
