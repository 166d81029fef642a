"""Package proof against what the real tools install: every altered, removed, added, diverted file is named rightly."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from package_runs import image_of, needs, proved, run
from rpm_databases import convert

ENVIRONMENT = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}


def merged_root(root: Path) -> Path:
    """Make an empty tree with the links of a merged /usr and an empty dpkg database."""
    for folder in ("usr/bin", "usr/lib", "usr/sbin", "etc/alternatives", "home", "tmp", "var/log"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    for folder in ("info", "updates", "triggers", "alternatives"):
        (root / "var/lib/dpkg" / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    return root


def dpkg(root: Path, *words: str | Path, program: str = "dpkg") -> None:
    where = ["--root", str(root)] if program == "update-alternatives" else [f"--root={root}"]
    command = [program, *where, *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr


def debian_package(  # noqa: PLR0913 - a package has these parts
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    conffiles: tuple[str, ...] = (),
    links: Mapping[str, str] | None = None,
    fields: str = "Architecture: all\n",
    version: str = "1.0",
) -> Path:
    """Build a .deb as debhelper does: the MD5 sums are those of all files that are no conffiles."""
    tree = folder / f"{name}-{version}"
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    for path, target in (links or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    text = (
        f"Package: {name}\nVersion: {version}\n{fields}Maintainer: Test <test@example.org>\nDescription: for a test\n"
    )
    (control / "control").write_text(text)
    if conffiles:
        (control / "conffiles").write_text("".join(f"/{path}\n" for path in conffiles))
    lines = (
        f"{hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()}  {path}\n"
        for path, content in files.items()
        if path not in conffiles
    )
    (control / "md5sums").write_text("".join(lines))
    run("dpkg-deb", "--root-owner-group", "--build", tree, folder / f"{name}-{version}.deb")
    shutil.rmtree(tree)
    return folder / f"{name}-{version}.deb"


ALPHA = {
    "bin/shell": "in /bin of the package, in /usr/bin of the disk",
    "usr/bin/alpha": "alpha's own",
    "usr/bin/alpha-two": "alpha's second",
    "usr/bin/raised": "owner and mode are overridden",
    "usr/bin/lowered": "its override was undone",
    "usr/lib/alpha/one": "1",
    "usr/lib/alpha/two": "2",
    "usr/lib/alpha/three": "3",
    "usr/lib/alpha/empty": "",
    "etc/alpha/kept.conf": "kept",
    "etc/alpha/changed.conf": "changed",
    "etc/alpha/removed.conf": "removed",
}
CONFFILES = ("etc/alpha/kept.conf", "etc/alpha/changed.conf", "etc/alpha/removed.conf")


@pytest.fixture(scope="module")
def dpkg_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image of a tree where dpkg installed and an intruder was at work."""
    folder = tmp_path_factory.mktemp("dpkg")
    root = merged_root(folder / "root")
    alpha = debian_package(folder, "alpha", ALPHA, conffiles=CONFFILES, links={"usr/bin/other-name": "alpha"})
    beta = debian_package(folder, "beta", {"usr/bin/alpha": "beta's alpha"}, version="2:2.0-1")
    gone = {"etc/gone.conf": "left behind", "usr/bin/gone": "gone"}
    gamma = debian_package(folder, "gamma", gone, conffiles=("etc/gone.conf",))
    bare = debian_package(folder, "bare", {"usr/bin/bare": "its sums are gone"})
    dpkg(root, "-i", alpha, gamma, bare)
    divert = ("--package", "beta", "--divert", "/usr/bin/alpha.real", "--rename", "/usr/bin/alpha")
    dpkg(root, *divert, program="dpkg-divert")
    dpkg(root, "--local", "--rename", "--add", "/usr/bin/alpha-two", program="dpkg-divert")
    dpkg(root, "-i", beta)
    dpkg(root, "-r", "gamma")
    for name, mode in (("raised", "4755"), ("lowered", "0700")):
        dpkg(root, "--update", "--add", "root", "root", mode, f"/usr/bin/{name}", program="dpkg-statoverride")
    for name in ("other", "third"):
        words = ("--install", "/usr/bin/editor", "editor", f"/usr/bin/{name}-name", "10")
        (root / "usr/bin/third-name").touch()
        dpkg(root, *words, program="update-alternatives")
    _intrude(root)
    return image_of(root)


def _intrude(root: Path) -> None:
    (root / "usr/lib/alpha/one").write_text("I")
    (root / "usr/lib/alpha/two").unlink()
    (root / "usr/lib/alpha/three").unlink()
    (root / "usr/lib/alpha/three").symlink_to("/var/three")
    (root / "etc/alpha/changed.conf").write_text("PermitRootLogin yes")
    (root / "etc/alpha/removed.conf").unlink()
    (root / "usr/bin/lowered").chmod(0o4755)
    (root / "usr/bin/alpha-two").write_text("the administrator's, or somebody's")
    (root / "usr/bin/extra").write_text("added")
    (root / "etc/gone.conf").write_text("changed after the package was removed")
    (root / "var/lib/dpkg/info/bare.md5sums").unlink()


@needs("dpkg", "dpkg-deb", "dpkg-divert", "update-alternatives", "mke2fs")
def test_every_file_that_dpkg_installed_is_judged_rightly(dpkg_tree: Path, tmp_path: Path) -> None:
    result = proved(dpkg_tree, tmp_path)
    assert result.problems == []
    assert result.of("altered") == {
        "/usr/lib/alpha/one": "altered",
        "/usr/lib/alpha/three": "altered",
        "/usr/bin/lowered": "altered",
    }
    assert result.rows["/usr/lib/alpha/one"] == {
        "verdict": "altered", "name": "alpha", "version": "1.0", "manager": "dpkg", "by": "md5", "differs": ["digest"],
    }  # fmt: skip
    assert result.rows["/usr/lib/alpha/three"]["differs"] == ["type"]
    assert result.rows["/usr/bin/lowered"]["differs"] == ["mode", "setuid"]
    assert result.of("config changed") == {
        "/etc/alpha/changed.conf": "config changed",
        "/etc/gone.conf": "config changed",
    }
    assert result.gone() == {"/usr/lib/alpha/two": "alpha", "/etc/alpha/removed.conf": "alpha"}
    assert [row["is_config"] for row in result.missing] == [True, False]
    links = {"/lib", "/sbin"}  # /bin is a directory of alpha's list
    added = {"/usr/bin/extra", "/usr/bin/alpha-two", "/usr/bin/third-name", "/var/log/alternatives.log"}
    assert set(result.of("unowned")) == links | added
    assert set(result.of("unverified")) == {"/usr/bin/bare", "/usr/bin/other-name", "/bin"}
    proofs = {path: result.rows[path]["name"] for path in result.of("proved")}
    assert proofs == {
        "/usr/bin/shell": "alpha",
        "/usr/bin/alpha": "beta",
        "/usr/bin/alpha.real": "alpha",
        "/usr/bin/alpha-two.distrib": "alpha",
        "/usr/bin/raised": "alpha",
        "/usr/lib/alpha/empty": "alpha",
        "/etc/alpha/kept.conf": "alpha",
        "/usr/bin/editor": "update-alternatives",
        "/etc/alternatives/editor": "update-alternatives",
    }
    assert result.rows["/usr/bin/alpha"]["version"] == "2:2.0-1"
    assert result.algorithms["/usr/bin/shell"] == {"md5"}
    assert result.algorithms["/usr/bin/extra"] == frozenset()


@needs("dpkg", "dpkg-deb", "mke2fs")
def test_what_dpkg_was_told_not_to_unpack_is_marked(tmp_path: Path) -> None:
    root = merged_root(tmp_path / "root")
    files = {f"usr/share/{name}": name for name in ("doc/alpha/README", "doc/alpha/copyright", "man/man1/alpha.1", "x")}
    (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    rules = "# small\npath-exclude=/usr/share/doc/*\npath-include = /usr/share/doc/*/copyright\n"
    rules += "path-exclude /usr/share/man/*\n"
    (root / "etc/dpkg/dpkg.cfg.d/excludes").write_text(rules)
    (root / "etc/dpkg/dpkg.cfg.d/ignored.bak").write_text("path-exclude=/*\n")
    words = [rule.replace(" = ", "=").replace("exclude ", "exclude=") for rule in rules.splitlines()[1:]]
    dpkg(root, *(f"--{word}" for word in words), "-i", debian_package(tmp_path, "alpha", files))
    (root / "usr/share/x").unlink()
    result = proved(image_of(root), tmp_path)
    assert {row["path"]: row.get("excluded", "") for row in result.missing} == {
        "/usr/share/doc/alpha/README": "path-exclude=/usr/share/doc/*",
        "/usr/share/man/man1/alpha.1": "path-exclude=/usr/share/man/*",
        "/usr/share/x": "",
    }
    assert set(result.of("proved")) == {"/usr/share/doc/alpha/copyright"}
    assert [row.get("is_documentation", False) for row in result.missing] == [True, True, False]
    (database,) = result.databases
    assert (database.missing, database.is_complete) == (1, True)


SPECIFICATION = """
Name: tool
Version: 1.0
Release: 1
Epoch: 2
Summary: for a test
License: none
BuildArch: noarch
%description
For a test
%install
cd %{buildroot}
mkdir -p usr/bin usr/lib/tool etc/tool usr/share/doc/tool var/log
for name in kept altered removed raised owned replaced; do echo $name > usr/bin/$name; done
chmod 755 usr/bin/*
ln -s kept usr/bin/link; ln -s kept usr/bin/turned
for name in kept changed moved; do echo $name > etc/tool/$name.conf; done
echo read me > usr/share/doc/tool/README
touch var/log/tool.log var/log/never.log usr/lib/tool/missing-ok
%files
/usr/bin/*
%attr(4755,root,root) /usr/bin/raised
%config(noreplace) /etc/tool/*
%doc /usr/share/doc/tool/README
%ghost /var/log/tool.log
%ghost /var/log/never.log
%config(missingok) /usr/lib/tool/missing-ok
"""


def rpm(*words: str | Path) -> None:
    debian = ["--force-debian"] if Path("/etc/debian_version").exists() else []  # Debian's own rpm asks for it
    run("rpm", *debian, *words)


@pytest.fixture(scope="module")
def rpm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree where rpm installed without documentation and an intruder was at work."""
    folder = tmp_path_factory.mktemp("rpm")
    (folder / "tool.spec").write_text(SPECIFICATION)
    run("rpmbuild", "--quiet", "-bb", "--define", f"_topdir {folder}", folder / "tool.spec")
    root = folder / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    where = ("--root", root, "--dbpath", "/var/lib/rpm", "--define", "_db_backend sqlite")
    rpm(*where, "-i", "--excludedocs", *folder.glob("RPMS/noarch/*.rpm"))
    bin_folder = root / "usr/bin"
    (bin_folder / "altered").write_text("ALTERED\n")
    (bin_folder / "removed").unlink()
    (bin_folder / "raised").chmod(0o755)
    (bin_folder / "kept").chmod(0o4755)
    os.chown(bin_folder / "owned", 1000, 0)
    (bin_folder / "added").write_text("added")
    (bin_folder / "turned").unlink()
    (bin_folder / "turned").symlink_to("added")
    (bin_folder / "replaced").unlink()
    (bin_folder / "replaced").symlink_to("added")
    (root / "etc/tool/changed.conf").write_text("changed by somebody")
    (root / "etc/tool/moved.conf").unlink()
    (root / "usr/lib/tool/missing-ok").unlink()
    (root / "var/log").mkdir()
    (root / "var/log/tool.log").write_text("a log")
    (root / "var/lib/alternatives").mkdir()
    (root / "var/lib/alternatives/tool").write_text("auto\n/usr/bin/choice\n\n/usr/bin/kept\n10\n")
    (root / "etc/alternatives").mkdir()
    (root / "etc/alternatives/tool").symlink_to("/usr/bin/added")
    (bin_folder / "choice").symlink_to("/etc/alternatives/tool")
    return root


@needs("rpm", "rpmbuild", "mke2fs")
@pytest.mark.parametrize("backend", ["sqlite", "ndb", "berkeley"])
def test_every_file_that_rpm_installed_is_judged_rightly(rpm_root: Path, tmp_path: Path, backend: str) -> None:
    root = tmp_path / "root"
    shutil.copytree(rpm_root, root, symlinks=True)
    os.chown(root / "usr/bin/owned", 1000, 0)
    convert(root / "var/lib/rpm", backend)
    result = proved(image_of(root), tmp_path)
    assert [problem for problem in result.problems if problem.lost] == []
    differences = {path: result.rows[path]["differs"] for path in result.of("altered", "config changed")}
    assert differences == {
        "/usr/bin/altered": ["digest"],
        "/usr/bin/raised": ["mode"],
        "/usr/bin/kept": ["mode", "setuid"],
        "/usr/bin/owned": ["owner"],
        "/usr/bin/turned": ["link target"],
        "/etc/alternatives/tool": ["link target"],
        "/usr/bin/replaced": ["type"],
        "/etc/tool/changed.conf": ["digest"],
    }
    assert result.rows["/usr/bin/altered"] == {
        "verdict": "altered", "name": "tool", "version": "2:1.0-1", "manager": "rpm", "by": "sha256",
        "differs": ["digest"],
    }  # fmt: skip
    assert set(result.of("config changed")) == {"/etc/tool/changed.conf"}
    assert set(result.of("proved")) == {"/usr/bin/link", "/usr/bin/choice", "/etc/tool/kept.conf"}
    assert set(result.of("unowned")) == {"/usr/bin/added", "/etc/passwd"}
    assert set(result.of("unverified")) == {"/var/log/tool.log"}
    assert result.gone() == {"/usr/bin/removed": "tool", "/etc/tool/moved.conf": "tool"}


@needs("rpm", "rpmbuild", "mke2fs")
def test_an_entry_that_was_edited_to_fit_an_altered_file_proves_nothing(rpm_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(rpm_root, root, symlinks=True)
    shipped, found = (hashlib.sha256(data).hexdigest().encode() for data in (b"altered\n", b"ALTERED\n"))
    connection = sqlite3.connect(root / "var/lib/rpm/rpmdb.sqlite")
    ((blob,),) = connection.execute("SELECT blob FROM Packages").fetchall()
    assert shipped in blob
    connection.execute("UPDATE Packages SET blob = ?", (blob.replace(shipped, found),))
    connection.commit()
    connection.close()
    result = proved(image_of(root), tmp_path)
    (problem,) = result.problems
    assert problem.reason == "package tool: its entry in the rpm database was edited or is damaged"
    assert result.rows["/usr/bin/altered"] == {
        "verdict": "unverified", "name": "tool", "version": "2:1.0-1", "manager": "rpm",
    }  # fmt: skip
    assert set(result.of("proved")) == {"/usr/bin/choice"}
