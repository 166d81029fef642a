"""Signs about programs: none alone is a finding, several are one, and each is listed."""

# ruff: noqa: S108 - the paths are those of the evidence; nothing is written there

from typing import Any

import pytest
from file_rows import DIRECTORY, LIBRARY, OWNED, UNOWNED, file, judged, said

from volforensic.record import Finding, Row

PACKED: Row = {
    "packer": {"name": "UPX", "version": "4.2", "confidence": "certain"},
    "linkage": "static",
    "stripped": True,
}
STATIC: Row = {"linkage": "static", "stripped": True, "type": "executable", "build_id": None}
GO: Row = {**STATIC, "go": {"version": "go1.22"}}
PRELOAD: Row = {
    "linkage": "dynamic",
    "suspicious_imports": [{"group": "replaced library functions", "symbols": ["dlsym", "readdir", "readdir64"]}],
}
SHELL: Row = {"suspicious_imports": [{"group": "shell over a connection", "symbols": ["connect", "dup2", "execve"]}]}
ROOTKIT: Row = {
    "type": "relocatable",
    "module": {"name": "diamorphine", "vermagic": "6.1.0-9-amd64 SMP preempt", "signed": False},
    "suspicious_imports": [
        {"group": "kernel function hooks", "symbols": ["register_kprobe"]},
        {"group": "module list", "symbols": ["kobject_del"]},
    ],
}
CLAIMED = [file(f"/usr/bin/tool{number}", package=OWNED) for number in range(20)]


def suspicious(path: str, elf: Any, **facts: Any) -> Finding | None:
    """Return the finding that lists signs, if there is one."""
    found = judged(file(path, elf=elf, **{"package": UNOWNED} | facts))
    return next((one for one in found if one.rule == "suspicious-program"), None)


@pytest.mark.parametrize(
    ("path", "elf", "facts"),
    [
        ("/usr/local/bin/tool", STATIC, {}),
        ("/usr/local/bin/node_exporter", GO, {}),
        ("/home/bob/tool", {**STATIC, "linkage": "dynamic"}, {"uid": 1234}),
        ("/opt/vendor/bin/agent", {"packer": {"name": "PyInstaller", "confidence": "certain"}}, {"uid": 33}),
        ("/opt/vendor/bin/agent", {"packer": {"name": "unknown", "confidence": "possible"}}, {"uid": 33}),
        ("/opt/vendor/bin/agent", {"packer": "UPX"}, {"uid": 33}),
        ("/usr/local/lib/libjemalloc.so", {"suspicious_imports": []}, LIBRARY),
        ("/usr/src/x/x.ko", {"module": {"name": "x", "vermagic": "6.1", "signed": False}}, LIBRARY),
        ("/usr/bin/x", PACKED, {"package": OWNED}),
        ("/usr/local/bin/x", PACKED, {"known": {"good": ["NSRL"]}}),
        ("/usr/local/bin/x", None, {}),
        ("/usr/local/bin/x", [PACKED], {}),
        ("/usr/local/bin/x", {"suspicious_imports": {"group": "x"}, "module": [], "rpath": 7}, {}),
    ],
)
def test_few_signs_are_no_finding(path: str, elf: Any, facts: Row) -> None:
    assert suspicious(path, elf, **facts) is None


@pytest.mark.parametrize(
    ("path", "elf", "facts", "severity", "words"),
    [
        ("/usr/local/bin/x", PACKED, {}, "low", "packed (UPX)"),
        ("/usr/local/lib/libx.so", PRELOAD, LIBRARY, "medium", "puts itself in the place of functions of libc"),
        ("/opt/dynatrace/lib64/liboneagentproc.so", PRELOAD, LIBRARY, "low", "functions of libc"),
        ("/usr/local/bin/x", PACKED, {"uid": 33}, "medium", "packed (UPX)"),
        ("/usr/local/bin/x", PACKED, {"uid": 33, "attributes": ["immutable"]}, "high", "it is immutable"),
        ("/usr/local/lib/libx.so", {**PRELOAD, "rpath": "/tmp/x"}, LIBRARY, "medium", "readdir64"),
        ("/usr/local/bin/x", {**SHELL, **STATIC}, {}, "medium", "shell over a connection"),
        ("/root/x.ko", ROOTKIT, LIBRARY, "high", "a kernel module (diamorphine) outside"),
        (
            "/usr/local/bin/x",
            {**STATIC, "interpreter": "/var/x/ld.so"},
            {},
            "medium",
            "a loader that is not the distribution's (/var/x/ld.so)",
        ),
        (
            "/usr/local/bin/x",
            {"packer": {"name": "UPX", "confidence": "certain", "is_altered": True}, "rpath": "$ORIGIN:/tmp"},
            {},
            "medium",
            "the packer's marks overwritten",
        ),
    ],
)
def test_several_signs_are_one_finding_that_lists_them(
    path: str, elf: Row, facts: Row, severity: str, words: str
) -> None:
    found = suspicious(path, elf, **facts)
    assert found is not None
    assert found.severity == severity
    assert words in found.statement
    assert len(found.details["signs"]) >= 2
    assert found.details["signs"][0] == "no package brought it"


def test_signs_go_into_the_finding_about_the_place_and_make_it_graver() -> None:
    plain, packed = judged(file("/tmp/x")), judged(file("/tmp/x", elf=PACKED, package=UNOWNED))
    assert [(one.rule, one.severity) for one in plain] == [("executable-in-temporary-directory", "medium")]
    assert [(one.rule, one.severity) for one in packed] == [("executable-in-temporary-directory", "high")]
    assert packed[0].details["raised"] == "from medium by its signs"
    assert packed[0].evidence == ["signs: no package brought it; packed (UPX)"]
    weak = judged(file("/tmp/x", elf=STATIC, package=UNOWNED))
    assert [one.severity for one in weak] == ["medium"]
    assert weak[0].evidence[0].startswith("signs: no package brought it; linked statically")


def test_yara_keeps_its_grade_and_lists_the_signs() -> None:
    found = judged(file("/tmp/.x/y.jpg", elf=PACKED, package=UNOWNED, yara=["xmrig_elf"]))
    assert [(one.rule, one.severity) for one in found] == [
        ("xmrig_elf", "critical"),
        ("executable-in-temporary-directory", "high"),
    ]
    assert "; also an ELF file (an executable) has the ending .jpg" in found[0].statement
    assert found[0].details["also"] == ["content-contradicts-name"]
    assert "packed (UPX)" in found[0].details["signs"]
    assert said(file("/usr/local/bin/x", elf=PACKED, package=UNOWNED, yara=["packed"])) == [
        ("packed", "low"),
        ("suspicious-program", "low"),
    ]
    assert said(file("/usr/local/bin/x", elf=STATIC, package=UNOWNED, uid=33, yara=["odd"])) == [
        ("odd", "medium"),
        ("suspicious-program", "medium"),
    ]


def test_a_packed_program_is_not_hidden_by_the_tree_it_lies_in() -> None:
    text: Row = {"mime": "text/plain", "mode": 0o644}
    rows = [file("/tmp/x/README", **text), file("/tmp/x/Makefile", **text), file("/tmp/x/run"), file("/tmp/x/src/b")]
    found = judged(*rows, file("/tmp/x/a", elf=PACKED, package=UNOWNED))
    assert [(one.severity, one.path) for one in found] == [("high", "/tmp/x/a"), ("low", "/tmp/x")]


def test_times_copied_from_a_program_of_the_system_make_an_unowned_one_graver() -> None:
    shell = file("/usr/bin/ls", package=OWNED, mtime="2023-01-02T03:04:05.000000000Z")
    born: Row = {"crtime": "2024-06-01T00:00:00.500000000Z", "ctime": "2024-06-01T00:00:01.000000000Z"}
    copied = file("/usr/bin/syshelper", package=UNOWNED, mtime="2023-01-02T03:04:05.000000000Z", **born)
    [found] = judged(*CLAIMED, shell, copied)
    assert (found.severity, found.details["raised"]) == ("high", "from medium by its signs")
    assert "its time of modification is exactly that of /usr/bin/ls" in found.evidence[0]
    [whole] = judged(*CLAIMED, shell, {**copied, "mtime": "2023-01-02T03:04:06.000000000Z"})
    assert whole.severity == "medium"
    assert "a whole second long before its creation" in whole.evidence[0]


def test_a_module_for_another_kernel_than_its_directory() -> None:
    release = file("/usr/lib/modules/6.1.0-31-amd64", **DIRECTORY)
    module: Row = {"elf": ROOTKIT, "package": UNOWNED, **LIBRARY}
    [found] = judged(release, file("/usr/lib/modules/6.1.0-31-amd64/kernel/drivers/x/d.ko", **module))
    assert (found.rule, found.severity) == ("unowned-kernel-module", "high")
    assert "lies among modules of another" in found.evidence[-1]
    signed: Row = {**module, "elf": {"module": {"vermagic": "6.1.0-31-amd64 SMP", "signed": True}}}
    own = [
        file(f"/usr/lib/modules/6.1.0-31-amd64/kernel/{number}.ko", **{**signed, "package": OWNED}) for number in "ab"
    ]
    unsigned: Row = {**module, "elf": {"module": {"vermagic": "6.1.0-31-amd64 SMP", "signed": False}}}
    [found] = judged(release, *own, file("/usr/lib/modules/6.1.0-31-amd64/kernel/x.ko", **unsigned))
    assert (found.severity, found.details["signs"]) == ("medium", ["it is not signed, while most modules are"])


def test_an_immutable_miner_without_a_yara_hit_is_one_finding_with_its_signs() -> None:
    row = file("/usr/bin/syshelper", package=UNOWNED, elf={**STATIC, **PACKED}, attributes=["immutable"])
    found = {one.rule: one for one in judged(*CLAIMED, row)}
    assert set(found) == {"immutable-file", "unowned-program-in-system-directory"}
    assert found["unowned-program-in-system-directory"].severity == "high"
    assert "packed (UPX)" in found["unowned-program-in-system-directory"].evidence[0]
