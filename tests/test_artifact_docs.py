"""The definition that docs/artifact-definitions.md shows is a sound one."""

import re
from pathlib import Path

from volforensic.detection.definition_check import check_definitions

PAGE = Path(__file__).parent.parent / "docs" / "artifact-definitions.md"


def test_the_example_of_the_page_has_no_fault_and_no_warning(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    (tmp_path / "payments.yaml").write_text(shown[1])
    assert list(check_definitions(tmp_path)) == []


def test_a_wrong_record_in_it_is_found(tmp_path: Path) -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    (tmp_path / "payments.yaml").write_text(shown[1].replace("amount: 12}", "amount: 13}"))
    assert [remark.kind for remark in check_definitions(tmp_path)] == ["fault"]
