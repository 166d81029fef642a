"""YARA rule files: our own in artifacts/yara and the examiner's; compiled once, hashed for the custody log."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from volforensic.errors import DefinitionError
from volforensic.inventory.scanner import compile_rules, rule_metadata
from volforensic.record import SEVERITIES, Row

BUILT_IN = Path(__file__).parent.parent / "artifacts" / "yara"
_SUFFIXES = (".yar", ".yara")
_LARGEST_FILE = 16 << 20
_GATE_PAYS_FROM = 2 << 30


class YaraRules(msgspec.Struct, frozen=True, kw_only=True):
    """Compiled rules, the metadata of each rule by its name, the SHA-256 of each file."""

    compiled: bytes
    metadata: dict[str, Row]
    files: dict[str, str]


def is_worth_a_gate(sources: Sequence[Path]) -> bool:
    """Return whether there is so much to scan that building a gate before the rules pays."""
    try:
        return any(path.is_block_device() or path.stat().st_size >= _GATE_PAYS_FROM for path in sources)
    except OSError:  # it is told where the source is opened
        return False


def load_yara_rules(paths: Sequence[Path] = (), *, gated: bool = False) -> YaraRules:
    """Return our own rules and those of the examiner's files and folders; ``gated`` as ``compile_rules`` has it.

    Raises:
        DefinitionError: A path cannot be read, or one of the examiner's files holds a rule that is wrong or has a
            severity that does not exist.
    """
    sources: dict[str, bytes] = {}
    for path in (BUILT_IN, *paths):
        for file in _files(path):
            sources[str(file) if path != BUILT_IN else file.name] = _read(file)
    rules, faults = compile_rules(sources, gated=gated)
    if faults:
        raise faults[0]
    for name, source in sources.items():
        _check_severities(name, source)
    return YaraRules(
        compiled=rules.serialize(),
        metadata=rule_metadata(sources),
        files={name: hashlib.sha256(source).hexdigest() for name, source in sources.items()},
    )


def _check_severities(name: str, source: bytes) -> None:
    """Raise where a rule of the file ``name`` has a severity that is none: taken for another, it would be lost."""
    for rule, meta in rule_metadata({name: source}).items():
        if "severity" in meta and meta["severity"] not in SEVERITIES:
            wrong = f"rule {rule}: severity {meta['severity']!r} is none of {', '.join(SEVERITIES)}"
            raise DefinitionError(name, wrong, "Mend the rule's metadata, or leave severity out for medium")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
        if not found:
            raise DefinitionError(str(path), "holds no YARA rule file", f"Name a file or a folder with {_SUFFIXES}")
        return found
    if not path.is_file():
        raise DefinitionError(str(path), "no such YARA rule file")
    return [path]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise DefinitionError(str(path), error.strerror or "cannot be read") from error
    if len(data) > _LARGEST_FILE:
        raise DefinitionError(str(path), f"a YARA rule file has at most {_LARGEST_FILE} bytes")
    return data
