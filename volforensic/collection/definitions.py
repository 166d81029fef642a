"""Artifact definitions: what to look for, as data. One YAML file an artifact; the examples in it are its tests."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from volforensic.record import Severity

FieldType = Literal["string", "integer", "boolean", "list"]

COMMON_FIELDS = ("unparsed", "raw", "file_type", "link_target")
"""Fields that every artifact's records may have: a line that was not understood, a file that is not a regular file."""


class ArtifactSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an artifact is and how it is read.

    Either ``paths`` (globs on the host's paths; ``*`` within one component, ``**`` over any number, a leading ``~`` any
    directory that could be a home) or ``follow`` (``artifact.field``: the globs are the values of that field in another
    artifact's records, or in this one's, until nothing new is found). One of ``parser`` (``module.function`` of
    collection/parsers) and ``lines`` (a regular expression with named groups, one record a matching line).
    """

    paths: list[str] = []
    follow: str | None = None
    parser: str | None = None
    lines: str | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A detection rule beside its artifact; ``where`` is Sigma's ``field|modifier`` notation."""

    name: str
    severity: Severity
    where: dict[str, Any] | list[dict[str, Any]]
    statement: str
    attack: list[str] = []


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes, the records they give and the findings these give.

    ``bytes`` is text (UTF-8) or, where ``encoding: base64`` or ``encoding: hex`` is said, that. ``file`` sets fields of
    the ``SourceFile`` (path, modified as ISO 8601, home, user, time_zone as a zone name). Each expected record must
    hold the given keys with the given values (``timestamp`` as ISO 8601); the number of records must be equal.
    """

    bytes: str
    encoding: Literal["utf-8", "base64", "hex"] = "utf-8"
    parser: str | None = None
    file: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    findings: list[str] = []


class Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One artifact definition.

    ``unread`` are globs of files that hold the same traces in a form that is not read: where they are all that a host
    has, the artifact is unsupported there and not absent.
    """

    name: str
    doc: str
    fields: dict[str, FieldType]
    sources: list[ArtifactSource]
    unread: list[str] = []
    references: list[str] = []
    detect: list[Rule] = []
    examples: list[Example] = []


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact definition as it was loaded: from which file, and the SHA-256 of that file (for the custody log)."""

    artifact: Artifact
    path: Path
    sha256: str
    built_in: bool


BUILT_IN = Path(__file__).resolve().parent.parent / "artifacts"
"""The folder of the definitions that come with volforensic."""
