"""A dpkg database: from the bytes of its files to the claims of its packages."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from volforensic.inventory.packages import dpkg_files as files
from volforensic.inventory.packages import dpkg_status
from volforensic.inventory.packages.claims import (
    CONFIG,
    DIRECTORY,
    FILE,
    LONGEST_NAME,
    OPTIONAL,
    SYMLINK,
    Claim,
    Claims,
    Lost,
    PackageName,
)
from volforensic.inventory.packages.dpkg_status import ConfigurationFile, Status

_MOST_UNLISTED = 20


class Common(NamedTuple):
    """What holds for every package: diversions and overrides by path, and which paths are not unpacked.

    ``folders`` are the directories that were claimed before: /usr/share is in the list of every package.
    """

    diversions: Mapping[bytes, files.Diversion]
    overrides: Mapping[bytes, files.Override]
    filter: files.PathFilter
    folders: set[bytes]

    def placed(self, claim: Claim, package: str) -> Claim:
        """Return the claim at the path where the package's file really lies, with the owner and mode set for it."""
        path = claim.path
        diversion = self.diversions.get(path)
        if diversion is not None and diversion.package != package:
            path = diversion.to
        override = self.overrides.get(claim.path)
        excluded = self.filter.exclusion(claim.path)
        if path == claim.path and override is None and not excluded:
            return claim
        uid, gid, mode = override or (claim.uid, claim.gid, claim.mode)
        return msgspec.structs.replace(claim, path=path, mode=mode, uid=uid, gid=gid, excluded=excluded)


Read = Callable[[str], bytes | None]
"""Returns the bytes of a file of info/ by its name; None where there is none."""


def status_claims(
    status: list[Status], stems: set[str], read: Read, common: Common, *, is_cut: bool
) -> Iterator[Claims | Lost]:
    """Yield the claims of every package of a status file, and what is lost.

    ``stems`` are the names of the file lists in info/ without ``.list``. A list whose package is not in the status
    file is read all the same, its package's version is unknown then.
    """
    known: set[str] = set()
    for package in status:
        stem = next((name for name in package.file_names if name in stems), "")
        known.update([stem] if stem else package.file_names)
        if package.state in dpkg_status.NOT_THERE:
            named = PackageName(package.name, package.version, "dpkg")
            yield Claims(named, [common.placed(claim, package.name) for claim in _configuration(package)])
            continue
        yield from _listed(package, stem or package.file_names[0], read, common)
    unlisted = sorted(stems - known)
    if unlisted:
        shown = ", ".join(unlisted[:_MOST_UNLISTED])
        reason = f"{len(unlisted)} packages have a list of files and are not in the status file: {shown}"
        yield Lost(reason, hides=is_cut)
    for stem in unlisted:
        name = stem.partition(":")[0][:LONGEST_NAME]
        yield from _listed(Status(name, "", "", is_multi_arch=False, state="", configuration={}), stem, read, common)


def _listed(package: Status, stem: str, read: Read, common: Common) -> Iterator[Claims | Lost]:
    listed, summed = read(f"{stem}.list"), read(f"{stem}.md5sums")
    if listed is None:
        reason = f"package {package.name}: its list of files is missing" + (
            ", its MD5 sums stand in for it" if summed is not None else ""
        )
        yield Lost(reason, hides=summed is None)
    optional = OPTIONAL if package.state in dpkg_status.HALF_THERE else 0
    made = _package_claims(
        package, files.file_list(listed or b""), files.md5_sums(summed or b""), optional, common.folders
    )
    named = PackageName(package.name, package.version, "dpkg")
    yield Claims(named, [common.placed(claim, package.name) for claim in made])


def _package_claims(
    package: Status, paths: list[bytes], sums: dict[bytes, bytes], optional: int, known_folders: set[bytes]
) -> Iterator[Claim]:
    """Yield a package's claims. A list does not say what is a directory: what other paths of it lie in is one."""
    configuration = package.configuration
    folders = {path.rpartition(b"/")[0] for path in paths}
    for path in dict.fromkeys([*paths, *sums, *configuration]):
        if path in folders:
            if path not in known_folders:
                known_folders.add(path)
                yield Claim(path, DIRECTORY)
        elif path in configuration:
            yield _configuration_claim(path, configuration[path], optional)
        elif path in sums:
            yield Claim(path, FILE, "md5", sums[path], optional)
        else:
            yield Claim(path, flags=optional)


def _configuration(package: Status) -> Iterator[Claim]:
    """Yield claims on what a removed package left: nothing of it need be there."""
    for path, known in package.configuration.items():
        yield _configuration_claim(path, known, OPTIONAL)


def _configuration_claim(path: bytes, known: ConfigurationFile, flags: int) -> Claim:
    flags |= CONFIG | (OPTIONAL if known.is_optional else 0)
    return Claim(path, FILE, "md5" if known.digest else "", known.digest, flags)


def distroless_claims(
    status: bytes, md5sums: bytes | None, common: Common, paragraph_name: str
) -> Iterator[Claims | Lost]:
    """Yield the claims of one package of a status.d folder, which has a paragraph and MD5 sums and no list."""
    for package in dpkg_status.packages(status)[:1]:
        if md5sums is None:
            yield Lost(f"package {package.name}: status.d/{paragraph_name} has no MD5 sums beside it")
        made = _package_claims(package, [], files.md5_sums(md5sums or b""), 0, common.folders)
        named = PackageName(package.name, package.version, "dpkg")
        yield Claims(named, [common.placed(claim, package.name) for claim in made])


def alternative_claims(name: bytes, data: bytes, manager: str = "dpkg") -> Claims:
    """Return the claims of one file of the alternatives folder on the links that it manages: no package does."""
    found = files.alternatives(name, data)
    package = PackageName("update-alternatives", "", manager)
    return Claims(package, [Claim(link, SYMLINK, flags=OPTIONAL, targets=targets) for link, targets in found])
