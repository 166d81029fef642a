"""What a kernel module says of itself: .modinfo, struct module, its signature (Linux: include/linux/module.h)."""

import msgspec

from volforensic.inventory.elf_dynamic import Symbols
from volforensic.inventory.elf_format import Image
from volforensic.inventory.elf_signature import ModuleSignature, module_signature
from volforensic.record import text

_LARGEST_INFORMATION = 256 << 10
_LONGEST_VALUE = 256
_MOST_VALUES = 16
_THIS_MODULE = b".gnu.linkonce.this_module"
_LONGEST_NAME = 64
_KNOWN = ("name", "vermagic", "license", "version", "description", "srcversion")


class KernelModule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kernel module. ``loads_as`` is the name in its struct module where that is another than .modinfo's.

    ``has_versions`` is false where it was built without the checksums of the symbols that it imports.
    """

    name: str = ""
    loads_as: str = ""
    vermagic: str = ""
    license: str = ""
    version: str = ""
    description: str = ""
    srcversion: str = ""
    authors: list[str] = []
    depends: list[str] = []
    parameters: list[str] = []
    in_tree: bool = False
    has_versions: bool = False
    signed: bool
    signature: ModuleSignature | None = None


def kernel_module(image: Image, symbols: Symbols) -> KernelModule | None:
    """Return what a relocatable file says of itself as a kernel module; None where it is none.

    A module is known by .modinfo or by the struct module that modpost adds: who takes both out takes loading out.
    """
    information = image.section(b".modinfo")
    structure = image.section(_THIS_MODULE)
    if information is None and structure is None and not {b"init_module", b"cleanup_module"} & symbols.exports:
        return None
    raw = image.content(information, _LARGEST_INFORMATION) if information is not None else b""
    if information is None:
        image.data.say("a kernel module without .modinfo")
    values: dict[str, list[str]] = {}
    for pair in raw.split(b"\0"):
        key, separator, value = pair.partition(b"=")
        if separator:
            values.setdefault(text(key[:_LONGEST_VALUE]), []).append(text(value[:_LONGEST_VALUE]))
    name = values.get("name", [""])[0]
    loads_as = _structure_name(image)
    signature = module_signature(image.data)
    return KernelModule(
        **{key: values[key][0] for key in _KNOWN if key in values},
        loads_as=loads_as if loads_as.replace("-", "_") != name.replace("-", "_") else "",
        authors=values.get("author", [])[:_MOST_VALUES],
        depends=[one for one in ",".join(values.get("depends", [])).split(",") if one][:_MOST_VALUES],
        parameters=[one.partition(":")[0] for one in values.get("parm", [])][:_MOST_VALUES],
        in_tree=values.get("intree") == ["Y"],
        has_versions=image.section(b"__versions") is not None or image.section(b"__version_ext_crcs") is not None,
        signed=signature is not None,
        signature=signature,
    )


def _structure_name(image: Image) -> str:
    """Return ``name`` of struct module: it lies behind an enumeration and a list head of two pointers."""
    section = image.section(_THIS_MODULE)
    if section is None:
        return ""
    start = 24 if image.header.bits == 64 else 12
    raw = image.content(section, start + _LONGEST_NAME)
    return text(raw[start:].partition(b"\0")[0])
