"""The status file of dpkg: the packages, their states and configuration files (deb-control(5))."""

from typing import NamedTuple

from volforensic.inventory.packages.claims import hex_digest, normal_path, package_name

_KEPT = (b"package", b"status", b"version", b"architecture", b"multi-arch", b"conffiles")
NOT_THERE = ("not-installed", "config-files")
HALF_THERE = ("half-installed",)


class ConfigurationFile(NamedTuple):
    """A configuration file: the MD5 of what the package shipped (empty: unknown), whether it may be absent."""

    digest: bytes
    is_optional: bool


class Status(NamedTuple):
    """One package as status knows it; ``state`` is the last word of its status (installed, config-files, ...)."""

    name: str
    version: str
    architecture: str
    is_multi_arch: bool
    state: str
    configuration: dict[bytes, ConfigurationFile]

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names that its files in info/ may have, the one of a package that has several architectures first."""
        return (f"{self.name}:{self.architecture}", self.name) if self.is_multi_arch else (self.name,)


def packages(data: bytes) -> list[Status]:
    """Return the packages of a status file; a paragraph without a name is left out."""
    found = []
    for paragraph in data.split(b"\n\n"):
        fields = _fields(paragraph)
        named = package_name(fields.get(b"package", b""), fields.get(b"version", b""), "dpkg")
        if not named.name:
            continue
        words = fields.get(b"status", b"install ok installed").split()
        found.append(
            Status(
                name=named.name,
                version=named.version,
                architecture=fields.get(b"architecture", b"").strip().decode("utf-8", "replace"),
                is_multi_arch=fields.get(b"multi-arch", b"").strip() == b"same",
                state=words[-1].decode("ascii", "replace") if words else "",
                configuration=_configuration(fields.get(b"conffiles", b"")),
            )
        )
    return found


def is_cut(data: bytes) -> bool:
    """Return whether a status file ends within a paragraph: dpkg writes an empty line behind each."""
    return bool(data) and not data.endswith(b"\n\n")


def _fields(paragraph: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    name = b""
    for line in paragraph.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if name == b"conffiles":
                fields[name] += b"\n" + line
            continue
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon and name in _KEPT:
            fields.setdefault(name, value)
        else:
            name = b""
    return fields


def _configuration(value: bytes) -> dict[bytes, ConfigurationFile]:
    """Return the configuration files: `` path md5 [obsolete] [remove-on-upgrade]`` a line; a path may hold blanks."""
    found = {}
    for line in value.split(b"\n"):
        words = line.strip().split(b" ")
        flags = set()
        while len(words) > 2 and words[-1] in (b"obsolete", b"remove-on-upgrade"):
            flags.add(words.pop())
        path = normal_path(b" ".join(words[:-1])) if len(words) >= 2 else None
        if path is not None:
            found[path] = ConfigurationFile(hex_digest(words[-1], "md5"), bool(flags))
    return found
