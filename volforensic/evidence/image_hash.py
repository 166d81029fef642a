"""The hash of a whole source while its files are examined: a thread that reads in order, and what it reads once.

Files are read behind the hash, from what it has just brought into memory: ``reach`` says how far they may go. The hash
in turn waits where it is too far ahead of them, so that what it read is still in memory when they come. hashlib and
preadv let go of the interpreter's lock, so the thread hardly slows the rest.
"""

import os
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from volforensic.evidence.image import Image
from volforensic.evidence.source import Digest

_SHORTEST_LEAD, _LONGEST_LEAD = 256 << 20, 4 << 30
_SWITCH_SECONDS = 0.0003  # the thread needs the lock for a moment after each block


class _StoppedError(Exception):
    """The hash is not wanted any more."""


class ImageHash:
    """Holds the thread. Use it as a context manager: leaving it without ``wait`` ends the thread."""

    def __init__(self, image: Image, others: Collection[str] = ()) -> None:
        """Hash the image from its first byte on; ``others`` are algorithms beside SHA-256."""
        self._image = image
        self._others = others
        self._lead = _lead()
        self._position = 0
        self._examined = 0
        self._awaited = 0
        self._stopped = False
        self._digest: Digest | None = None
        self._error: BaseException | None = None
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="image hash", daemon=True)
        self._switch_seconds = sys.getswitchinterval()

    def __enter__(self) -> Self:
        """Begin."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, whether it is done or not."""
        with self._moved:
            self._stopped = True
            self._moved.notify()
        self._thread.join()
        sys.setswitchinterval(self._switch_seconds)

    def reach(self, awaited: int) -> int:
        """Return up to which byte the source has been hashed: files before it are read from memory.

        Who waits for a byte says so by ``awaited``: the hash then goes on to it, however far ahead that is.
        """
        if awaited > self._awaited:
            with self._moved:
                self._awaited = awaited
                self._moved.notify()
        return self._position if self._thread.is_alive() else 1 << 63

    def run_free(self) -> None:
        """Let the hash run as fast as it can: nothing follows it."""
        with self._moved:
            self._examined = self._image.size
            self._moved.notify()

    def examined(self, position: int) -> None:
        """Take note that all files before this byte have been examined."""
        if position - self._examined >= self._lead // 16:
            with self._moved:
                self._examined = position
                self._moved.notify()

    def wait(self, seconds: float) -> Digest | None:
        """Return the digest when it is there, None where it is not after so many seconds; raise what went wrong.

        Files hold the hash up no longer from the first call on.
        """
        self.run_free()
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return self._digest

    def _run(self) -> None:
        try:
            self._digest = self._image.digest(self._advance, self._others)
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the digest is asked for
            self._error = error

    def _advance(self, count: int) -> None:
        self._position += count
        if self._stopped:
            raise _StoppedError
        if self._is_far_ahead():
            with self._moved:
                self._moved.wait_for(lambda: self._stopped or not self._is_far_ahead())

    def _is_far_ahead(self) -> bool:
        return self._position - self._examined > self._lead and self._position >= self._awaited


def _lead() -> int:
    """Return how many bytes the hash may be ahead of the files: a quarter of the memory that is free for caching."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with_cache = next(
        (
            int(line.split()[1]) << 10
            for line in Path("/proc/meminfo").read_text().splitlines()
            if "MemAvailable" in line
        ),
        pages,
    )
    return min(max(with_cache // 4, _SHORTEST_LEAD), _LONGEST_LEAD)
