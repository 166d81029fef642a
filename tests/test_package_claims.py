"""Claims of apk and of Python's metadata; claims that meet the entries of the evidence."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collection_runs import write_tree
from inventory_samples import entry
from package_runs import image_of, proved, run
from rpm_databases import ndb, package

from volforensic.collection.namespace import Namespace, Tree
from volforensic.inventory.packages import apk, python_records
from volforensic.inventory.packages.claims import CONFIG, FILE, OPTIONAL, Claim, Claims, Lost, PackageName, normal_path
from volforensic.inventory.packages.databases import find_databases
from volforensic.inventory.packages.matching import Folders, compare
from volforensic.inventory.store import Inventory

EMPTY = hashlib.sha256().hexdigest()


def digest(data: bytes, algorithm: str = "sha256") -> bytes:
    return hashlib.new(algorithm, data).digest()


def q1(data: bytes) -> str:
    return "Q1" + base64.b64encode(digest(data, "sha1")).decode()


APK = f"""C:Q1aaaa
P:busybox
V:1.36.1-r2
A:x86_64
F:bin
R:busybox
a:0:0:4755
Z:{q1(b"busybox")}
R:sh
a:0:0:777
Z:{q1(b"/bin/busybox")}
R:plain
Z:Q2{base64.b64encode(digest(b"plain")).decode()}
F:etc
M:0:0:1777
R:securetty
a:0:42:0640
Z:{q1(b"tty1")}
R:unsummed
Z:Q1not base64

P:next
V:2
F:
R:at-the-root
Z:{q1(b"")}

"""


def test_apk_makes_claims() -> None:
    busybox, following = apk.installed(APK.encode())
    assert isinstance(busybox, Claims)
    assert isinstance(following, Claims)
    assert busybox.package == PackageName("busybox", "1.36.1-r2", "apk")
    read = [(claim.path, claim.algorithm, claim.flags, claim.uid, claim.gid, claim.mode) for claim in busybox.claims]
    assert read == [
        (b"/bin/busybox", "sha1", 0, 0, 0, 0o4755),
        (b"/bin/sh", "sha1", 0, 0, 0, 0o777),
        (b"/bin/plain", "sha256", 0, 0, 0, 0o644),
        (b"/etc/securetty", "sha1", CONFIG, 0, 42, 0o640),
        (b"/etc/unsummed", "", CONFIG, 0, 0, 0o644),
    ]
    assert [claim.path for claim in following.claims] == [b"/at-the-root"]


@pytest.mark.parametrize(("data", "lost"), [(APK[:-1], 1), (APK.replace("P:next\n", ""), 1), (APK, 0), ("", 0)])
def test_a_damaged_database_of_apk_is_said(data: str, lost: int) -> None:
    assert sum(isinstance(one, Lost) for one in apk.installed(data.encode())) == lost


def test_alpine_is_judged(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/bin/busybox": b"busybox",
        "/bin/sh": "/bin/evil",
        "/bin/plain": b"altered",
        "/bin/evil": b"evil",
        "/etc/securetty": b"tty1",
        "/etc/unsummed": b"",
        "/at-the-root": b"",
        "/usr/": b"",
        "/var/": b"",
        "/lib/apk/db/installed": APK.encode(),
    }
    root = write_tree(tmp_path / "root", files)
    (root / "bin/busybox").chmod(0o4755)
    result = proved(image_of(root), tmp_path)
    verdicts = {path: (row["verdict"], row.get("differs")) for path, row in result.rows.items() if "apk" not in path}
    owners = [["owner"], ["owner", "group"], ["group"]]  # not root: this test may run as anybody
    mine = verdicts.pop("/etc/securetty")
    assert mine[0] == "config changed"
    assert {"mode", "group"} & set(mine[1] or [])
    assert verdicts["/bin/evil"] == ("unowned", None)
    assert "digest" in (verdicts["/bin/plain"][1] or [])
    assert verdicts["/bin/sh"] == ("altered", ["link target"])
    assert verdicts["/bin/busybox"] in [("proved", None), *(("altered", names) for names in owners)]
    assert result.algorithms["/bin/busybox"] == {"sha1"}
    assert result.rows["/at-the-root"]["by"] == "sha1"


def record(data: bytes, algorithm: str = "sha256") -> str:
    encoded = base64.urlsafe_b64encode(digest(data, algorithm)).decode().rstrip("=")
    return f"{algorithm}={encoded}"


SITE = b"/srv/env/lib/python3.11/site-packages"


def python_claims(path: bytes, data: bytes) -> list[Claim]:
    (found,) = python_records.record_claims(path, data)
    assert isinstance(found, Claims)
    assert found.package == PackageName("tool_kit", "1.2", "pip")
    return found.claims


def test_a_record_of_a_virtual_environment_makes_claims() -> None:
    lines = [
        f"tool/a.py,{record(b'a')},1",
        '"tool/b,c.py",' + record(b"b", "sha512") + ",1",
        f"../../../bin/tool,{record(b'c')},1",
        "tool/__pycache__/a.cpython-311.pyc,,",
        "tool_kit-1.2.dist-info/RECORD,,",
        f"../../../../../etc/passwd,{record(b'd')},1",
        f"/usr/bin/ls,{record(b'd')},1",
        f"tool/odd.py,md4={'A' * 22},1",
        f"tool/short.py,{record(b'a')[:-2]},1",
        "",
        "tool/only-a-path",
    ]
    data = "\r\n".join(lines).encode()
    claims = {
        claim.path.removeprefix(SITE): claim for claim in python_claims(SITE + b"/tool_kit-1.2.dist-info/RECORD", data)
    }
    assert claims == {
        b"/tool/a.py": Claim(SITE + b"/tool/a.py", FILE, "sha256", digest(b"a")),
        b"/tool/b,c.py": Claim(SITE + b"/tool/b,c.py", FILE, "sha512", digest(b"b", "sha512")),
        b"/srv/env/bin/tool": Claim(b"/srv/env/bin/tool", FILE, "sha256", digest(b"c")),
        b"/tool/__pycache__/a.cpython-311.pyc": Claim(SITE + b"/tool/__pycache__/a.cpython-311.pyc", flags=OPTIONAL),
        b"/tool_kit-1.2.dist-info/RECORD": Claim(SITE + b"/tool_kit-1.2.dist-info/RECORD", flags=OPTIONAL),
        b"/tool/odd.py": Claim(SITE + b"/tool/odd.py", flags=OPTIONAL),
        b"/tool/short.py": Claim(SITE + b"/tool/short.py", flags=OPTIONAL),
        b"/tool/only-a-path": Claim(SITE + b"/tool/only-a-path", flags=OPTIONAL),
    }


def test_an_egg_names_its_files_without_digests() -> None:
    path = SITE + b"/tool_kit-1.2-py3.11.egg-info/installed-files.txt"
    claims = python_claims(path, b"../tool/a.py\nPKG-INFO\n../../../../bin/tool\n../../../../../../etc/passwd\n")
    assert [claim.path for claim in claims] == [
        SITE + b"/tool/a.py",
        SITE + b"/tool_kit-1.2-py3.11.egg-info/PKG-INFO",
        b"/srv/env/bin/tool",
    ]


@pytest.mark.parametrize(
    "path", [b"/tmp/x-1.dist-info/RECORD", b"/a/site-packages/x/RECORD", b"/a/site-packages/RECORD"]
)
def test_a_file_of_that_name_elsewhere_is_no_metadata(path: bytes) -> None:
    assert not python_records.is_record(path)
    assert list(python_records.record_claims(path, b"a,,\n")) == []


def test_a_record_that_is_no_csv_is_said() -> None:
    (lost,) = python_records.record_claims(SITE + b"/a-1.dist-info/RECORD", b'"' + b"x" * 200_000)
    assert isinstance(lost, Lost)
    assert not lost.hides


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/a/b", b"/a/b"),
        (b"a", b"/a"),
        (b"//a//b/", b"/a/b"),
        (b"/a/../../b/.", b"/b"),
        (b"/.hidden", b"/.hidden"),
        (b"", None),
        (b"/a\0b", None),
        (b"/" * 20_000, None),
    ],
)
def test_paths_of_databases_become_normal(path: bytes, normal: bytes | None) -> None:
    assert normal_path(path) == normal


@pytest.mark.parametrize(
    ("claim", "found", "differs"),
    [
        (Claim(b"/a", FILE), {}, ()),
        (Claim(b"/a", FILE), {"type": "symlink", "link_target": b"x"}, ("type",)),
        (Claim(b"/a", "special"), {"type": "fifo"}, ()),
        (Claim(b"/a", "special"), {}, ("type",)),
        (Claim(b"/a", "directory"), {"type": "symlink", "link_target": b"x"}, ()),
        (Claim(b"/a", "directory"), {}, ("type",)),
        (Claim(b"/a", "symlink", targets=(b"x", b"y")), {"type": "symlink", "link_target": b"y"}, ()),
        (Claim(b"/a", "symlink", targets=(b"x",)), {"type": "symlink", "link_target": b"z"}, ("link target",)),
        (Claim(b"/a", algorithm="md5", digest=b"x" * 16), {"type": "directory"}, ("type",)),
        (Claim(b"/a", FILE, mode=0o755), {"mode": 0o755}, ()),
        (Claim(b"/a", FILE, mode=0o755), {"mode": 0o4755}, ("mode", "setuid")),
        (Claim(b"/a", FILE, mode=0o755), {"mode": 0o2755}, ("mode", "setgid")),
        (Claim(b"/a", FILE, mode=0o4755), {"mode": 0o755}, ("mode",)),
        (Claim(b"/a", FILE, uid=0, gid=0), {"uid": 1, "gid": 2}, ("owner", "group")),
        (Claim(b"/a", FILE, capabilities=""), {}, ("capabilities",)),
        (Claim(b"/a", FILE, capabilities="= cap_net_raw+ep"), {}, ()),
        (Claim(b"/a", FILE, capabilities="cap_net_raw=p"), {}, ("capabilities",)),
    ],
)
def test_what_differs_without_the_content(claim: Claim, found: dict[str, Any], differs: tuple[str, ...]) -> None:
    assert compare(claim, entry(b"/a", **found), "ext4", lambda _: "cap_net_raw=ep").differs == differs
    assert compare(claim, entry(b"/a", **found), "ext4", lambda _: None).differs in (differs, ())


def test_a_name_whose_inode_cannot_be_read_is_not_called_altered() -> None:
    claim = Claim(b"/a", FILE, mode=0o700, uid=0, targets=(b"x",))
    assert compare(claim, entry(b"/a", type="unknown", has_inode=False), "ext4", lambda _: None).differs == ()


def test_a_filesystem_without_owners_and_modes_is_not_blamed_for_them() -> None:
    claim = Claim(b"/boot/efi/a", FILE, mode=0o700, uid=0, gid=0, capabilities="")
    found = entry(b"/a", mode=0o777, uid=7, gid=7)
    assert compare(claim, found, "fat", lambda _: None).differs == ()


@pytest.fixture
def two_volumes(tmp_path: Path) -> Iterator[tuple[Inventory, Namespace]]:
    """Return a host whose /usr is a volume of its own, with links of a merged /usr, and one of them absolute."""
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        inventory.add(
            [
                entry(b"/", type="directory"),
                entry(b"/usr", type="directory"),
                entry(b"/bin", type="symlink", link_target=b"usr/bin"),
                entry(b"/lib", type="symlink", link_target=b"/usr/lib"),
                entry(b"/ring", type="symlink", link_target=b"ring/x"),
                entry(b"/usr/hidden", inode=9),
                entry(b"/", volume=2, type="directory"),
                entry(b"/bin", volume=2, type="directory"),
                entry(b"/bin/ls", volume=2, inode=21),
                entry(b"/lib", volume=2, type="directory"),
                entry(b"/lib/deep", volume=2, type="directory"),
                *(entry(b"/lib/deep/%d" % number, volume=2, inode=100 + number) for number in range(500)),
            ]
        )
        inventory.index()
        yield inventory, Namespace(inventory, (Tree(1, b"", b""), Tree(2, b"", b"/usr")))


@pytest.mark.parametrize(
    ("path", "inode"),
    [
        (b"/bin/ls", 21),
        (b"/usr/bin/ls", 21),
        (b"/usr/bin/../bin/ls", 21),
        (b"/lib/deep/499", 599),
        (b"/usr/hidden", 9),
        (b"/ring/x", None),
        (b"/nowhere/x", None),
        (b"/bin/nothing", None),
    ],
)
def test_a_claim_finds_its_file_through_the_links_and_mounts_of_the_evidence(
    two_volumes: tuple[Inventory, Namespace], path: bytes, inode: int | None
) -> None:
    folders = Folders(*two_volumes)
    for _ in range(200):  # a directory that is often asked for is listed once
        found, _ = folders.find(path)
        assert (None if found is None else found.inode) == inode


def test_a_host_without_a_database_has_none(two_volumes: tuple[Inventory, Namespace]) -> None:
    assert list(find_databases(*two_volumes)) == []


def test_accounts_that_are_not_read_whole_cost_no_claim(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {
        "/usr/bin/tool": b"",
        "/var/lib/rpm/Packages.db": ndb([package(b"tool", {b"/usr/bin/tool": EMPTY.encode()})]),
        "/etc/passwd": b"x:x:1:1::/:/bin/sh\n" * 500_000,
        "/home/": b"",
    }
    result = proved(image_of(write_tree(tmp_path / "root", files)), tmp_path)
    reasons = [problem.reason for problem in result.problems]
    assert reasons == ["/etc/passwd: only the first 8388608 bytes are read"]
    assert result.rows["/usr/bin/tool"]["by"] == "sha256"
    assert result.rows["/etc/passwd"] == {"verdict": "unowned"}


def test_a_users_own_record_vouches_for_nobody_elses_files(tmp_path: Path) -> None:
    """Whoever writes a RECORD writes what it says: the file of another owner is not its business."""
    site = "/srv/env/lib/python3.11/site-packages"
    mine, yours = f"{site}/tool/mine.py", f"{site}/tool/yours.py"
    listed = f"tool/mine.py,{record(b'mine')},4\ntool/yours.py,{record(b'yours')},5\n".encode()
    root = write_tree(
        tmp_path / "root",
        {mine: b"mine", yours: b"yours", f"{site}/tool-1.dist-info/RECORD": listed, "/etc/": b"", "/home/": b""},
    )
    image = image_of(root)
    _set_owner(image, f"{site}/tool-1.dist-info/RECORD", 1000)
    _set_owner(image, mine, 1000)
    _set_owner(image, yours, 0)
    result = proved(image, tmp_path)
    assert {path: row["manager"] for path, row in result.rows.items() if path in (mine, yours)} == {mine: "pip"}
    assert result.rows[mine]["verdict"] == "proved"
    assert [database.manager for database in result.databases] == ["pip"]


def _set_owner(image: Path, path: str, owner: int) -> None:
    run("debugfs", "-w", "-R", f"set_inode_field {path} uid {owner}", image)
