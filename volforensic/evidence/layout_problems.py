"""What is to be said of a volume in a layout: what of it was not read, and why. Runs in a worker."""

from collections.abc import Iterator

from volforensic.evidence.containers.unsupported import named_container
from volforensic.evidence.layout import Volume
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import is_empty
from volforensic.evidence.volumes.foreign import foreign_kind
from volforensic.record import Problem

MOST_VOLUMES, MOST_PROBLEMS = 1900, 4000  # the parent takes few more (``layout_check.py``)
_NOT_FOR_FILES = {
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot partition",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "PReP boot partition",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "swap partition",
    "0x82": "swap partition",
    "0x41": "PReP boot partition",
}
_WITHOUT_PARTS = {
    "lvm2": "an LVM physical volume, and no logical volume of it was found",
    "linux_raid": "a member of a RAID that was not put together",
}


def listed_problems(problems: list[Problem], volumes: int) -> list[Problem]:
    """Return the problems of a layout of so many volumes, as many as are listed, and that there are more."""
    if volumes >= MOST_VOLUMES:
        reason = f"{MOST_VOLUMES} volumes are listed: others were not read"
        problems = [Problem(stage="layout", reason=reason), *problems]
    told, left = problems[:MOST_PROBLEMS], problems[MOST_PROBLEMS:]
    reason = f"{len(left)} more problems of the layout are not listed"
    lost = any(problem.lost for problem in left)
    return [*told, Problem(stage="layout", reason=reason, lost=lost)] if left else told


def volume_problems(volume: Volume, window: Window) -> Iterator[Problem]:
    """Yield what is to be said of a volume; the window is around bad sectors."""
    found = volume.filesystem
    if found is None:
        yield from _without_filesystem(volume, window)
        return
    if volume.parts or found.type == "luks":
        return  # what became of an encrypted volume is told by who tried to open it
    if found.remark:
        yield _problem(volume, f"{found.type}: {found.remark}", lost=True)
    reason = ""
    if found.unread:
        reason = f"{found.type}: {found.unread}"
    elif volume.is_readable and found.state != "clean":
        reason = f"{found.type}: {found.state}; they were not read"
    elif found.type == "swap":
        state = "" if found.state == "clean" else f": {found.state}"
        yield _problem(volume, f"swap space was not searched{state}", lost=False)
    elif not volume.is_readable:
        reason = _WITHOUT_PARTS.get(found.type) or f"{found.type} is not supported"
    if reason:
        yield _problem(volume, reason, lost=True)


def _without_filesystem(volume: Volume, window: Window) -> Iterator[Problem]:
    kind = volume.description.rpartition(" ")[2]
    container = named_container(window) if volume.kind == "whole" else ""
    if volume.parts:
        if container:
            inside = "what was found in it is of its bytes as they stand, not of the disk that it holds"
            yield _problem(volume, f"{container}; {inside}", lost=True)
    elif kind in _NOT_FOR_FILES:
        yield _problem(volume, f"{_NOT_FOR_FILES[kind]}: no filesystem is expected here", lost=False)
    elif named := foreign_kind(window) or container:
        yield _problem(volume, f"no filesystem: {named}", lost=True)
    elif is_empty(window):
        yield _problem(volume, "no filesystem: the volume begins and ends with NUL bytes", lost=False)
    else:
        yield _problem(volume, "no filesystem that is known", lost=True)


def _problem(volume: Volume, reason: str, *, lost: bool) -> Problem:
    return Problem(
        stage="layout", reason=reason, lost=lost, volume=volume.index, offset=volume.offset, length=volume.length
    )
