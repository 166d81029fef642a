"""The linter of artifact definitions: runs every example through its parser and its rules and says what differs."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from volforensic.collection.content import Content, SourceFile
from volforensic.collection.definition_checks import faults_among, faults_of
from volforensic.collection.definitions import BUILT_IN, Artifact, Definition, Example, Rule
from volforensic.collection.loader import definition_files, read_definition
from volforensic.collection.readers import reader
from volforensic.collection.time_zones import time_zone_file
from volforensic.detection.rules import apply_rules, compile_rules, record_fields
from volforensic.detection.where import alternatives
from volforensic.errors import DefinitionError
from volforensic.record import Finding, Row, epoch_microseconds, timestamp_text


class Remark(NamedTuple):
    """What the linter says of one definition: a fault is to be mended, a warning to be thought about."""

    kind: Literal["fault", "warning"]
    file: str
    text: str


def check_definitions(directory: Path | None = None) -> Iterator[Remark]:
    """Check a folder of definitions beside the built-in ones, or the built-in ones.

    Yields:
        Every fault and warning, in the order of the files and of the places in them.
    """
    loaded: dict[str, Definition] = {}
    for folder in [BUILT_IN] if directory is None else [BUILT_IN, directory]:
        for path in definition_files(folder):
            checked = directory is None or folder == directory
            try:
                definition = read_definition(path)
            except DefinitionError as error:
                yield Remark("fault", str(path), error.wrong)
                continue
            known = loaded.setdefault(definition.artifact.name, definition)
            if known is not definition:
                reason = f"name: {definition.artifact.name} is defined by {known.path}; use another name"
                yield Remark("fault", str(path), reason)
            elif checked:
                yield from check_definition(definition.artifact, path)
    for name, fault in faults_among({name: definition.artifact for name, definition in loaded.items()}):
        yield Remark("fault", str(loaded[name].path), fault)


def check_definition(artifact: Artifact, path: Path) -> Iterator[Remark]:
    """Yield the faults and warnings of one definition; its examples are run where nothing else is wrong."""
    faults = list(faults_of(artifact, path.stem))
    try:
        compile_rules(artifact)
    except DefinitionError as error:
        faults.append(f"{error.thing.removeprefix(f'{artifact.name}: ')}: {error.wrong}")
    if not faults:
        for number, example in enumerate(artifact.examples):
            faults += (f"examples[{number}]: {difference}" for difference in differences(artifact, example))
    yield from (Remark("fault", str(path), fault) for fault in faults)
    if not artifact.examples:
        yield Remark("warning", str(path), "there is no example")
    fired = {name for example in artifact.examples for name in example.findings}
    for rule in artifact.detect:
        if rule.name not in fired and not _is_about_file_types(rule):
            yield Remark("warning", str(path), f"no example makes the rule {rule.name} fire")


def differences(artifact: Artifact, example: Example) -> Iterator[str]:
    """Yield how what an example gives differs from what it says."""
    try:
        rows = example_rows(artifact, example)
    except (DefinitionError, ValueError) as error:
        yield str(error)
        return
    if len(rows) != len(example.records):
        yield f"{len(rows)} records, and {len(example.records)} are expected: {rows}"
    for number, (row, expected) in enumerate(zip(rows, example.records, strict=False)):
        for key, value in expected.items():
            if not _equal(key, row.get(key), value):
                yield f"records[{number}].{key}: it is {row.get(key)!r}, and {value!r} is expected"
        yield from (f"records[{number}].{key}: no field of this artifact" for key in _undeclared(artifact, row))
    fired = {outcome.rule for outcome in apply_rules(artifact, rows) if isinstance(outcome, Finding)}
    for name in sorted(fired - set(example.findings)):
        yield f"findings: {name} fires and is not expected"
    for name in sorted(set(example.findings) - fired):
        yield f"findings: {name} is expected and does not fire"


def example_rows(artifact: Artifact, example: Example) -> list[Row]:
    """Return the records that an example gives, as the case would hold them.

    Raises:
        DefinitionError: No source has the example's parser.
        ValueError: Its bytes or its file cannot be understood.
    """
    sources = [source for source in artifact.sources if source.parser == example.parser or example.parser is None]
    if not sources:
        raise DefinitionError(artifact.name, f"no source is read by {example.parser}")
    data = _bytes(example)
    file = source_file(example.file, len(data))
    rows = []
    read = reader(sources[0].parser, sources[0].lines, artifact.fields)
    for ordinal, row in enumerate(read(Content.of(data, file)), 1):
        stored: Row = {
            "record_id": f"{artifact.name}:{ordinal}",
            "artifact": artifact.name,
            "volume": 0,
            "source": file.path.decode("utf-8", "backslashreplace"),
            "inode": file.inode,
            **row,
        }
        stored["timestamp"] = timestamp_text(row.get("timestamp"))
        rows.append(stored)
    return rows


def source_file(given: Mapping[str, Any], size: int) -> SourceFile:
    """Return the file that an example's ``file`` describes.

    Raises:
        ValueError: A key is unknown or a value is not of its kind.
    """
    facts: dict[str, Any] = {"size": size}
    for key, value in given.items():
        if key in {"path", "home"}:
            facts[key] = str(value).encode()
        elif key == "modified":
            facts[key] = _microseconds(value) * 1_000
        elif key == "time_zone":
            facts[key] = time_zone_file(str(value))
            facts["time_zone_basis"] = f"the example says {value}"
        elif key in {"user", "time_zone_basis"}:
            facts[key] = str(value)
        elif key in {"inode", "owner", "size"} and type(value) is int:
            facts[key] = value
        else:
            raise ValueError(f"file.{key}: a file has no such fact")
    return SourceFile(**facts)


def _is_about_file_types(rule: Rule) -> bool:
    """Say whether a rule asks for what is no regular file: an example is bytes, and cannot show that."""
    return all({"file_type", "link_target"} & set(alternative) for alternative in alternatives(rule.where))


def _bytes(example: Example) -> bytes:
    if example.encoding == "utf-8":
        return example.bytes.encode()
    packed = "".join(example.bytes.split())
    try:
        return base64.b64decode(packed, validate=True) if example.encoding == "base64" else bytes.fromhex(packed)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"bytes: they are not {example.encoding}: {error}") from error


def _microseconds(value: Any) -> int:
    """Return a time that YAML may have made a datetime of; a time without a zone is UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return epoch_microseconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _equal(key: str, value: Any, expected: Any) -> bool:
    if key == "timestamp" and value is not None and expected is not None:
        try:
            return _microseconds(value) == _microseconds(expected)
        except ValueError:
            return False
    return type(value) is type(expected) and bool(value == expected)


def _undeclared(artifact: Artifact, row: Row) -> Sequence[str]:
    known = record_fields(artifact)
    return [key for key in row if key not in known and known.get(key.removesuffix("_bytes")) not in {"string", "list"}]
