"""The report is a pure function of the case, bounded, honest about what was not read, and inert."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_sample import (
    ADDRESS,
    HOSTILE,
    MINER,
    case_facts,
    coverage,
    files,
    finding,
    findings,
    identity,
    nothing,
    records,
    view,
)

from volforensic.record import Row
from volforensic.report.bounds import Best, Tally, bounded, cut
from volforensic.report.html import render_html, size_text, time_text
from volforensic.report.model import CaseFacts, Custody, EvidenceView, build_report, render_json
from volforensic.report.verdict import Reading, judge

SCHEMA: Row = json.loads(resources.files("volforensic.report").joinpath("report.schema.json").read_bytes())
TYPES: dict[str, Any] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
PARTIAL = "reading was partial: 1 artifact was read only in part and 1,200 places of the evidence could not be read."
NO_PROOF = "absence of findings is not proof."
CHANGED = "The evidence changed: its SHA-256 before and after reading differ."
READ = Reading(9, 1, 0, 0, 0, declared_complete=True, unchanged=True)
EMPTY = EvidenceView(identity={}, findings=[], coverage={}, problems=[], records=nothing, files=nothing)


@pytest.fixture(scope="module")
def report() -> Row:
    decoded: Row = msgspec.json.decode(render_json(build_report(case_facts(), [view()])))
    return decoded


@pytest.fixture(scope="module")
def page(report: Row) -> str:
    return render_html(report)


def faults(value: Any, schema: Row, where: str = "$") -> Iterator[str]:
    """Give what the schema does not allow: as much of JSON Schema as our schema uses."""
    schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_type(value, kind) for kind in kinds):
        yield f"{where}: {value!r} is not {kinds}"
        return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{where}: {value!r} is not one of those allowed"
    if value is not None and "minimum" in schema and value < schema["minimum"]:
        yield f"{where}: {value!r} is too small"
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}: no {name}"
    for name, item in value.items() if isinstance(value, dict) else []:
        known = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
        if known is False:
            yield f"{where}: {name} is not known"
        elif known is not True:
            yield from faults(item, known, f"{where}.{name}")
    for index, item in enumerate(value) if isinstance(value, list) else []:
        yield from faults(item, schema.get("items", {}), f"{where}[{index}]")


def is_type(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    return isinstance(value, TYPES[kind]) and (kind != "integer" or not isinstance(value, bool))


def test_the_report_follows_its_schema(report: Row) -> None:
    assert list(faults(report, SCHEMA)) == []


def test_a_case_without_evidence_and_evidence_without_anything_follow_it_too() -> None:
    bare = CaseFacts(case_id="x", created="", custody=Custody(head="", entries=0))
    for evidence in ([], [EMPTY], [EMPTY, view()]):
        built = build_report(bare, evidence)
        assert list(faults(built, SCHEMA)) == []
        assert "</html>" in render_html(built)


def test_the_check_against_the_schema_can_fail(report: Row) -> None:
    broken = json.loads(json.dumps(report))
    broken["evidence"][0]["coverage"]["listed"][0]["status"] = "fine"
    broken["evidence"][0]["logins"]["more"] = 1
    del broken["verdict"]["sentence"]
    broken["custody"]["entries"] = True
    assert len(list(faults(broken, SCHEMA))) == 4


def test_the_schema_holds_by_a_checker_that_is_not_ours(report: Row) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(report)


def test_two_runs_give_the_same_bytes(page: str) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import hashlib; from report_sample import case_facts, view\n"
        "from volforensic.report.html import render_html\n"
        "from volforensic.report.model import build_report, render_json\n"
        "report = build_report(case_facts(), [view()]); data = render_json(report)\n"
        "import json; print(hashlib.sha256(render_html(json.loads(data)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {hashlib.sha256(page.encode()).hexdigest().encode()}


@pytest.mark.parametrize(
    ("counts", "reading", "sentence"),
    [
        ({}, READ, "No finding; everything that was looked for was read."),
        (
            {"low": 3, "info": 1},
            READ,
            "No finding above low (3 low and 1 info); everything that was looked for was read.",
        ),
        (
            {"critical": 2, "high": 1},
            READ,
            "2 critical and 1 high findings: Top; everything that was looked for was read.",
        ),
        ({"medium": 1, "low": 7}, READ, "1 medium finding: Top; everything that was looked for was read."),
        (
            {},
            READ._replace(unread=3, declared_complete=False),
            "No finding, but reading was partial: 3 artifacts could not be read: absence of findings is not proof.",
        ),
        (
            {"high": 1},
            READ._replace(partial=1, places=1_200),
            f"1 high finding: Top; {PARTIAL}",
        ),
        ({}, READ._replace(looked_for=0), "No finding, but nothing was looked for: absence of findings is not proof."),
        (
            {},
            READ._replace(absent=9),
            "No finding, but none of the 9 artifacts looked for exists on this evidence: " + NO_PROOF,
        ),
        (
            {},
            READ._replace(declared_complete=False),
            "No finding, but reading was not complete: absence of findings is not proof.",
        ),
        (
            {"critical": 1},
            READ._replace(unchanged=False),
            f"{CHANGED} 1 critical finding: Top; everything that was looked for was read.",
        ),
    ],
)
def test_verdict(counts: dict[str, int], reading: Reading, sentence: str) -> None:
    judged = judge(counts, "Top.", reading)
    assert judged["sentence"] == sentence
    assert judged["complete"] == (reading in (READ, READ._replace(absent=9)))
    assert "clean" not in sentence


def test_the_verdict_quotes_the_beginning_of_a_long_statement() -> None:
    sentence = judge({"critical": 1}, "A program that mines. " * 40, READ)["sentence"]
    assert len(sentence) < 200
    assert " …; everything that was looked for was read." in sentence
    assert "  " not in sentence
    endless = judge({"critical": 1}, "x" * 4000, READ)["sentence"]
    assert "x" * 100 in endless
    assert len(endless) < 200


def test_what_was_not_read_reaches_the_verdict(report: Row) -> None:
    assert report["verdict"]["complete"] is False
    assert report["verdict"]["sentence"].endswith(
        "reading was partial: 1 artifact was read only in part and 1 place of the evidence could not be read."
    )
    assert report["evidence"][0]["problems"]["not_read"]["by_stage"] == {"collection": 1}
    assert report["evidence"][0]["problems"]["noted"]["total"] == 1


def test_an_unread_item_does_not_hide_behind_a_read_one() -> None:
    rows = [{"artifact": "cron", "volume": 0, "status": "complete"}]
    read = view(findings=[], problems=[], coverage={"artifacts": rows, "complete": True})
    assert build_report(case_facts(), [read])["verdict"]["complete"] is True
    assert build_report(case_facts(), [read, EMPTY])["verdict"]["complete"] is False


def test_a_status_that_is_not_known_does_not_pass_for_read() -> None:
    rows = [{"artifact": "cron", "volume": 0, "status": "splendid"}]
    built = build_report(case_facts(), [view(problems=[], coverage={"artifacts": rows, "complete": True})])
    assert built["evidence"][0]["coverage"]["listed"][0]["status"] == "unsupported"
    assert built["verdict"]["complete"] is False


def test_the_package_databases_are_listed(report: Row) -> None:
    (item,) = report["evidence"]
    assert item["packages"]["databases"]["total"] == 2
    bare = build_report(case_facts(), [EMPTY])
    assert "nobody can say which files were shipped by whom" in render_html(bare)


def test_two_different_hashes_are_said_first_and_in_red() -> None:
    built = build_report(case_facts(), [view(identity=identity(sha256_after="00" * 32))])
    assert built["evidence"][0]["unchanged"] is False
    assert built["verdict"]["sentence"].startswith("The evidence changed")
    assert "DIFFERENT before and after" in render_html(built)


def test_one_hash_is_no_comparison() -> None:
    built = build_report(case_facts(), [view(identity=identity(sha256_after=None))])
    assert built["evidence"][0]["unchanged"] is None
    assert "not compared" in render_html(built)


def test_logins_are_counted_by_who_and_where_from(report: Row) -> None:
    logins = report["evidence"][0]["logins"]
    assert logins["accepted"]["events"] == {"accepted": 4}
    assert [(row["user"], row["count"]) for row in logins["accepted"]["listed"]][1:] == [("deploy", 2), ("root", 1)]
    guessed = logins["failed"]["listed"][0]
    assert (guessed["remote_address"], guessed["failed"], guessed["also_accepted"]) == (ADDRESS, 60_000, True)
    assert (guessed["users"], guessed["more_users"]) == (["root", "admin"], False)
    assert (guessed["first"], guessed["last"]) == ("2026-11-19T21:01:00.000000Z", "2026-11-19T21:03:00.000000Z")
    assert logins["failed"]["events"] == {"failed": 60_001, "invalid_user": 1}
    assert logins["failed"]["listed"][1]["also_accepted"] is False
    assert logins["sessions"]["listed"][0]["terminals"] == ["pts/0"]
    assert logins["lastlog"]["listed"][1]["user"] == "deploy"
    assert [logins[name]["total"] for name in ("sudo", "account_changes", "refused", "boots", "odd_records")] == [1] * 5


def test_accounts_are_those_that_can_log_in_or_are_root(report: Row) -> None:
    accounts = report["evidence"][0]["system"]["accounts"]["listed"]
    assert [row["user"] for row in accounts[:3]] == ["root", "deploy", "sysupd"]
    assert accounts[0]["password_state"] == "hashed"  # noqa: S105 - a state, not a password
    assert "daemon" not in json.dumps(accounts)
    assert report["evidence"][0]["system"]["groups"]["total"] == 1
    assert [row["keyword"] for row in report["evidence"][0]["system"]["sshd_settings"]["listed"]] == ["PermitRootLogin"]


def test_findings_stand_by_severity_with_the_facts_of_their_file(report: Row) -> None:
    listed = report["evidence"][0]["findings"]["listed"]
    assert [row["severity"] for row in listed] == ["critical", "critical", "high", "medium", "low"]
    miner = next(row for row in listed if row["rule"] == "miner-binary")
    assert miner["files"][0]["sha256"] == "ab12" * 16
    assert miner["attack"] == [{"id": "T1496.001", "name": "Resource Hijacking: Compute Hijacking"}]


def test_what_a_finding_cites_is_marked_and_comes_first(report: Row) -> None:
    cron = report["evidence"][0]["persistence"]["cron"]["listed"]
    assert [row["record_id"] for row in cron[:2]] == ["cron:2", "cron:1"]
    assert cron[0]["findings"] == ["F-0000000000a2"]
    assert cron[2]["script"][-1] == "… (20 more lines)"
    files_listed = report["evidence"][0]["files_of_interest"]["listed"]
    assert [row["path"] for row in files_listed] == [MINER, "/home/" + HOSTILE[2]]
    assert files_listed[0]["findings"] == ["F-0000000000a1", "F-0000000000a2"]
    assert files_listed[0]["rules"] == ["xmrig", "stratum_pool"]


def test_a_cited_row_is_listed_however_many_come_before_it() -> None:
    def many(artifact: str) -> Iterator[Row]:
        count = 5_000 if artifact == "cron" else 0
        return ({"record_id": f"cron:{number}", "command": "true"} for number in range(count))

    cited = [finding("F-1", "r", "high", "s", cites=["cron:4999"])]
    rows = build_report(case_facts(), [view(records=many, findings=cited)])["evidence"][0]["persistence"]["cron"]
    assert rows["total"] == 5_000
    assert len(rows["listed"]) < 1_000
    assert rows["listed"][0]["record_id"] == "cron:4999"


def test_a_noisy_rule_does_not_push_the_others_out() -> None:
    noise = [finding(f"F-{number}", "noise", "critical", "x" * 5_000) for number in range(5_000)]
    built = build_report(case_facts(), [view(findings=[*noise, *findings()])])
    shown = built["evidence"][0]["findings"]
    assert shown["total"] == 5_005
    assert built["verdict"]["findings"]["critical"] == 5_002
    assert {row["rule"] for row in shown["listed"]} >= {row["rule"] for row in findings()}
    assert shown["by_rule"][0] == {"rule": "noise", "severity": "critical", "count": 5_000}
    assert len(render_json(built)) < 1_000_000
    assert "First 205 of 5,005" in render_html(built)


def test_the_addresses_of_a_flood_are_counted_in_bounded_memory() -> None:
    def flood(artifact: str) -> Iterator[Row]:
        for number in range(60_000 if artifact == "auth_log" else 0):
            address = ADDRESS if number % 3 == 0 else f"2001:db8::{number:x}"
            yield {"event": "failed", "user": f"u{number}", "remote_address": address, "timestamp": None}

    failed = build_report(case_facts(), [view(records=flood)])["evidence"][0]["logins"]["failed"]
    assert failed["events"] == {"failed": 60_000}
    assert failed["exact"] is False
    assert (failed["listed"][0]["remote_address"], failed["listed"][0]["failed"]) == (ADDRESS, 20_000)
    assert failed["listed"][0]["more_users"] is True
    assert len(failed["listed"]) == 100


def test_a_tally_keeps_the_frequent_key() -> None:
    tally = Tally(limit=10)
    for number in range(1_000):
        tally.add((f"rare {number}",), "seen", None)
        tally.add(("often",), "seen", f"2026-01-01T00:00:{number % 60:02}Z")
    rows = tally.listing(1, lambda key, count: {"key": key, "count": count.total, "last": count.last})
    assert rows["listed"] == [{"key": ("often",), "count": 1_000, "last": "2026-01-01T00:00:59Z"}]
    assert rows["events"] == {"seen": 2_000}
    assert rows["total"] <= 10


def test_best_keeps_the_smallest_keys_and_counts_all() -> None:
    best = Best(3)
    for number in range(100, 0, -1):
        best.add((number // 2,), lambda number=number: {"number": number})  # type: ignore[misc]
    assert best.listing() == {"total": 100, "listed": [{"number": 1}, {"number": 3}, {"number": 2}]}


def test_cut_and_bounded_say_what_they_left_out() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    assert cut("abcdef", 4) == "abcd… (2 more characters)"
    assert cut("a\ud800") == "a\\ud800"
    assert bounded(list(range(60)))[-1] == "… (10 more)"
    assert bounded(dict.fromkeys(map(str, range(60))))["…"] == "10 more keys"
    assert bounded(1 << 70) == hex(1 << 70)
    assert "nested deeper" in json.dumps(bounded(deep), ensure_ascii=False)


class Elements(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        self.tags: dict[str, int] = {}
        self.attributes: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element and its attributes."""
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def elements(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    return found


def test_hostile_text_makes_no_element_and_no_attribute(page: str) -> None:
    found = elements(page)
    assert (found.tags["script"], found.tags["style"]) == (1, 1)
    assert not found.tags.keys() & {"img", "iframe", "link", "object", "base", "svg", "embed"}
    assert [name for _, name, _ in found.attributes if name.startswith("on") or name in {"src", "style"}] == []
    assert [value for _, name, value in found.attributes if name == "href" and not value.startswith("#")] == []
    for text in HOSTILE[:4]:
        assert text not in page
    assert "&lt;script&gt;document.title=" in page
    assert "49" not in re.findall(r"<td>\s*(\d+)\s*</td>", page)


def test_no_control_or_direction_character_reaches_the_page(page: str) -> None:
    assert ACTING.findall(page) == []
    assert "\\u202egnp.exe" in page


def test_the_policy_allows_what_is_in_the_file_and_nothing_else(page: str) -> None:
    match = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert match is not None
    policy = match[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        inside = page[page.index(f"<{tag}>") + len(tag) + 2 : page.index(f"</{tag}>")]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "eval(" not in page
    assert "innerHTML" not in page
    assert re.findall(r"https?://", page) == []


def test_the_sections_stand_in_order(page: str) -> None:
    order = ["top", "e1-findings", "e1-system", "e1-logins", "e1-persistence", "e1-files", "e1-coverage", "e1-unread"]
    places = [page.index(f'id="{name}"') for name in [*order, "custody", "check"]]
    assert places == sorted(places)
    assert "9b1c9b1c" in page
    assert "auth_log: partial; logins: complete; lastlog: complete" in page
    assert "sha256sum -c" in page
    assert "c0dec0de" in page


def test_every_link_leads_somewhere() -> None:
    second = view(identity=identity(id="db-01"))
    found = elements(render_html(build_report(case_facts(), [view(), second])))
    targets = {value for _, name, value in found.attributes if name == "id"}
    links = {value[1:] for _, name, value in found.attributes if name == "href"}
    assert links <= targets
    assert "e2-F-0000000000a1" in targets


@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_text_anywhere_stays_text(text: str) -> None:
    def told(artifact: str) -> Iterator[Row]:
        for row in records(artifact):
            yield {key: text if isinstance(value, str) and key != "event" else value for key, value in row.items()}

    def named() -> Iterator[Row]:
        for row in files():
            yield row | {"path": text, "mime": text, "yara": [text], "problems": [text]}

    told_finding = finding(text, text, "high", text, evidence=[text], cites=[text], path=text, details={text: [text]})
    hostile = view(
        findings=[told_finding],
        records=told,
        files=named,
        identity=identity(
            id=text,
            source=text,
            host={"hostname": text, text: text},
            layout={text: text},
            packages={"databases": [{"manager": text, "path": text}, text], "verdicts": {text: text}},
        ),
        coverage=coverage() | {"artifacts": [{"artifact": text, "status": text, "reasons": [text]}]},
        problems=[{"stage": text, "reason": text}],
    )
    facts = CaseFacts(case_id=text, number=text, created=text, custody=Custody(head=text, entries=0))
    built: Row = msgspec.json.decode(render_json(build_report(facts, [hostile])))
    assert list(faults(built, SCHEMA)) == []
    page = render_html(built)
    assert ACTING.findall(page) == []
    found = elements(page)
    assert (found.tags["script"], found.tags["style"], found.tags.get("img")) == (1, 1, None)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (8 << 30, "8.0 GiB (8,589,934,592 bytes)"),
        (1 << 62, "4.0 EiB (4,611,686,018,427,387,904 bytes)"),
        ("?", ""),
    ],
)
def test_size_text(size: object, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-19T23:10:11.000000Z", "2026-11-19 23:10:11Z"),
        ("2026-11-19T23:10:11.120000000Z", "2026-11-19 23:10:11.12Z"),
        ("2025-02-03", "2025-02-03"),
        (None, ""),
    ],
)
def test_time_text(moment: object, text: str) -> None:
    assert time_text(moment) == text
