"""The report's section about packages: counts, the caveat, and listings that stay bounded."""

import json
from importlib import resources
from typing import Any

import msgspec
import pytest
from report_sample import HOSTILE, MINER, case_facts, findings, view
from test_report import ACTING, faults

from volforensic.record import Row
from volforensic.report.html import render_html
from volforensic.report.model import build_report, render_json
from volforensic.report.package_files import ALTERED_LIMIT, CAVEAT, MISSING_LIMIT

SCHEMA: Row = json.loads(resources.files("volforensic.report").joinpath("report.schema.json").read_bytes())
ELF = "application/x-pie-executable"


def row(path: str, verdict: Any, **more: Any) -> Row:
    package = {"verdict": verdict, "name": "coreutils", "version": "9.1-1", "manager": "dpkg"}
    facts: Row = {"volume": 1, "type": "file", "mode": 0o755, "uid": 0, "gid": 0, "size": 9, "allocated": True}
    return {"path": path, "mime": ELF, **facts, "package": package, **more}


def report(rows: list[Row], missing: list[Row]) -> Row:
    built = build_report(case_facts(), [view(files=lambda: iter(rows), missing=lambda: missing, findings=findings())])
    decoded: Row = msgspec.json.decode(render_json(built))
    assert list(faults(decoded, SCHEMA)) == []
    return decoded


def section(rows: list[Row], missing: list[Row] | None = None) -> Row:
    packages: Row = report(rows, missing or [])["evidence"][0]["package_files"]
    return packages


def test_verdicts_are_counted_and_the_caveat_stands_beside_them() -> None:
    rows = [row(f"/usr/bin/{number}", "proved") for number in range(7)]
    rows += [row("/usr/bin/ps", "altered", package={"verdict": "altered", "name": "procps", "differs": ["digest"]})]
    rows += [row("/etc/x", "config changed"), row("/etc/y", "unverified"), row("/opt/a", "unowned")]
    rows += [
        row("/data/x", None, package=None),
        row("/gone", "altered", allocated=False),
        row("/d", "x", type="directory"),
    ]
    packages = section(rows)
    assert packages["verdicts"] == {"proved": 7, "altered": 1, "config changed": 1, "unverified": 1, "unowned": 1}
    assert packages["no_verdict"] == 1
    assert packages["caveat"] == CAVEAT
    assert "lie on the suspect disk and can have been edited" in CAVEAT
    [altered] = packages["altered"]["listed"]
    assert (altered["path"], altered["package"]["name"], altered["mode"]) == ("/usr/bin/ps", "procps", "0755")


def test_without_a_database_there_is_no_caveat_and_the_page_says_so() -> None:
    built = report([row("/x", None, package=None)], [])
    assert built["evidence"][0]["package_files"]["caveat"] == ""
    assert "No package database was read" in render_html(built)
    assert "No package database was read" not in render_html(report([row("/x", "proved")], []))


def test_unowned_programs_come_with_those_of_findings_and_setuid_ones_first() -> None:
    rows = [row("/a", "unowned"), row("/b", "unowned", mode=0o4755), row(MINER, "unowned")]
    rows += [row("/text", "unowned", mime="text/plain")]
    listed = section(rows)["unowned_programs"]
    assert [one["path"] for one in listed["listed"]] == [MINER, "/b", "/a"]
    assert listed["total"] == 3
    assert listed["listed"][0]["findings"]


def test_what_is_missing_and_not_left_out_on_purpose() -> None:
    missing: list[Row] = [
        {"path": "/usr/sbin/auditd", "package": "auditd", "version": "3", "manager": "dpkg", "is_config": False},
        {"path": "/usr/bin/x", "name": "x", "uncertain": "the filesystem was not read whole"},
        {"path": "/usr/share/doc/x", "package": "x", "excluded": "/usr/share/doc/*"},
    ]
    packages = section([row("/x", "proved")], missing)
    assert packages["missing"]["total"] == 2
    assert [one["package"] for one in packages["missing"]["listed"]] == ["auditd", "x"]


def test_listings_are_bounded() -> None:
    missing = [{"path": f"/usr/bin/{number}", "package": "x"} for number in range(1000)]
    packages = section([row(f"/usr/bin/{number}", "altered") for number in range(1000)], missing)
    assert (packages["altered"]["total"], len(packages["altered"]["listed"])) == (1000, ALTERED_LIMIT)
    assert (packages["missing"]["total"], len(packages["missing"]["listed"])) == (1000, MISSING_LIMIT)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_a_database_stays_text(text: str) -> None:
    package = {"verdict": "altered", "name": text, "version": text, "differs": [text] * 9}
    rows = [row(f"/usr/{text}", "altered", package=package), row("/y", [text], package=[text]), row("/z", {"a": text})]
    built = report(rows, [{"path": text, "package": text, "version": text, "manager": text, "uncertain": text}])
    assert ACTING.findall(render_html(built)) == []
