"""A dpkg database byte by byte: every small file, states of packages, damage that must not look like absence."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from collection_runs import write_tree
from package_runs import image_of, proved

from volforensic.inventory.packages import dpkg, dpkg_files, dpkg_status
from volforensic.inventory.packages.accounts import Accounts
from volforensic.inventory.packages.claims import CONFIG, DIRECTORY, FILE, OPTIONAL, SYMLINK, Claim, Claims, Lost

SUM = "d41d8cd98f00b204e9800998ecf8427e"  # of nothing
OTHER_SUM = "0123456789abcdef0123456789abcdef"
DIGEST, OTHER_DIGEST = bytes.fromhex(SUM), bytes.fromhex(OTHER_SUM)


def paragraph(name: str, *, state: str = "install ok installed", more: str = "") -> str:
    return f"Package: {name}\nStatus: {state}\nArchitecture: amd64\nVersion: 1:2.0-1\n{more}Description: a\n b\n\n"


def claims_of(status: str, files: Mapping[str, str], **common: bytes) -> tuple[dict[str, list[Claim]], list[Lost]]:
    """Return the claims by package and what was lost, for a status file and files of info/."""
    found: dict[str, list[Claim]] = {}
    lost = []
    stems = {name.removesuffix(".list") for name in files if name.endswith(".list")}
    shared = dpkg.Common(
        dpkg_files.diversions(common.get("diversions", b"")),
        dpkg_files.overrides(common.get("overrides", b""), Accounts(b"daemon:x:1:1::/:/bin/sh\n", b"mail:x:8:\n")),
        dpkg_files.PathFilter(dpkg_files.path_rules(common.get("rules", b""))),
        set(),
    )
    data = {name: text.encode() for name, text in files.items()}
    packages = dpkg_status.packages(status.encode())
    is_cut = dpkg_status.is_cut(status.encode())
    for one in dpkg.status_claims(packages, stems, data.get, shared, is_cut=is_cut):
        if isinstance(one, Claims):
            found.setdefault(one.package.name, []).extend(one.claims)
        else:
            lost.append(one)
    return found, lost


def test_a_list_sums_and_configuration_make_claims() -> None:
    conffiles = f"Conffiles:\n /etc/a.conf {SUM}\n /etc/old one {OTHER_SUM} obsolete\n /etc/new newconffile\n"
    files = {
        "a.list": "/.\n/etc\n/etc/a.conf\n/usr\n/usr/bin\n/usr/bin/a\n/usr/bin/link\n/etc/new\n",
        "a.md5sums": f"{OTHER_SUM}  usr/bin/a\n{OTHER_SUM}  etc/a.conf\nno sum  usr/bin/link\n",
    }
    found, lost = claims_of(paragraph("a", more=conffiles), files)
    assert lost == []
    assert found == {
        "a": [
            Claim(b"/etc", DIRECTORY),
            Claim(b"/etc/a.conf", FILE, "md5", DIGEST, CONFIG),
            Claim(b"/usr", DIRECTORY),
            Claim(b"/usr/bin", DIRECTORY),
            Claim(b"/usr/bin/a", FILE, "md5", OTHER_DIGEST),
            Claim(b"/usr/bin/link"),
            Claim(b"/etc/new", FILE, flags=CONFIG),
            Claim(b"/etc/old one", FILE, "md5", OTHER_DIGEST, CONFIG | OPTIONAL),
        ]
    }


@pytest.mark.parametrize(
    ("state", "claimed"),
    [
        ("install ok installed", {b"/usr/bin/a": 0, b"/etc/a": CONFIG}),
        ("install ok unpacked", {b"/usr/bin/a": 0, b"/etc/a": CONFIG}),
        ("install ok triggers-pending", {b"/usr/bin/a": 0, b"/etc/a": CONFIG}),
        ("install reinstreq half-installed", {b"/usr/bin/a": OPTIONAL, b"/etc/a": CONFIG | OPTIONAL}),
        ("deinstall ok config-files", {b"/etc/a": CONFIG | OPTIONAL}),
        ("purge ok not-installed", {}),
    ],
)
def test_the_state_decides_what_is_claimed_and_what_may_be_absent(state: str, claimed: dict[bytes, int]) -> None:
    conffiles = f"Conffiles:\n /etc/a {SUM}\n" if "not-installed" not in state else ""
    files = {"a.list": "/usr/bin/a\n/etc/a\n", "a.md5sums": f"{SUM}  usr/bin/a\n"}
    found, lost = claims_of(paragraph("a", state=state, more=conffiles), files)
    assert {claim.path: claim.flags for claim in found.get("a", [])} == claimed
    assert lost == []


def test_each_architecture_has_its_own_list() -> None:
    same = "Multi-Arch: same\n"
    other = paragraph("lib", more=same).replace("amd64", "i386")
    files = {"lib:amd64.list": "/usr/lib/x86/lib.so\n", "lib:i386.list": "/usr/lib/i386/lib.so\n"}
    found, lost = claims_of(paragraph("lib", more=same) + other, files)
    assert {claim.path for claim in found["lib"]} == {b"/usr/lib/x86/lib.so", b"/usr/lib/i386/lib.so"}
    assert lost == []


def test_a_diverted_file_lies_where_it_was_diverted_to() -> None:
    files = {"a.list": "/bin/x\n/bin/y\n", "b.list": "/bin/x\n"}
    diverted = b"/bin/x\n/bin/x.a\nb\n/bin/y\n/bin/y.local\n:\n/bin/cut\n"
    found, _ = claims_of(paragraph("a") + paragraph("b"), files, diversions=diverted)
    assert [claim.path for claim in found["a"]] == [b"/bin/x.a", b"/bin/y.local"]
    assert [claim.path for claim in found["b"]] == [b"/bin/x"]


def test_owner_and_mode_are_those_that_were_overridden() -> None:
    said = b"daemon #12 4750 /bin/x\nnobody-knows mail 755 /bin/y\nroot root rwx /bin/z\nroot root 755\n"
    found, _ = claims_of(paragraph("a"), {"a.list": "/bin/x\n/bin/y\n/bin/z\n"}, overrides=said)
    assert [(claim.uid, claim.gid, claim.mode) for claim in found["a"]] == [
        (1, 12, 0o4750),
        (-1, 8, 0o755),
        (-1, -1, -1),
    ]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (b"/usr/share/doc/a/README", "path-exclude=/usr/share/doc/*"),
        (b"/usr/share/doc/a/copyright", ""),
        (b"/usr/share/locale/de/x", "path-exclude=/usr/share/locale/[!e]*"),
        (b"/usr/share/locale/en/x", ""),
        (b"/usr/bin/a", ""),
    ],
)
def test_the_last_rule_that_matches_decides(path: bytes, rule: str) -> None:
    rules = b"""
# path-exclude=/usr/bin/*
path-exclude=/usr/share/doc/*
path-include "/usr/share/doc/*/copyright"
path-exclude = /usr/share/locale/[!e]*
force-unsafe-io
path-exclude=
"""
    assert dpkg_files.PathFilter(dpkg_files.path_rules(rules)).exclusion(path) == rule


def test_a_rule_made_to_hang_does_not() -> None:
    rules = dpkg_files.path_rules(b"path-exclude=" + b"*a" * 2000 + b"*b\n")
    assert dpkg_files.PathFilter(rules).exclusion(b"/" + b"a" * 4000) == ""


def test_alternatives_name_the_links_and_what_they_may_point_to() -> None:
    head = b"auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/editor.1.gz\n\n"
    data = head + b"/bin/nano\n40\n/m/nano.gz\n/usr/bin/vi\n30\n\n\n"
    claims = dpkg.alternative_claims(b"editor", data).claims
    assert [(claim.path, claim.targets) for claim in claims] == [
        (b"/usr/bin/editor", (b"/etc/alternatives/editor",)),
        (b"/etc/alternatives/editor", (b"/bin/nano", b"/usr/bin/vi")),
        (b"/usr/share/man/editor.1.gz", (b"/etc/alternatives/editor.1.gz",)),
        (b"/etc/alternatives/editor.1.gz", (b"/m/nano.gz",)),
    ]
    assert {claim.kind for claim in claims} == {SYMLINK}


@pytest.mark.parametrize(
    "data", [b"", b"auto", b"auto\n", b"x\n/a\n\n/b\n", b"manual\n/a\n", b"auto\n/a\nb\n" * 9, b"\0" * 99]
)
def test_a_file_of_alternatives_that_is_cut_or_none_gives_what_it_can(data: bytes) -> None:
    assert len(dpkg.alternative_claims(b"x", data).claims) <= 26


def test_a_list_that_is_gone_is_said_and_sums_stand_in_for_it() -> None:
    status = paragraph("a") + paragraph("b")
    found, lost = claims_of(status, {"b.md5sums": f"{SUM}  usr/bin/b\n"})
    assert found["b"] == [Claim(b"/usr/bin/b", FILE, "md5", DIGEST)]
    assert [(one.hides, "MD5 sums stand in" in one.reason) for one in lost] == [(True, False), (False, True)]


def test_a_list_without_its_package_is_read_all_the_same() -> None:
    found, lost = claims_of(
        paragraph("a"), {"a.list": "/a\n", "b:amd64.list": "/b\n", "b:amd64.md5sums": f"{SUM}  b\n"}
    )
    assert found["b"] == [Claim(b"/b", FILE, "md5", DIGEST)]
    assert [one.reason for one in lost] == ["1 packages have a list of files and are not in the status file: b:amd64"]


def test_hostile_paths_are_dropped_or_made_normal() -> None:
    listed = b"/usr/../etc//x\nrelative\n/nul\0byte\n/" + b"a" * 20_000 + b"\n/./dot/.\n//\n/../../..\n"
    assert dpkg_files.file_list(listed) == [b"/etc/x", b"/relative", b"/dot"]


def test_whatever_the_files_hold_nothing_but_claims_and_losses_come_of_them() -> None:
    chance = random.Random(5)  # noqa: S311 - the same damage each time
    conffiles = f"Multi-Arch: same\nConffiles:\n /etc/a.conf {SUM}\n /etc/old {OTHER_SUM} obsolete\n"
    whole = {
        "status": paragraph("a", more=conffiles) + paragraph("b"),
        "a:amd64.list": "/.\n/etc\n/etc/a.conf\n/usr/bin/a\n",
        "a:amd64.md5sums": f"{SUM}  usr/bin/a\n",
        "b.list": "/bin/b\n",
        "diversions": "/bin/b\n/bin/b.real\n:\n",
        "overrides": "root #0 4755 /bin/b\n",
        "rules": "path-exclude=/usr/[a-z]*\npath-include=/usr/bin/*\n",
        "editor": "auto\n/usr/bin/editor\neditor.1\n/m/editor.1\n\n/bin/nano\n40\n/m/nano\n\n",
    }
    for _ in range(500):
        files = {}
        for name, text in whole.items():
            data = bytearray(text.encode())
            for _ in range(chance.randrange(4)):
                data[chance.randrange(len(data))] = chance.choice(b"\n\0 :/.[*\xff0")
            files[name] = data.decode("latin-1")
        status = files.pop("status")
        common = {name: files.pop(name).encode("latin-1") for name in ("diversions", "overrides", "rules")}
        claims, _ = claims_of(status, files, **common)
        links = dpkg.alternative_claims(b"editor", files["editor"].encode("latin-1")).claims
        paths = [claim.path for found in [*claims.values(), links] for claim in found]
        assert all(path.startswith(b"/") and b"\0" not in path for path in paths)


DATABASE: dict[str, bytes | str] = {
    "/bin": "usr/bin",
    "/etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
    "/home/": b"",
    "/usr/bin/a": b"",
    "/usr/bin/stranger": b"nobody shipped this",
    "/var/lib/dpkg/info/a.list": b"/.\n/bin\n/bin/a\n/bin/gone\n/run\n/run/a.pid\n",
    "/var/lib/dpkg/info/a.md5sums": f"{SUM}  bin/a\n{SUM}  bin/gone\n".encode(),
    "/var/lib/dpkg/status": paragraph("a").encode(),
}


def judged(tmp_path: Path, **changes: bytes | None) -> tuple[dict[str, str], list[str]]:
    """Return the verdicts of the two programs, and the problems, where files of the database are others, or gone."""
    changed = {name: changes.get(name.rpartition("/")[2], data) for name, data in DATABASE.items()}
    files = {name: data for name, data in changed.items() if data is not None}
    result = proved(image_of(write_tree(tmp_path / "root", files)), tmp_path)
    programs = ("/usr/bin/a", "/usr/bin/stranger")
    verdicts = {path: result.rows[path]["verdict"] for path in programs if path in result.rows}
    return verdicts, [problem.reason for problem in result.problems]


def test_a_whole_database_knows_the_stranger(tmp_path: Path) -> None:
    assert judged(tmp_path) == ({"/usr/bin/a": "proved", "/usr/bin/stranger": "unowned"}, [])


def test_a_cut_status_calls_nothing_unowned(tmp_path: Path) -> None:
    verdicts, problems = judged(tmp_path, status=paragraph("a").encode()[:-1])
    assert verdicts == {"/usr/bin/a": "proved"}
    assert problems == [
        "the status file ends within a package; no file of this host is called unowned because of it",
    ]


def test_no_status_calls_nothing_unowned(tmp_path: Path) -> None:
    verdicts, problems = judged(tmp_path, status=None)
    assert verdicts == {"/usr/bin/a": "proved"}
    assert any("no status file" in problem for problem in problems)


def test_a_missing_list_calls_nothing_unowned(tmp_path: Path) -> None:
    verdicts, problems = judged(tmp_path, **{"a.list": None, "a.md5sums": None})
    assert verdicts == {}
    assert len(problems) == 1


def test_what_a_running_host_keeps_in_memory_is_not_missing(tmp_path: Path) -> None:
    result = proved(image_of(write_tree(tmp_path / "root", DATABASE)), tmp_path, doubtful=frozenset([0, 1]))
    assert [(row["path"], row["type"], row["uncertain"]) for row in result.missing] == [
        ("/bin/gone", "file", "the filesystem was not read whole")
    ]


def test_a_distroless_image_has_a_paragraph_for_each_package(tmp_path: Path) -> None:
    files = {name: data for name, data in DATABASE.items() if "/dpkg/" not in name}
    files["/var/lib/dpkg/status.d/a"] = paragraph("a").replace("Status: install ok installed\n", "").encode()
    files["/var/lib/dpkg/status.d/a.md5sums"] = f"{SUM}  usr/bin/a\n".encode()
    result = proved(image_of(write_tree(tmp_path / "root", files)), tmp_path)
    assert result.rows["/usr/bin/a"]["verdict"] == "proved"
    assert result.rows["/usr/bin/stranger"]["verdict"] == "unowned"
    assert result.problems == []
