"""YARA rule files of the examiner: what their metadata may say."""

from pathlib import Path

import pytest

from volforensic.errors import DefinitionError
from volforensic.inventory.rule_files import load_yara_rules
from volforensic.record import SEVERITIES


def rule(name: str, meta: str = "") -> str:
    return f'rule {name} {{ {meta} strings: $a = "x1" condition: $a }}\n'


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_rule_may_name_a_severity(tmp_path: Path, severity: str) -> None:
    path = tmp_path / "own.yar"
    path.write_text(
        rule("named", f'meta: severity = "{severity}"') + rule("plain") + rule("other", 'meta: author = "A"')
    )
    rules = load_yara_rules([path])
    assert rules.metadata["named"] == {"severity": severity}
    assert rules.metadata["plain"] == {}


@pytest.mark.parametrize("severity", ['"severe"', '"High"', '""', "75", "true"])
def test_a_severity_that_does_not_exist_is_an_error_with_file_and_rule(tmp_path: Path, severity: str) -> None:
    path = tmp_path / "own.yar"
    path.write_text(rule("good") + rule("wrong", f"meta: severity = {severity}"))
    with pytest.raises(DefinitionError) as raised:
        load_yara_rules([path])
    assert raised.value.thing == str(path)
    assert raised.value.wrong.startswith("rule wrong: severity ")


def test_a_second_rule_of_a_name_is_checked_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text(rule("same", 'meta: severity = "low"'))
    (tmp_path / "b.yar").write_text(rule("same", 'meta: severity = "worst"'))
    with pytest.raises(DefinitionError) as raised:
        load_yara_rules([tmp_path])
    assert raised.value.thing.endswith("b.yar")


def test_a_broken_file_beside_good_ones_is_named_with_line_and_reason(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text(rule("good"))
    (tmp_path / "b.yar").write_text(rule("other") + 'rule wrong {\n  strings: $a = "x\n  condition: $a }\n')
    with pytest.raises(DefinitionError) as raised:
        load_yara_rules([tmp_path])
    assert raised.value.thing == f"{tmp_path / 'b.yar'}:3"
    assert "unclosed literal string" in raised.value.wrong


def test_an_include_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('include "b.yar"\n' + rule("good"))
    with pytest.raises(DefinitionError) as raised:
        load_yara_rules([tmp_path / "a.yar"])
    assert raised.value.thing == f"{tmp_path / 'a.yar'}:1"
    assert raised.value.wrong.startswith("include is refused")
