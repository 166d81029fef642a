"""Encrypted volumes of an image are opened, one worker each, with what the examiner has given."""

from collections.abc import Iterator

from volforensic.evidence.image import Image
from volforensic.evidence.layout import Layout, OpenedVolume, Volume
from volforensic.evidence.volumes.map_check import check_map
from volforensic.evidence.volumes.mapped import Member
from volforensic.evidence.volumes.unlock_messages import UnlockArguments, Unlocked, unlock_limits
from volforensic.record import Problem
from volforensic.sandbox.pool import Failure, Pool, Task


class Unlocking:
    """Holds what was opened so far, the keys of it, and what stays closed and why."""

    def __init__(self, image: Image, pool: Pool) -> None:
        """Begin with nothing opened."""
        self.opened: list[OpenedVolume] = []
        self.keys: list[bytes] = []
        self.problems: list[Problem] = []
        self._image = image
        self._pool = pool
        self._tried: set[int] = set()

    def open_more(self, layout: Layout) -> bool:
        """Try the encrypted volumes that were not tried before; return whether one was opened.

        The image's handle must know the volumes that the layout maps.
        """
        before = len(self.opened)
        for volume in _locked(layout):
            if volume.offset not in self._tried:
                self._tried.add(volume.offset)
                self._open(volume)
        return len(self.opened) > before

    def give_up(self, layout: Layout) -> None:
        """Say which encrypted volumes were not tried: they lie in too many others."""
        for volume in _locked(layout):
            if volume.offset not in self._tried:
                self._note(volume, "the encrypted volume was not tried: it lies in too many others that are encrypted")

    def _open(self, volume: Volume) -> None:
        arguments = UnlockArguments(
            member=Member(volume.index, volume.offset, volume.length),
            secrets=self._image.secrets,
            first_key=len(self.keys),
        )
        task = Task(
            function="volforensic.evidence.volumes.unlocking:unlock_volume",
            arguments=arguments,
            message_type=Unlocked,
            source=self._image.handle,
            limits=unlock_limits(),
        )
        for message in self._pool.run(task):
            if isinstance(message, Failure):
                self._note(volume, f"the encrypted volume could not be opened: {message.reason}")
            else:
                self._take(volume, message)

    def _take(self, volume: Volume, unlocked: Unlocked) -> None:
        self.problems += unlocked.problems
        if unlocked.volume is None:
            return
        reason = check_map(unlocked.volume.map, volume.offset + volume.length)
        if reason:
            self._note(volume, f"the encrypted volume was not taken: {reason}")
            return
        self.opened.append(OpenedVolume(address=volume.offset, volume=unlocked.volume))
        self.keys += unlocked.keys

    def _note(self, volume: Volume, reason: str) -> None:
        length = volume.length
        self.problems.append(
            Problem(stage="layout", reason=reason, volume=volume.index, offset=volume.offset, length=length)
        )


def _locked(layout: Layout) -> Iterator[Volume]:
    for volume in layout.volumes:
        if volume.filesystem is not None and volume.filesystem.type == "luks" and not volume.parts:
            yield volume
