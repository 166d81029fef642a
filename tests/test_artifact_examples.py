"""The examples of the built-in definitions are their tests."""

import functools

import pytest

from volforensic.collection.definitions import Artifact, Example
from volforensic.collection.loader import load_definitions
from volforensic.detection.definition_check import check_definitions, differences


@functools.cache
def _examples() -> list[tuple[Artifact, int, Example]]:
    return [
        (definition.artifact, number, example)
        for definition in load_definitions()
        for number, example in enumerate(definition.artifact.examples)
    ]


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Artifact) else str(value) if isinstance(value, int) else ""


@pytest.mark.parametrize(("artifact", "number", "example"), _examples(), ids=_name)
def test_an_example_gives_its_records_and_findings(artifact: Artifact, number: int, example: Example) -> None:
    assert list(differences(artifact, example)) == [], f"example {number} of {artifact.name}"


def test_the_built_in_definitions_have_no_fault() -> None:
    assert [remark for remark in check_definitions() if remark.kind == "fault"] == []
