"""Loading artifact definitions: YAML to structs, with every fault named by file, place and what is wrong."""

import hashlib
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from volforensic.collection.definition_checks import faults_among, faults_of
from volforensic.collection.definitions import BUILT_IN, Artifact, Definition
from volforensic.errors import DefinitionError

SIZE_LIMIT = 1 << 20
"""Bytes of one definition file."""
NODE_LIMIT = 100_000
"""Values in one definition after its aliases are followed: a few nested aliases can stand for billions."""

_PLACE = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


def load_definitions(directories: Sequence[Path] = (), replace: Collection[str] = ()) -> tuple[Definition, ...]:
    """Return the built-in definitions and those of the examiner's folders, sorted by name.

    ``replace`` holds the names that may stand in for a definition loaded before; any other second definition of one
    name is refused.

    Raises:
        DefinitionError: A folder or a file cannot be read, or a definition is wrong; it names the first fault found.
    """
    loaded: dict[str, Definition] = {}
    for directory in (BUILT_IN, *directories):
        for path in definition_files(directory):
            definition = read_definition(path)
            name = definition.artifact.name
            for fault in faults_of(definition.artifact, path.stem):
                raise DefinitionError(str(path), fault)
            if name in loaded and name not in replace:
                remedy = "Use another name"
                raise DefinitionError(str(path), f"the artifact {name} is defined by {loaded[name].path}", remedy)
            loaded[name] = definition
    for name, fault in faults_among({name: definition.artifact for name, definition in loaded.items()}):
        raise DefinitionError(str(loaded[name].path), fault)
    return tuple(loaded[name] for name in sorted(loaded))


def definition_files(directory: Path) -> list[Path]:
    """Return the definitions of a folder (``*.yaml``, not of folders in it) sorted by name."""
    if not directory.is_dir():
        raise DefinitionError(str(directory), "no such folder of artifact definitions", "Give a folder of *.yaml files")
    found = sorted(path for path in directory.glob("*.yaml") if path.is_file())
    if not found and directory != BUILT_IN:
        raise DefinitionError(str(directory), "holds no definition: no file in it ends in .yaml")
    return found


def read_definition(path: Path) -> Definition:
    """Read one file; what its values mean together is not checked here.

    Raises:
        DefinitionError: The file is no YAML, or not of a definition's shape.
    """
    data = _read(path)
    document = _document(path, data)
    try:
        artifact = msgspec.convert(document, Artifact)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DefinitionError(str(path), _placed(data, str(error))) from error
    return Definition(
        artifact=artifact,
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        built_in=path.parent.resolve() == BUILT_IN.resolve(),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise DefinitionError(str(path), error.strerror or "it cannot be read") from error
    if len(data) > SIZE_LIMIT:
        raise DefinitionError(str(path), f"a definition has at most {SIZE_LIMIT} bytes")
    return data


def _document(path: Path, data: bytes) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and --help does not need it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - same

    try:
        document = YAML(typ="safe", pure=True).load(data)
    except YAMLError as error:
        raise DefinitionError(str(path), _yaml_fault(error)) from error
    except (UnicodeDecodeError, ValueError, TypeError, RecursionError) as error:
        raise DefinitionError(str(path), f"it is not YAML: {error}") from error
    if _values(document, {}, set()) > NODE_LIMIT:
        raise DefinitionError(str(path), f"its aliases stand for more than {NODE_LIMIT} values")
    return document


def _yaml_fault(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)


def _values(value: Any, counted: dict[int, int], open_values: set[int]) -> int:
    """Count the values that a document stands for, each shared part as often as it is used; a cycle is too many."""
    if not isinstance(value, (dict, list)):
        return 1
    identity = id(value)
    if identity in open_values:
        return NODE_LIMIT + 1
    if identity not in counted:
        open_values.add(identity)
        children = value.values() if isinstance(value, dict) else value
        counted[identity] = 1 + sum(_values(child, counted, open_values) for child in children)
        open_values.discard(identity)
    return counted[identity]


def _placed(data: bytes, message: str) -> str:
    """Put a struct error's place in front: ``line 12, sources[0].parser: Expected `str`, got `int```."""
    fault, separator, place = message.rpartition(" - at `$")
    if not separator:
        return message
    place = place.rstrip("`").lstrip(".")
    line = _line(data, place)
    return (f"line {line}, {place}: " if line else f"{place}: ") + fault


def _line(data: bytes, place: str) -> int | None:
    """Return the line of a place such as ``sources[0].parser``, or of the nearest part around it that is there."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and --help does not need it

    node = YAML(typ="safe", pure=True).compose(data)
    for name, index in _PLACE.findall(f".{place}"):
        children = node.value if isinstance(node.value, list) else []
        if index:
            found = children[int(index)] if int(index) < len(children) else None
        else:
            found = next((child for key, child in children if key.value == name), None)
        if found is None:
            break
        node = found
    return int(node.start_mark.line) + 1
