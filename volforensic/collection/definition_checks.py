"""What must hold in an artifact definition beyond its shape. Every fault is a sentence that begins with its place."""

import re
from collections.abc import Iterator, Mapping

from volforensic.collection.definitions import COMMON_FIELDS, Artifact, ArtifactSource, Example
from volforensic.collection.line_patterns import compile_lines
from volforensic.collection.readers import resolve_parser
from volforensic.errors import DefinitionError
from volforensic.record import RECORD_KEYS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RULE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_FOLLOWED = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)")


def faults_of(artifact: Artifact, file_stem: str) -> Iterator[str]:
    """Yield what is wrong in one definition that was read from ``<file_stem>.yaml``."""
    if artifact.name != file_stem:
        yield f"name: it is {artifact.name}, and the file is named {file_stem}.yaml"
    if not _NAME.fullmatch(artifact.name):
        yield f"name: {artifact.name} is not made of small letters, digits and _"
    yield from _field_faults(artifact)
    if not artifact.sources:
        yield "sources: there is none"
    for number, source in enumerate(artifact.sources):
        yield from (f"sources[{number}].{fault}" for fault in _source_faults(artifact, source))
    yield from _rule_faults(artifact)
    for number, example in enumerate(artifact.examples):
        yield from (f"examples[{number}].{fault}" for fault in _example_faults(artifact, example))


def faults_among(artifacts: Mapping[str, Artifact]) -> Iterator[tuple[str, str]]:
    """Yield the name of a definition and what is wrong between it and the others."""
    rules: dict[str, str] = {}
    for artifact in artifacts.values():
        for number, rule in enumerate(artifact.detect):
            if rules.setdefault(rule.name, artifact.name) != artifact.name:
                yield (
                    artifact.name,
                    f"detect[{number}].name: the artifact {rules[rule.name]} has a rule {rule.name} too",
                )
        for number, source in enumerate(artifact.sources):
            match = _FOLLOWED.fullmatch(source.follow or "")
            if match and (match[1] not in artifacts or match[2] not in artifacts[match[1]].fields):
                yield artifact.name, f"sources[{number}].follow: there is no field {source.follow}"


def _field_faults(artifact: Artifact) -> Iterator[str]:
    for name in artifact.fields:
        if not _NAME.fullmatch(name):
            yield f"fields.{name}: a field is made of small letters, digits and _"
        elif name in RECORD_KEYS or name in COMMON_FIELDS:
            yield f"fields.{name}: every record has this key; it is not declared"
        elif name.endswith("_bytes"):
            yield f"fields.{name}: names in _bytes hold the original bytes of another field"


def _source_faults(artifact: Artifact, source: ArtifactSource) -> Iterator[str]:
    if bool(source.paths) == (source.follow is not None):
        yield "paths: a source has either paths or follow"
    for path in source.paths:
        if not path.startswith(("/", "~/")):
            yield f"paths: {path} begins with neither / nor ~/"
    if source.follow is not None and not _FOLLOWED.fullmatch(source.follow):
        yield f"follow: {source.follow} is not artifact.field"
    if (source.parser is None) == (source.lines is None):
        yield "parser: a source has either a parser or lines"
    if source.parser is not None:
        try:
            resolve_parser(source.parser)
        except DefinitionError as error:
            yield f"parser: {source.parser}: {error.wrong}"
    if source.lines is not None:
        try:
            compile_lines(source.lines, artifact.fields)
        except (re.error, ValueError, RecursionError) as error:
            yield f"lines: {error}"


def _rule_faults(artifact: Artifact) -> Iterator[str]:
    seen: set[str] = set()
    for number, rule in enumerate(artifact.detect):
        if not _RULE_NAME.fullmatch(rule.name):
            yield f"detect[{number}].name: {rule.name} is not made of small letters, digits and -"
        if rule.name in seen:
            yield f"detect[{number}].name: there are two rules {rule.name}"
        seen.add(rule.name)
        for technique in rule.attack:
            if not _TECHNIQUE.fullmatch(technique):
                yield f"detect[{number}].attack: {technique} is no ATT&CK technique"


def _example_faults(artifact: Artifact, example: Example) -> Iterator[str]:
    parsers = {source.parser for source in artifact.sources}
    if example.parser is None and len(parsers) != 1:
        yield "parser: the sources have several parsers; say which"
    if example.parser is not None and example.parser not in parsers:
        yield f"parser: no source is read by {example.parser}"
    rules = {rule.name for rule in artifact.detect}
    for name in example.findings:
        if name not in rules:
            yield f"findings: there is no rule {name}"
