"""What a host's own files say of it: its name, system, time zone, mounts and homes. They are read in a worker."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from volforensic.collection.content import CONFIGURATION_LIMIT, NO_ZONE, SourceFile
from volforensic.collection.file_content import open_content
from volforensic.collection.host_check import HostCheck
from volforensic.collection.host_mounts import host_problem
from volforensic.collection.mount_units import UnitFiles, all_mounts, find_units
from volforensic.collection.namespace import Namespace, Tree
from volforensic.collection.parsers import identity, mount_units
from volforensic.collection.time_zones import LARGEST_ZONE, is_zone_file, packaged_zone
from volforensic.evidence.layout import VolumeFacts
from volforensic.inventory.entry import FileEntry
from volforensic.inventory.file_bytes import filesystem_opener
from volforensic.record import Problem, text
from volforensic.sandbox.messages import SourceHandle
from volforensic.sandbox.pool import Failure, Pool, Task
from volforensic.sandbox.worker import Workplace

_FACT_FILES = {
    "fstab": (b"/etc/fstab",),
    "os_release": (b"/etc/os-release", b"/usr/lib/os-release"),
    "hostname": (b"/etc/hostname",),
    "passwd": (b"/etc/passwd",),
    "timezone": (b"/etc/timezone",),
    "localtime": (b"/etc/localtime",),
    "crypttab": (b"/etc/crypttab",),
}
_LARGEST_UNIT = 64 << 10


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the host's own files say of it. ``time_zone`` is a TZif file's bytes (empty: UTC), ``homes`` home → user.

    ``mounts`` are fstab's lines and mount units, ``mappings`` crypttab's names and their encrypted devices.
    """

    hostname: str = ""
    os: str = ""
    time_zone_name: str = ""
    time_zone: bytes = b""
    time_zone_basis: str = NO_ZONE
    mounts: list[identity.FstabEntry] = []
    mappings: dict[bytes, bytes] = {}
    homes: dict[bytes, str] = {}
    losses: list[str] = []
    remarks: list[str] = []

    def of_its_volumes(self) -> "HostFacts":
        """Return what holds of a volume that was the host's, but is not known as mounted: the zone and the homes."""
        return HostFacts(
            time_zone_name=self.time_zone_name,
            time_zone=self.time_zone,
            time_zone_basis=self.time_zone_basis,
            homes=self.homes,
        )


class HostArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The files that say who a host is, its mount units, the volumes they lie in, and where /etc/localtime pointed."""

    files: dict[str, FileEntry]
    units: list[UnitFiles]
    volumes: dict[int, VolumeFacts]
    localtime_target: bytes


def read_facts(
    pool: Pool, source: SourceHandle, namespace: Namespace, root: Tree, volumes: dict[int, VolumeFacts]
) -> tuple[HostFacts, list[Problem]]:
    """Return what the files of a host's view say of it, and what could not be read; ``root`` is its root."""
    files = {}
    for name, paths in _FACT_FILES.items():
        found = [namespace.resolve(path).entry for path in paths]
        entry = next((entry for entry in found if entry is not None and entry.type == "file"), None)
        if entry is not None:
            files[name] = entry
    link = namespace.at(b"/etc/localtime")
    target = link.link_target if link is not None and link.link_target else b""
    arguments = HostArguments(files=files, units=list(find_units(namespace)), volumes=volumes, localtime_target=target)
    task = Task(
        function="volforensic.collection.host_facts:read_host",
        arguments=arguments,
        message_type=HostFacts,
        source=source,
        check=HostCheck(),
    )
    facts, problems = HostFacts(), []
    for message in pool.run(task):
        if isinstance(message, Failure):
            problems.append(host_problem(root, f"the host's identity could not be read: {message.reason}"))
        else:
            facts = _with_zone(message)
            problems.extend(host_problem(root, loss) for loss in facts.losses)
            problems.extend(host_problem(root, remark, lost=False) for remark in facts.remarks)
    return facts, problems


def _with_zone(facts: HostFacts) -> HostFacts:
    """Where the evidence names a zone and does not hold its file, take the file of the tz database that we carry."""
    if facts.time_zone or not facts.time_zone_name:
        return facts
    file = packaged_zone(facts.time_zone_name)
    if is_zone_file(file):
        return msgspec.structs.replace(facts, time_zone=file)
    basis = f"UTC: the zone {facts.time_zone_name} is not known"
    return msgspec.structs.replace(facts, time_zone_basis=basis, remarks=[*facts.remarks, basis])


def read_host(place: Workplace, arguments: object) -> Iterator[HostFacts]:
    """Yield a host's facts: worker function, arguments as ``HostArguments``."""
    given = msgspec.convert(arguments, HostArguments)
    data: dict[str, bytes] = {}
    losses: list[str] = []
    filesystem = filesystem_opener(place.source, given.volumes)
    for index, (name, entry) in enumerate(given.files.items()):
        place.begin_item(index)
        file = SourceFile(path=entry.path, size=entry.size)
        content = open_content(place.source, entry, file, filesystem)
        data[name] = content.whole(LARGEST_ZONE if name == "localtime" else CONFIGURATION_LIMIT)
        if name != "localtime":  # what is no zone's file there may be of any size: see _zone
            losses.extend(f"{text(entry.path)}: {loss.reason}" for loss in content.losses)
    units: list[tuple[UnitFiles, identity.FstabEntry]] = []
    for index, unit in enumerate(given.units):
        place.begin_item(index)
        files = [open_content(place.source, entry, SourceFile(path=entry.path, size=entry.size), filesystem)
                 for entry in unit.files]  # fmt: skip
        mount = mount_units.mount_unit(unit.name, [file.whole(_LARGEST_UNIT) for file in files])
        losses.extend(f"{text(unit.path)}: {loss.reason}" for file in files for loss in file.losses)
        if mount is not None:
            units.append((unit, mount))
    yield _facts(data, losses, given.localtime_target, units)


def _facts(
    data: dict[str, bytes],
    losses: list[str],
    localtime_target: bytes,
    units: Sequence[tuple[UnitFiles, identity.FstabEntry]] = (),
) -> HostFacts:
    release = identity.os_release(data.get("os_release", b""))
    zone = _zone(data.get("localtime", b""), localtime_target, data.get("timezone", b""))
    return HostFacts(
        hostname=identity.hostname(data.get("hostname", b"")),
        os=release.get("PRETTY_NAME", "") or release.get("NAME", ""),
        time_zone_name=zone.name,
        time_zone=zone.file,
        time_zone_basis=zone.basis,
        mounts=all_mounts(identity.fstab(data.get("fstab", b"")), units),
        mappings=mount_units.crypttab(data.get("crypttab", b"")),
        homes=identity.homes(data.get("passwd", b"")),
        losses=losses,
        remarks=[zone.remark] if zone.remark else [],
    )


class _Zone(NamedTuple):
    name: str
    file: bytes
    basis: str
    remark: str = ""


def _zone(file: bytes, link_target: bytes, named: bytes) -> _Zone:
    """Return the host's zone: the file that /etc/localtime is, the name in its link, or the name in /etc/timezone."""
    name = identity.zone_name(link_target)
    remark = "" if is_zone_file(file) or not (file or link_target) else "/etc/localtime is not a time zone's file"
    if is_zone_file(file):
        return _Zone(name, file, f"{name or 'unnamed'} from /etc/localtime")
    if name:
        return _Zone(name, b"", f"{name} from /etc/localtime", remark if file else "")
    name = identity.zone_name(b"/zoneinfo/" + named.strip(b" \t\r\n\0"))
    if name:
        return _Zone(name, b"", f"{name} from /etc/timezone", remark)
    return _Zone("", b"", NO_ZONE, remark)
