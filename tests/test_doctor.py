"""What doctor says of a host, also of hosts that this one is not."""

import json
import shutil
import sys
import zoneinfo
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from volforensic import host
from volforensic.cli.doctor import examine_host
from volforensic.sandbox import confinement

application = typer.Typer()
application.command()(examine_host)


def test_this_host_is_ready() -> None:
    checks = {check.name: check for check in host.examine(Path())}
    missing = [check for check in checks.values() if check.status == "missing"]
    assert missing == []
    assert checks["dissect.util"].value.startswith("3.")
    assert "libmagic 5." in checks["magic"].value
    assert all(check.remedy for check in checks.values() if check.status != "ok")


def test_json_says_the_same_as_the_table() -> None:
    printed = json.loads(CliRunner().invoke(application, ["-f", "json"]).stdout)
    assert printed["ready"] is True
    table = CliRunner().invoke(application, []).stdout
    for check in printed["checks"]:
        assert f"{check['status']:<9} {check['name']:<15}" in table


def test_a_library_that_does_not_load_is_missing_and_the_status_is_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytsk3", None)  # what import does then: ImportError
    result = CliRunner().invoke(application, ["-f", "json"])
    assert result.exit_code == 5
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["pytsk3"]["status"] == "missing"
    assert checks["pytsk3"]["remedy"]
    assert checks["yara_x"]["status"] == "ok"


def test_a_library_that_is_not_installed_is_missing() -> None:
    assert host.library("no_such_module", "reads nothing").status == "missing"


def test_little_memory_is_degraded(tmp_path: Path) -> None:
    information = tmp_path / "meminfo"
    information.write_text(
        "MemTotal:        1000000 kB\nMemFree: 1 kB\nMemAvailable:     524288 kB\nHugePages_Total: 0\n"
    )
    check = host.memory(information)
    assert check.status == "degraded"
    assert check.value == "0.5 GiB free of 1.0 GiB"
    assert not check.needed


def test_little_space_is_degraded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 20))
    check = host.space(tmp_path)
    assert (check.status, check.value) == ("degraded", f"0.1 GiB in {tmp_path}")
    assert "--case" in check.remedy


def test_a_host_without_time_zones_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "ZoneInfo", missing_zone)
    assert not host.is_ready([host.time_zones()])


def missing_zone(key: str) -> None:
    raise zoneinfo.ZoneInfoNotFoundError(key)


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({}, "no"),
        ({"class/dmi/id/sys_vendor": "QEMU\n"}, "no"),
        (
            {
                "class/dmi/id/sys_vendor": "Amazon EC2\n",
                "class/dmi/id/product_name": "m7i.large\n",
                "class/dmi/id/board_asset_tag": "i-0123456789abcdef0\n",
            },
            "yes, m7i.large, i-0123456789abcdef0",
        ),
        ({"hypervisor/uuid": "ec2e1916-9099-7caf-fd21-012345abcdef\n"}, "yes, on Xen"),
    ],
)
def test_ec2_is_known_by_its_firmware(tmp_path: Path, files: dict[str, str], value: str) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert host.cloud(tmp_path).value == value


def test_a_kernel_without_protections_is_degraded_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = confinement.Protection(landlock_version=0, seccomp=False)
    monkeypatch.setattr(confinement, "probe", lambda: bare)
    checks = list(host.protection())
    assert [check.status for check in checks] == ["degraded", "degraded"]
    assert all(check.remedy for check in checks)
    assert host.is_ready(checks)


def test_absent_tools_and_browser_do_not_stop_triage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    checks = [host.disk_tools(), host.browser()]
    assert [check.status for check in checks] == ["degraded", "degraded"]
    assert host.is_ready(checks)
