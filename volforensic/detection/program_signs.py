"""Signs about a program that say little alone: how it is built, who owns it, what it keeps. Together they weigh.

The facts of ELF files are those of ``elf`` in the row; only files that no package proves have them.
"""

import re
from collections.abc import Iterator
from typing import Any

from volforensic.detection import places
from volforensic.detection.judgements import Judgement, Sign, Subject, article
from volforensic.detection.privileges import DANGEROUS, grants
from volforensic.detection.rows import cut, shown, string
from volforensic.detection.surroundings import Surroundings
from volforensic.record import Severity

ENOUGH = 5
"""Weight that makes a finding of a program which no other rule names."""
MUCH = 7
"""Weight from which that finding is high."""
RAISES = 3
"""Weight of signs that raises another rule's finding by one step."""

_SIGNS_WANTED = 3
_HEAVY = 3
_BUNDLERS = frozenset({"PyInstaller", "AppImage"})  # they pack a program with its libraries
_GROUPS_LIMIT = 32
_LOADER = re.compile(
    r"/(?:usr/)?(?:lib(?:32|64|x32|exec)?)/(?:[a-z0-9_-]{1,40}/)?(?:ld-linux[^/]{0,40}\.so\.[0-9]|ld(?:64)?\.so\.[0-9]|ld-musl-[^/]{1,20}\.so\.[0-9]|ld-[0-9.]{1,8}\.so|ld-uClibc[^/]{0,10}\.so\.[0-9])|/(?:nix|gnu)/store/.{1,200}|/snap/.{1,200}|/opt/.{1,200}|/home/linuxbrew/.{1,200}"
)
_WRITABLE_PATH = re.compile(r"(?:^|:)(?:/tmp|/var/tmp|/dev/shm|/home|\.(?=[:/]|\Z)|(?=:|\Z))")
_GROUPS = {
    "replaced library functions": ("puts itself in the place of functions of libc or PAM", 4),
    "shell over a connection": ("can give a shell over a connection that it makes", 3),
    "shell behind a port": ("can give a shell to whoever connects", 3),
    "program under another identity": ("starts programs under another identity", 1),
    "program in memory": ("can run a program that lies on no disk", 1),
    "kernel module loading": ("loads kernel modules or another kernel", 1),
    "PAM module": ("answers to PAM", 1),
    "kernel symbol lookup": ("looks up symbols that the kernel does not export", 1),
    "kernel function hooks": ("hooks functions of the kernel", 2),
    "kernel page rights": ("makes the kernel's memory writable", 2),
    "credentials": ("gives processes other credentials", 2),
    "programs started by the kernel": ("has the kernel start programs", 1),
    "packet hooks": ("sees packets before any filter", 1),
    "process lookup": ("looks up processes", 1),
    "module list": ("reaches into the list of modules", 2),
    "replaced functions": ("has functions named after those of the kernel that it replaces", 3),
}
"""What groups of imported and exported symbols mean, and their weight."""


def signs_of(subject: Subject, surroundings: Surroundings) -> list[Sign]:
    """Return the signs of a program; none where a package or a set of known good files vouches for it."""
    if not subject.kind or subject.settled:
        return []
    signs = list(_around(subject, surroundings))
    elf = subject.row.get("elf")
    if isinstance(elf, dict) and subject.kind != "script":
        signs += _built(elf, subject)
    return signs


def judgement_of_signs(subject: Subject, signs: list[Sign]) -> Judgement | None:
    """Return a judgement where the signs weigh enough together; one sign is never enough, two are worth a line."""
    weight = sum(sign.weight for sign in signs)
    heaviest = max((sign.weight for sign in signs), default=0)
    if weight < ENOUGH or (len(signs) < _SIGNS_WANTED and heaviest <= _HEAVY):
        if len(signs) < 2 or heaviest < _HEAVY or weight <= heaviest:
            return None
        weight = 0
    words = f"{article(subject.kind)} with signs of malware: {'; '.join(sign.words for sign in signs)}"
    details: dict[str, Any] = {"signs": [sign.words for sign in signs]}
    return Judgement("suspicious-program", _severity(weight), words, ["T1027.002", "T1036"], details, [])


def _severity(weight: int) -> Severity:
    if weight >= MUCH:
        return "high"
    return "medium" if weight >= ENOUGH else "low"


def _around(subject: Subject, surroundings: Surroundings) -> Iterator[Sign]:
    if subject.unowned:
        yield Sign("package", "no package brought it", 1)
    if subject.uid in surroundings.web_uids and subject.kind != "library":
        yield Sign("owner", "it belongs to the account of a web server", 1)
    elif surroundings.lacks(subject.uid):
        yield Sign("owner", "its owner is no account of the host", 1)
    if subject.kind != "library" and places.kernel_thread_name(subject.name):
        yield Sign("name", "it is named as a kernel thread", 3)
    if places.temporary_directory(subject.inner) is not None:
        yield Sign("place", "it lies where every account may write", 2)
    elif places.hidden_part(subject.inner) is not None:
        yield Sign("place", "it lies under a hidden name", 2)
    yield from _given(subject)


def _given(subject: Subject) -> Iterator[Sign]:
    """Yield signs from what was given to the file: attributes, capabilities, privilege bits."""
    row = subject.row
    attributes = row.get("attributes")
    if isinstance(attributes, list) and "immutable" in attributes:
        yield Sign("attribute", "it is immutable", 2)
    capabilities = row.get("capabilities")
    if isinstance(capabilities, str) and any(name in capabilities.lower() for name in DANGEROUS):
        yield Sign("privilege", f"it has the capabilities {cut(capabilities)}", 2)
    if grants(subject):
        yield Sign("privilege", "it runs with the rights of its owner or group", 2)


def _built(elf: dict[str, Any], subject: Subject) -> Iterator[Sign]:
    packer = elf.get("packer")
    if isinstance(packer, dict):
        yield _packed(packer)
    static = (
        not packer  # a packed file has no symbols, no build id and no libraries of its own
        and elf.get("linkage") == "static"
        and subject.kind == "executable"
        and elf.get("type") not in ("relocatable", "core")
    )
    go = bool(elf.get("go"))
    if static and elf.get("stripped") is True and not go:
        yield Sign("built", "linked statically and stripped of its symbols", 1)
        if not elf.get("build_id"):
            yield Sign("built", "without the build id that distributions' compilers put in", 1)
    interpreter = string(elf.get("interpreter"))
    if interpreter and not _LOADER.fullmatch(interpreter):
        yield Sign("built", f"started by a loader that is not the distribution's ({cut(interpreter)})", 2)
    searched = ":".join(str(elf.get(key) or "") for key in ("rpath", "runpath")).strip(":")
    if searched and _WRITABLE_PATH.search(searched[:4096]):
        yield Sign("built", f"looks for libraries where others may write ({cut(searched)})", 1)
    yield from _imports(elf, subject)
    module = elf.get("module")
    if (
        isinstance(module, dict)
        and module
        and not subject.inner.startswith(("/lib/modules/", "/usr/lib/modules/", "/usr/src/"))
    ):
        yield Sign("built", f"a kernel module ({shown(module.get('name'))}) outside of the directories of modules", 2)
    if isinstance(module, dict) and module.get("loads_as"):
        yield Sign("built", f"a kernel module that is loaded under another name ({shown(module['loads_as'])})", 2)


def _packed(packer: dict[str, Any]) -> Sign:
    name = shown(packer.get("name"))
    if packer.get("is_altered") is True:
        return Sign("built", f"packed ({name}) and the packer's marks overwritten, which no packer does", 4)
    if packer.get("confidence") == "possible" or name in _BUNDLERS:
        return Sign("built", f"packed or bundled ({name})", 1)
    return Sign("built", f"packed ({name})", 3)


def _imports(elf: dict[str, Any], subject: Subject) -> Iterator[Sign]:
    groups = elf.get("suspicious_imports")
    in_place = "/security/" in subject.inner  # where a PAM module belongs
    for group in groups[:_GROUPS_LIMIT] if isinstance(groups, list) else []:
        name = group.get("group") if isinstance(group, dict) else None
        if not isinstance(name, str) or name not in _GROUPS or (name == "PAM module" and in_place):
            continue
        words, weight = _GROUPS[name]
        if weight > _HEAVY and subject.inner.startswith("/opt/"):
            weight = _HEAVY  # agents that watch applications are loaded so
        yield Sign("built", f"{words} ({shown(group.get('symbols'))})", weight)
