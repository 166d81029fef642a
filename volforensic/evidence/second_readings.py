"""Which partitions of a second table are listed too, judged by what begins where they begin."""

from collections.abc import Sequence

import msgspec

from volforensic.evidence.bad_sectors import AroundMedium
from volforensic.evidence.partition import Partition, note
from volforensic.evidence.reader import Window
from volforensic.evidence.signatures import recognise
from volforensic.record import Problem


def second_reading(
    window: Window, first: Sequence[Partition], second: Sequence[Partition], problems: list[Problem], reason: str
) -> list[Partition]:
    """Return the partitions that only the second table has, without a number: Linux makes no device of them.

    One that overlaps a partition of the first table is listed where a filesystem begins in it; else it is only told.
    """
    known = {one.offset for one in first}
    further = [one for one in second if one.offset not in known]
    listed: list[Partition] = []
    left: list[Partition] = []
    for partition in further:
        is_apart = all(partition.end <= one.offset or one.end <= partition.offset for one in first)
        (listed if is_apart or begins_filesystem(window, [partition]) else left).append(partition)
    for partitions, how in ((listed, "were read too"), (left, "overlap others and begin no filesystem: not read")):
        if partitions:
            names = ", ".join(str(one.entry) for one in partitions[:20])
            note(problems, f"{reason}; its partitions {names} {how}", offset=partitions[0].offset)
    return [msgspec.structs.replace(one, number=0) for one in listed]


def begins_filesystem(window: Window, partitions: Sequence[Partition]) -> bool:
    """Return whether something that is known by a signature begins where one of the partitions does."""
    places = (Window(window.medium, window.offset + one.offset, one.length) for one in partitions)
    return any(filesystem_type(place) for place in places)


def filesystem_type(window: Window) -> str:
    """Return what the window holds by its signature; "" for nothing, and where it cannot be read."""
    try:
        found = recognise(window._replace(medium=AroundMedium(window.medium)))
    except OSError:
        return ""
    return found.type if found is not None else ""
