"""Rules over records, findings about files, and the order of it all."""

# ruff: noqa: S108 - the paths are those of the evidence; nothing is written there

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volforensic.collection.definitions import Artifact, ArtifactSource, Rule
from volforensic.detection import places
from volforensic.detection.engine import check_rules, detect
from volforensic.detection.files import file_findings
from volforensic.detection.rows import VALUE_LIMIT
from volforensic.detection.rules import CITES_LIMIT, EVIDENCE_LIMIT, FINDINGS_LIMIT, apply_rules
from volforensic.errors import DefinitionError
from volforensic.record import Finding, Problem, Row

YARA: dict[str, dict[str, Any]] = {
    "xmrig_elf": {"severity": "critical", "attack": "T1496, T1027", "description": "The XMRig miner.", "author": "A"},
    "pool_address_elf": {"severity": "high", "attack": ["T1496"], "description": "A pool"},
    "packed": {"severity": "low", "description": "A packed program"},
}


def artifact(*rules: Rule, **fields: str) -> Artifact:
    return Artifact(
        name="doors",
        doc="Doors.",
        fields=fields or {"door": "string", "command": "string", "times": "integer"},  # type: ignore[arg-type]
        sources=[ArtifactSource(paths=["/x"], parser="cron.user_crontab")],
        detect=list(rules),
    )


def rule(name: str = "door", statement: str = "{door} opened", where: Any = None, **more: Any) -> Rule:
    return Rule(
        name=name, severity=more.pop("severity", "high"), where=where or {"door|exists": True}, statement=statement
    )


def record(number: int, **fields: Any) -> Row:
    return {
        "record_id": f"doors:{number}",
        "artifact": "doors",
        "volume": 0,
        "source": "/x",
        "position": number,
        **fields,
    }


def findings(outcomes: Iterator[Finding | Problem]) -> list[Finding]:
    return [outcome for outcome in outcomes if isinstance(outcome, Finding)]


def test_identical_findings_are_one() -> None:
    rows = [
        record(1, door="back", command="c1", timestamp="2024-01-02T00:00:00.000000Z"),
        record(2, door="front", command="c2", timestamp=None),
        record(3, door="back", command="c3", timestamp="2024-01-01T00:00:00.000000Z"),
    ]
    back, front = findings(apply_rules(artifact(rule()), rows))
    assert back.statement == "back opened"
    assert (back.count, back.cites, back.evidence) == (2, ["doors:1", "doors:3"], ["c1", "c3"])
    assert (back.first_seen, back.last_seen) == ("2024-01-01T00:00:00.000000Z", "2024-01-02T00:00:00.000000Z")
    assert back.details == {"artifact": "doors", "cites_total": 2, "sources": ["/x"]}
    assert (front.count, front.first_seen, front.volume) == (1, None, 0)
    assert back.finding_id != front.finding_id


def test_cites_and_evidence_are_capped_and_the_total_is_said() -> None:
    rows = [record(number, door="back", command=f"c{number}") for number in range(200)]
    [found] = findings(apply_rules(artifact(rule()), rows))
    assert (len(found.cites), len(found.evidence)) == (CITES_LIMIT, EVIDENCE_LIMIT)
    assert found.count == found.details["cites_total"] == 200


def test_a_flood_of_findings_ends_in_a_problem() -> None:
    rows = [record(number, door=f"door {number}") for number in range(FINDINGS_LIMIT + 5)]
    *found, problem = list(apply_rules(artifact(rule()), [*rows, record(0, door="door 0")]))
    assert len(found) == FINDINGS_LIMIT
    assert isinstance(found[0], Finding)
    assert found[0].count == 2
    assert isinstance(problem, Problem)
    assert not problem.lost
    assert "5 further matches" in problem.reason


def test_a_statement_is_filled_once_and_values_are_cut() -> None:
    rows = [record(1, door="{command}", command="secret"), record(2, door="x" * 1000), record(3, door="a", times=0)]
    first, second, third = findings(apply_rules(artifact(rule(statement="{door}: {times} {{door}}")), rows))
    assert first.statement == "{command}: - {{command}}"
    assert len(second.statement) == 2 * VALUE_LIMIT + len(":  - {}") - 1
    assert third.statement == "a: 0 {a}"


def test_a_wrong_rule_is_named_before_anything_is_read() -> None:
    for wrong in (rule(where={"dor": "x"}), rule(statement="{dor}"), rule(where={"door|near": "x"})):
        with pytest.raises(DefinitionError, match=r"doors: detect\[1\] \(door\)"):
            check_rules([artifact(rule(name="other"), wrong)])


def file(path: str, **facts: Any) -> Row:
    defaults: Row = {
        "volume": 0,
        "path": path,
        "type": "file",
        "mode": 0o755,
        "uid": 1000,
        "size": 5,
        "allocated": True,
        "mime": "application/x-pie-executable",
        "family": "elf",
        "sha256": "ab" * 32,
        "mtime": "2024-05-02T00:00:00.000000000Z",
        "ctime": "2024-05-01T00:00:00.000000000Z",
        "crtime": None,
    }
    return defaults | facts


def judged(*rows: Row) -> list[Finding]:
    return [outcome for _, found in file_findings(rows, YARA) for outcome in found if isinstance(outcome, Finding)]


def verdicts(path: str, **facts: Any) -> list[tuple[str, str]]:
    return [(found.rule, found.severity) for found in judged(file(path, **facts))]


PRIVATE = "/tmp/systemd-private-0123456789abcdef0123456789abcdef-web.service-Ab12cd/tmp"
LIBRARY = {"mime": "application/x-sharedlib", "mode": 0o644}
SCRIPT = {"mime": "text/x-shellscript", "family": "script"}


def test_yara_matches_of_a_file_are_one_finding_of_the_gravest_rule() -> None:
    strings = [{"identifier": "$a", "offset": 4660, "text": "donate.v2"}]
    row = file(
        "/opt/x", yara=["packed", "pool_address_elf", "xmrig_elf"], matches=[{"rule": "xmrig_elf", "strings": strings}]
    )
    [found] = judged(row)
    assert (found.rule, found.severity, found.path, found.cites) == ("xmrig_elf", "critical", "/opt/x", ["/opt/x"])
    assert found.attack == ["T1027", "T1496"]
    assert found.evidence == ["xmrig_elf $a at 0x1234: donate.v2"]
    assert found.statement == (
        "The file /opt/x: The XMRig miner (YARA rule xmrig_elf; also pool_address_elf, packed); 5 bytes,"
        f" SHA-256 {'ab' * 32}, owner uid 1000, modified 2024-05-02T00:00:00.000000000Z,"
        " changed 2024-05-01T00:00:00.000000000Z"
    )
    assert (found.first_seen, found.last_seen) == (None, None)
    assert found.details["mtime"] == "2024-05-02T00:00:00.000000000Z"
    assert found.details["sources"]["xmrig_elf"] == {"author": "A"}


def test_a_yara_rule_without_metadata_is_medium() -> None:
    [found] = judged(file("/opt/x", yara=["unknown"]))
    assert (found.rule, found.severity) == ("unknown", "medium")
    assert found.statement.startswith("The file /opt/x: matches the YARA rule unknown; 5 bytes")
    assert verdicts("/opt/x", yara=["packed"], mime=None) == [("packed", "low")]


@pytest.mark.parametrize(
    ("path", "facts", "expected"),
    [
        ("/tmp/x", {}, [("executable-in-temporary-directory", "medium")]),
        ("/tmp/x.sh", SCRIPT, [("executable-in-temporary-directory", "low")]),
        ("/tmp/.x/y", {}, [("executable-in-temporary-directory", "high")]),
        ("/var/tmp/.ICE-unix/y", {}, [("executable-in-temporary-directory", "high")]),
        ("/dev/shm/x", {}, [("executable-in-temporary-directory", "high")]),
        ("/tmp/go-build1/b001/exe/main", {}, [("executable-in-temporary-directory", "low")]),
        ("/tmp/x.sh", {**SCRIPT, "mode": 0o644}, []),
        ("/tmp/lib.so", LIBRARY, []),
        ("/tmp/x", {"mime": "application/x-sharedlib"}, [("executable-in-temporary-directory", "medium")]),
        ("/tmp/x", {"type": "symlink"}, []),
        ("/tmp/x", {"allocated": False}, []),
        ("/tmp/x", {"size": 0}, []),
        ("/tmp/note", {"mime": "text/plain", "family": "text"}, []),
        ("/usr/share/.x/y", {}, [("executable-in-hidden-directory", "medium")]),
        ("/usr/share/.x/y.sh", SCRIPT, [("executable-in-hidden-directory", "medium")]),
        ("/usr/lib/.x/lib.so", LIBRARY, [("executable-in-hidden-directory", "medium")]),
        ("/usr/bin/.x", {}, [("executable-in-hidden-directory", "medium")]),
        ("/root/.rc5/kswapd0", {}, [("name-of-kernel-thread", "high"), ("executable-in-hidden-directory", "medium")]),
        ("/home/bob/.cache/.x/y", {}, [("executable-in-hidden-directory", "medium")]),
        ("/home/bob/.../y", {}, [("executable-in-hidden-directory", "medium")]),
        ("/usr/sbin/kworker0", {}, [("name-of-kernel-thread", "high")]),
        ("/opt/[kthreadd]", {}, [("name-of-kernel-thread", "high")]),
        ("/tmp/kdevtmpfsi", {}, [("name-of-kernel-thread", "high"), ("executable-in-temporary-directory", "medium")]),
        (PRIVATE + "/x", {}, [("executable-in-temporary-directory", "medium")]),
        ("/tmp/npm-1/.x/y", {}, [("executable-in-temporary-directory", "high")]),
        ("/dev/x", {}, [("executable-in-device-directory", "high")]),
        ("/var/lib/docker/overlay2/ab12/diff/tmp/.x/y", {}, [("executable-in-temporary-directory", "high")]),
        ("/var/lib/docker/overlay2/ab12/diff/tmp/build.sh", SCRIPT, [("executable-in-temporary-directory", "low")]),
    ],
)  # fmt: skip
def test_a_program_is_judged_by_its_place(path: str, facts: Row, expected: list[tuple[str, str]]) -> None:
    assert verdicts(path, **facts) == expected


@pytest.mark.parametrize(
    "name",
    [
        "kworker",
        "kworker/0:1",
        "kworker/u8:1",
        "kworker/0:1H",
        "kswapd0",
        "kswapd1",
        "ksoftirqd/0",
        "kthreadd",
        "[kworker]",
        "[kworker/u4:2-events]",
        "[kthreadd]",
        "[scsi_eh_0]",
        "kauditd",
        "migration/3",
    ],
)
def test_a_name_that_kernel_threads_have(name: str) -> None:
    assert places.kernel_thread_name(name) == "has"


@pytest.mark.parametrize(
    "name",
    [
        "kworker_u8",
        "kworker0",
        "kworker-0:1",
        "kdevtmpfsi",
        "kworkerds",
        ".kworker",
        ".kswapd0",
        "kthreaddk",
        "kerberods",
        "kswapd0s",
    ],
)
def test_a_name_that_imitates_those_of_kernel_threads(name: str) -> None:
    assert places.kernel_thread_name(name) == "imitates"


@pytest.mark.parametrize(
    "name",
    [
        "kblockd-exporter.sh",
        "kswapd_monitor",
        "kauditd-report.py",
        "kworker-exporter",
        "kworker.service",
        "kswapd0.sh",
        "ksoftirqd.stp",
        "khugepaged-defrag.sh",
        "kthreadd_check",
        "[",
        ".bashrc",
        "kdevtmpfs.conf",
        "kcompactd-tune",
        "kworkers.py",
        "kauditd.rules",
        "[a",
        "b]",
    ],
)
def test_a_name_that_only_begins_like_a_kernel_thread(name: str) -> None:
    assert places.kernel_thread_name(name) == ""


def test_words_about_names_of_kernel_threads() -> None:
    [real], [imitation] = judged(file("/usr/sbin/kswapd0")), judged(file("/usr/sbin/kdevtmpfsi"))
    assert "an executable has the name of a kernel thread (kswapd0)" in real.statement
    assert "an executable imitates the name of a kernel thread (kdevtmpfsi)" in imitation.statement


def unpacked(root: str) -> list[Row]:
    programs = [file(f"{root}/configure", **SCRIPT), file(f"{root}/src/server"), file(f"{root}/.libs/server")]
    return [*programs, file(f"{root}/README.md", mime="text/plain", mode=0o644)]


def test_an_unpacked_tree_is_one_low_finding() -> None:
    license_text = file("/tmp/web-1.2/docs/LICENSE", mime="text/plain", mode=0o644)
    [found] = judged(*unpacked("/tmp/web-1.2"), license_text)
    assert (found.rule, found.severity, found.path, found.count) == (
        "executable-in-temporary-directory",
        "low",
        "/tmp/web-1.2",
        3,
    )
    assert found.cites == ["/tmp/web-1.2/.libs/server", "/tmp/web-1.2/configure", "/tmp/web-1.2/src/server"]


def test_one_file_of_a_tree_makes_no_tree() -> None:
    rows = [file("/tmp/a/run"), file("/tmp/a/README", mime="text/plain", mode=0o644)]
    assert [(found.path, found.severity) for found in judged(*rows)] == [("/tmp/a/run", "medium")]


def test_what_a_tree_hides_and_what_yara_knows_is_still_told() -> None:
    rows = [*unpacked("/var/tmp/x"), file("/var/tmp/x/.y/z"), file("/var/tmp/x/bin/a", yara=["xmrig_elf"])]
    found = {(one.rule, one.severity, one.path) for one in judged(*rows)}
    assert found == {
        ("executable-in-temporary-directory", "low", "/var/tmp/x"),
        ("executable-in-temporary-directory", "high", "/var/tmp/x/.y/z"),
        ("xmrig_elf", "critical", "/var/tmp/x/bin/a"),
    }


def test_a_container_has_its_own_trees() -> None:
    layer = "/var/lib/docker/overlay2/ab12/diff"
    [found] = judged(*unpacked(f"{layer}/tmp/web"))
    assert (found.path, found.severity) == (f"{layer}/tmp/web", "low")


def test_a_line_of_a_history_is_told_once() -> None:
    history = artifact(rule(statement="{command}", where={"command|contains": "pool"}), command="string")
    history = msgspec.structs.replace(history, name="shell_history")
    rows = [{**record(1, command="x -o pool"), "source": "/root/.bash_history"}]
    files = [
        file(path, yara=["pool_address_elf"], mime="text/plain") for path in ("/root/.bash_history", "/root/.other")
    ]

    def rules_found(records: list[Row]) -> list[tuple[str, str | None]]:
        outcomes = detect([history], lambda name: records if name == "shell_history" else [], lambda: files, YARA)
        return [(one.rule, one.path) for one in findings(outcomes)]

    assert rules_found(rows) == [("door", None), ("pool_address_elf", "/root/.other")]
    assert ("pool_address_elf", "/root/.bash_history") in rules_found([{**rows[0], "command": "unread"}])


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/kwin",
        "/usr/bin/[",
        "/usr/sbin/ksmtuned",
        "/usr/bin/kmod",
        "/var/lib/dpkg/info/kmod.postinst",
        "/srv/app/.git/hooks/pre-commit.sample",
        "/home/bob/app/.git/hooks/pre-push.sample",
        "/root/.cache/pip/x",
        "/home/bob/.local/bin/pip",
        "/home/bob/.config/nvm/versions/node",
        "/home/bob/.nvm/versions/node/v20/bin/node",
        "/home/bob/.cargo/bin/rg",
        "/home/bob/.vscode-server/bin/ab/node",
        "/home/bob/project/.venv/bin/python",
        "/opt/app/.venv/lib/python3/site-packages/numpy/.libs/libopenblas.so",
        "/home/bob/web/node_modules/.bin/tsc",
        "/var/www/html/node_modules/.pnpm/a/node_modules/b/cli.js",
        "/usr/src/libtool/.libs/prog",
        "/var/lib/jenkins/.m2/x",
        "/root/.acme.sh/acme.sh",
        "/home/bob/.bash_logout",
        "/dev/MAKEDEV",
    ],
)
def test_an_ordinary_place_gives_nothing(path: str) -> None:
    assert verdicts(path, **SCRIPT) == []
    assert verdicts(path) == []


def test_files_beyond_the_limit_are_counted() -> None:
    rows = [file(f"/tmp/{number}") for number in range(FINDINGS_LIMIT + 3)]
    outcomes = [outcome for _, found in file_findings(rows, {}) for outcome in found]
    assert len(outcomes) == FINDINGS_LIMIT + 1
    assert isinstance(outcomes[-1], Problem)
    assert "3 further matches" in outcomes[-1].reason


def test_detection_is_in_the_order_of_gravity_and_the_same_each_time() -> None:
    rules = [rule("b", severity="low"), rule("a", severity="low"), rule("z", severity="critical")]
    rows = [record(10, door="x"), record(9, door="y")]

    def run() -> list[Finding | Problem]:
        return list(
            detect([artifact(*rules)], lambda name: rows if name == "doors" else [], lambda: [file("/tmp/x")], {})
        )

    found = findings(iter(run()))
    assert [(one.rule, one.cites[0]) for one in found] == [
        ("z", "doors:9"),
        ("z", "doors:10"),
        ("executable-in-temporary-directory", "/tmp/x"),
        ("a", "doors:9"),
        ("a", "doors:10"),
        ("b", "doors:9"),
        ("b", "doors:10"),
    ]
    assert run() == found


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["record_id", "volume", "source", "timestamp", "door", "command", "times"]), VALUES)
)
def test_no_record_stops_a_rule(row: Row) -> None:
    rules = [rule(statement="{door} {command} {times} {source}"), rule("n", where={"times|gt": 0, "command|re": "a"})]
    assert len(list(apply_rules(artifact(*rules), [row, row]))) <= 2


@given(st.text(alphabet="/.tmpvarkho-[]\n\0\u202e", max_size=60))
def test_no_path_stops_the_places(path: str) -> None:
    inner, _ = places.inside_container(path)
    assert places.hidden_part(inner) is None or "." in inner
    assert places.kernel_thread_name(path) in {"has", "imitates", ""}
    judged(file(path))
