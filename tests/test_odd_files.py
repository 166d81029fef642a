"""What stands in the place of a log or a history, and is no file, is a finding: nothing was kept there."""

import subprocess
from pathlib import Path

import msgspec
import pytest
from command_line import triage
from test_comparison import make_disk


@pytest.mark.parametrize(
    ("command", "folder", "name", "rules"),
    [
        ("mknod auth.log p", "var/log", "auth.log", ["auth-log-is-no-file"]),
        ("symlink secure /dev/null", "var/log", "secure", ["auth-log-is-no-file"]),
        ("mknod wtmp c 1 3", "var/log", "wtmp", ["login-records-are-no-file", "device-node-outside-dev"]),
        ("mknod .bash_history c 1 3", "root", ".bash_history", ["history-is-no-file", "device-node-outside-dev"]),
    ],
)
def test_it_is_a_finding(tmp_path: Path, command: str, folder: str, name: str, rules: list[str]) -> None:
    disk = make_disk(tmp_path, {f"{folder}/beside": "bytes", "etc/hostname": "web1\n"})
    script = tmp_path / "script"
    script.write_text(f"cd /{folder}\n{command}\n")
    subprocess.run(["debugfs", "-w", "-f", str(script), str(disk)], check=True, capture_output=True)
    assert triage(disk, tmp_path / "case", "--progress", "none").returncode == 0
    (found,) = (tmp_path / "case").glob("evidence/*/findings.jsonl")
    findings = [msgspec.json.decode(line) for line in found.read_bytes().splitlines()]
    assert [finding["rule"] for finding in findings] == rules
    assert f"/{folder}/{name}" in findings[0]["statement"]
