"""Globs over the inventory: components, depth, homes, classes; hostile patterns end."""

import time
from pathlib import Path

import pytest
from inventory_samples import entry, inventory_of

from volforensic.collection.globbing import Allowance, expand
from volforensic.collection.namespace import Namespace, Tree
from volforensic.inventory.store import Inventory

TREE = [
    "/etc/crontab",
    "/etc/cron.d/a",
    "/etc/cron.d/.placeholder",
    "/etc/cron.d/sub/deep",
    "/var/log/auth.log",
    "/var/log/auth.log.1",
    "/var/log/auth.log.2.gz",
    "/var/log/Auth.log",
    "/var/log/authXlog",
    "/var/log/x[1].log",
    "/logs -> var/log",
    "/root/.bash_history",
    "/home/alice/.bash_history",
    "/home/alice/.ssh/authorized_keys",
    "/srv/gone/.bash_history",
    "/home/bob -> /srv/bob",
    "/srv/bob/.ssh/authorized_keys",
    "/.bash_history",
]
ROOT = (Tree(1, b"", b""),)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/etc/crontab", ["/etc/crontab"]),
        ("/etc/*", ["/etc/cron.d", "/etc/crontab"]),
        ("/etc/cron.d/*", ["/etc/cron.d/.placeholder", "/etc/cron.d/a", "/etc/cron.d/sub"]),
        ("/var/log/auth.log*", ["/var/log/auth.log", "/var/log/auth.log.1", "/var/log/auth.log.2.gz"]),
        ("/var/log/auth?log", ["/var/log/auth.log", "/var/log/authXlog"]),
        ("/var/log/[aA]uth.log", ["/var/log/Auth.log", "/var/log/auth.log"]),
        ("/var/log/[!A-Z]uth.log", ["/var/log/auth.log"]),
        ("/var/log/[^A-Z]uth.log", ["/var/log/auth.log"]),
        ("/var/log/x[[]1].log", ["/var/log/x[1].log"]),
        ("/logs/auth.log", ["/logs/auth.log"]),
        ("/logs/*.gz", ["/logs/auth.log.2.gz"]),
        ("/l*/auth.log", ["/logs/auth.log"]),
        ("/home/*/.ssh/*", ["/home/alice/.ssh/authorized_keys", "/home/bob/.ssh/authorized_keys"]),
        ("/etc/**/deep", ["/etc/cron.d/sub/deep"]),
        ("/etc/**", ["/etc/cron.d", "/etc/cron.d/.placeholder", "/etc/cron.d/a", "/etc/cron.d/sub",
                     "/etc/cron.d/sub/deep", "/etc/crontab"]),
        ("/**/authorized_keys", ["/home/alice/.ssh/authorized_keys", "/srv/bob/.ssh/authorized_keys"]),
        ("/etc/crontab/*", []),
        ("/nowhere/*", []),
        ("/", []),
        ("~", []),
        ("~/", []),
        ("", []),
    ],
)  # fmt: skip
def test_globs(tmp_path: Path, pattern: str, found: list[str]) -> None:
    namespace = Namespace(inventory_of(tmp_path, TREE), ROOT)
    assert sorted(match.host_path.decode() for match in expand(namespace, pattern)) == found


def test_a_home_is_wherever_the_file_is(tmp_path: Path) -> None:
    namespace = Namespace(inventory_of(tmp_path, TREE), ROOT)
    homes = {match.home for match in expand(namespace, "~/.bash_history")}
    assert homes == {b"/", b"/root", b"/home/alice", b"/srv/gone"}
    keys = {(match.home, match.host_path) for match in expand(namespace, "~/.ssh/authorized_key*")}
    assert keys == {
        (b"/home/alice", b"/home/alice/.ssh/authorized_keys"),
        (b"/srv/bob", b"/srv/bob/.ssh/authorized_keys"),
    }
    assert len(list(expand(namespace, "~/.bash_*"))) == 4


def test_homes_on_every_volume_of_the_host(tmp_path: Path) -> None:
    inventory = inventory_of(tmp_path, ["/root/.bash_history"], ["/alice/.bash_history"], ["/eve/.bash_history"])
    namespace = Namespace(inventory, (Tree(1, b"", b""), Tree(2, b"", b"/home")))
    assert [(match.host_path, match.home) for match in expand(namespace, "~/.bash_history")] == [
        (b"/root/.bash_history", b"/root"),
        (b"/home/alice/.bash_history", b"/home/alice"),
    ]


def test_depth_crosses_mounts(tmp_path: Path) -> None:
    inventory = inventory_of(tmp_path, ["/var/log/", "/etc/x"], ["/app/a.log"])
    namespace = Namespace(inventory, (Tree(1, b"", b""), Tree(2, b"", b"/var/log")))
    assert [match.host_path for match in expand(namespace, "/var/**/*.log")] == [b"/var/log/app/a.log"]
    assert [match.host_path for match in expand(namespace, "/*/log/app/*")] == [b"/var/log/app/a.log"]


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        twins = [entry(b"/log/auth.log", inode=inode) for inode in (20, 21)]
        directories = [entry(path, type="directory", inode=2) for path in (b"/", b"/log")]
        inventory.add([*directories, *twins])
        inventory.index()
        found = [match.entry.inode for match in expand(Namespace(inventory, ROOT), "/log/auth.log*")]
    assert found == [20, 21]


def test_links_that_lead_round_do_not_lead_on(tmp_path: Path) -> None:
    namespace = Namespace(inventory_of(tmp_path, ["/a/b/loop -> /a", "/a/b/f"]), ROOT)
    assert [match.host_path for match in expand(namespace, "/a/**/f")] == [b"/a/b/f"]
    assert [match.host_path for match in expand(namespace, "/a/*/*/*/f")] == [b"/a/b/loop/b/f"]


def test_a_pattern_of_many_stars_ends(tmp_path: Path) -> None:
    namespace = Namespace(inventory_of(tmp_path, [f"/d/{'a' * 250}{number}" for number in range(200)]), ROOT)
    before = time.process_time()
    for pattern in (
        "/d/" + "a*" * 2000 + "b",
        "/d/" + "*a" * 100 + "b",
        "/d/" + "[a-z]*" * 100 + "b",
        "/d/" + "?" * 9999,
    ):
        assert list(expand(namespace, pattern)) == []
    assert time.process_time() - before < 20


def test_what_a_pattern_may_look_at_is_bounded(tmp_path: Path) -> None:
    namespace = Namespace(inventory_of(tmp_path, [f"/d/f{number}" for number in range(100)]), ROOT)
    allowance = Allowance(150)
    assert len(list(expand(namespace, "/d/*", allowance))) == 100
    assert not allowance.is_spent
    assert len(list(expand(namespace, "/d/*", allowance))) == 49
    assert allowance.is_spent
    assert list(expand(namespace, "/*/*", allowance)) == []


def test_names_that_are_not_utf_8_match(tmp_path: Path) -> None:
    with Inventory(tmp_path / "inventory.sqlite") as inventory:
        inventory.add([entry(b"/", type="directory"), entry(b"/\xff\xfe"), entry(b"/a\nb*")])
        inventory.index()
        namespace = Namespace(inventory, ROOT)
        assert [match.host_path for match in expand(namespace, "/??")] == [b"/\xff\xfe"]
        assert [match.host_path for match in expand(namespace, "/a*")] == [b"/a\nb*"]
