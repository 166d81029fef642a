"""What kernel modules say of themselves against the kernels that are installed and the other modules (T1547.006)."""

import re
from collections.abc import Iterator
from typing import Any

from volforensic.detection.judgements import Sign, Subject
from volforensic.detection.rows import cut
from volforensic.record import Row

RELEASES_LIMIT = 1_000
"""Releases of kernels that are kept: one directory below /lib/modules each."""
_RELEASE = re.compile(r"(?:/usr)?/lib/modules/([^/]{1,100})")
_IN_PLACE = re.compile(r"(?:/usr)?/lib/modules/([^/]{1,100})/")


class KernelModules:
    """The releases that have a directory of modules, and how many modules are signed."""

    def __init__(self) -> None:
        """Start with none."""
        self._releases: set[str] = set()
        self._signed = 0
        self._unsigned = 0

    def note(self, subject: Subject) -> None:
        """Note a directory of modules, and whether a module is signed."""
        if subject.row.get("type") == "directory":
            match = _RELEASE.fullmatch(subject.path)
            if match and len(self._releases) < RELEASES_LIMIT:
                self._releases.add(match[1])
            return
        module = _module(subject.row)
        if module.get("signed") is True:
            self._signed += 1
        elif module:
            self._unsigned += 1

    def late_signs(self, row: Row) -> Iterator[Sign]:
        """Yield signs about a module: built for a kernel that is not there, or unsigned where others are signed."""
        module = _module(row)
        vermagic = module.get("vermagic")
        if isinstance(vermagic, str) and vermagic:
            release = vermagic.split(" ", 1)[0]
            place = _IN_PLACE.match(str(row.get("path")))
            if place and release != place[1]:
                yield Sign("built", f"it was built for the kernel {cut(release)} and lies among modules of another", 2)
            elif self._releases and release not in self._releases:
                yield Sign("built", f"it was built for the kernel {cut(release)}, which is not installed", 1)
        if module.get("signed") is False and self._signed > self._unsigned:
            yield Sign("built", "it is not signed, while most modules are", 1)


def _module(row: Row) -> dict[str, Any]:
    elf = row.get("elf")
    module = elf.get("module") if isinstance(elf, dict) else None
    return module if isinstance(module, dict) else {}
