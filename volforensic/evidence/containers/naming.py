"""Names of other files that a container stores: paths of a strange host, of which only the last component is used."""

from collections.abc import Sequence

from volforensic.evidence.containers.container import NamedFile


def last_component(name: bytes) -> bytes:
    """Return what follows the last slash or backslash: the host that wrote the path may have been a Windows."""
    return name.replace(b"\\", b"/").rpartition(b"/")[2]


def named_file(files: Sequence[NamedFile], name: bytes) -> NamedFile | None:
    """Return the file that a stored name means, by its last component; letter case counts where it tells two apart."""
    component = last_component(name)
    wanted = {component, name.rpartition(b"/")[2]}
    exact = [file for file in files if file.name in wanted]
    alike = [file for file in files if file.name.lower() == component.lower()]
    return next(iter([*exact, *alike]), None)
