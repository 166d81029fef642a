"""What is shipped is whole, what is installed is locked, and the set-up says what it does."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]
SHIPPED = ["volforensic", "artifacts", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"]
BUILD = "import sys, setuptools.build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"


def pins(name: str) -> dict[str, Requirement]:
    """The requirements of a lock file, by distribution."""
    lines = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / name).read_text(), re.MULTILINE)
    requirements = [Requirement(line.strip()) for line in lines]
    return {requirement.name.lower().replace(".", "-").replace("_", "-"): requirement for requirement in requirements}


def version(requirement: Requirement) -> Version:
    return Version(next(iter(requirement.specifier)).version)


@pytest.mark.parametrize("name", LOCKS)
def test_only_final_versions_are_locked(name: str) -> None:
    locked = pins(name)
    assert len(locked) > 40
    assert [str(pin) for pin in locked.values() if "dev" in str(pin.specifier) or version(pin).is_prerelease] == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash_and_no_address_is_written(name: str) -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text())
    assert [block for block in blocks if "==" in block and "--hash=sha256:" not in block] == []
    assert "//" not in "".join(blocks)
    assert "--index" not in "".join(blocks)


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_answers_pyproject(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    if name == "requirements-dev.lock":
        asked += project["project"]["optional-dependencies"]["dev"]
    locked = pins(name)
    for line in asked:
        wanted = Requirement(line)
        assert version(locked[wanted.name.lower().replace(".", "-")]) in wanted.specifier, "run make lock"


def test_both_locks_agree() -> None:
    development = pins("requirements-dev.lock")
    assert all(str(development[name]) == str(pin) for name, pin in pins("requirements.lock").items())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is shipped: a build writes beside the sources."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def build(hook: str, source: Path, out: Path) -> Path:
    """Run a hook of the build backend as pip does and return the file it made."""
    out.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, hook, out], cwd=source, check=True, capture_output=True)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("build_wheel", checkout, tmp_path_factory.mktemp("wheel") / "out")


def data_files() -> set[str]:
    files = {
        path.relative_to(ROOT / "artifacts").as_posix() for path in (ROOT / "artifacts").rglob("*") if path.is_file()
    }
    return {f"volforensic/artifacts/{name}" for name in files} | {"volforensic/py.typed"}


def test_the_wheel_holds_every_definition_and_every_module(wheel: Path, checkout: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {path.relative_to(checkout).as_posix() for path in (checkout / "volforensic").rglob("*.py")}
    data = {path.relative_to(checkout).as_posix() for path in (checkout / "volforensic").rglob("*.*") if path.is_file()}
    assert (data_files() | shipped | data) - names == set()
    assert [name for name in names if name.startswith(("tests/", "images/", "artifacts/"))] == []
    assert [name for name in names if name.endswith(".pyc")] == []
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")  # Debian 12's 3.11.2 has no filter to name
def test_a_wheel_made_from_the_source_archive_is_the_same(wheel: Path, checkout: Path, tmp_path: Path) -> None:
    archive = build("build_sdist", checkout, tmp_path / "sdist")
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    again = build("build_wheel", next((tmp_path / "unpacked").iterdir()), tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
        for name in data_files():
            assert first.read(name) == second.read(name)


def test_data_is_found_where_the_wheel_is_installed(wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(wheel, tmp_path, "zip")
    count = (
        "import importlib.resources as r; print(sum(1 for _ in r.files('volforensic').joinpath('artifacts').iterdir()))"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", count],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert int(found.stdout) == sum(1 for _ in (ROOT / "artifacts").iterdir())


def test_a_checkout_finds_its_data_through_the_link() -> None:
    link = ROOT / "volforensic" / "artifacts"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "artifacts"


def run_script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "tools" / name), *arguments]
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | environment
    return subprocess.run(command, env=variables, text=True, capture_output=True, check=False)


def test_find_python_finds_one_that_fits() -> None:
    found = run_script("find-python.sh", PYTHON=sys.executable)
    assert found.returncode == 0
    assert found.stdout.strip() == sys.executable


def test_find_python_says_what_is_wanted_where_there_is_none() -> None:
    found = run_script("find-python.sh", PYTHON="/bin/false")
    assert found.returncode == 5
    assert found.stdout == ""
    assert "Python 3.11 or newer" in found.stderr
    assert "make setup PYTHON=" in found.stderr


@pytest.fixture
def bare_host(tmp_path: Path) -> Path:
    """A PATH with the shell and little more: no Python, no xz, no package manager."""
    for name in ("bash", "sh", "env", "dirname", "cat", "tail", "mktemp", "rm"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def add_program(host: Path, name: str, body: str) -> None:
    program = host / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def test_apt_packages_are_said_and_installed(bare_host: Path) -> None:
    add_program(bare_host, "apt-cache", 'case "$*" in *libmagic1t64*|*zstd*) ;; *) echo "Package: x" ;; esac')
    add_program(bare_host, "apt-get", f'echo "$@" >> {bare_host}/calls')
    add_program(bare_host, "sudo", '"$@"')
    result = run_script("system-packages.sh", "run", "images", PATH=str(bare_host))
    assert result.returncode == 0, result.stderr
    update, install = (bare_host / "calls").read_text().splitlines()
    assert update == "update -qq"
    assert "python3-venv" in install
    assert "xz-utils" in install
    assert "zstd" not in install
    assert install in result.stdout
    assert "zstd is not in this host's repositories" in result.stderr


def test_dnf_takes_a_python_that_is_new_enough_and_goes_on_without_what_it_lacks(bare_host: Path) -> None:
    answers = f'[ "$2" = info ] && {{ [ "$3" != openssh-clients ]; exit; }}; echo "$@" >> {bare_host}/calls'
    add_program(bare_host, "dnf", answers)
    add_program(bare_host, "sudo", '"$@"')
    result = run_script("system-packages.sh", "run", "images", PATH=str(bare_host))
    assert result.returncode == 0, result.stderr
    install = (bare_host / "calls").read_text()
    assert install.startswith("install -y python3.11 ")
    assert " xz" in install
    assert "openssh" not in install
    assert "openssh-clients is not in this host's repositories" in result.stderr


def test_a_failed_installation_ends_with_5_and_its_output(bare_host: Path) -> None:
    add_program(bare_host, "dnf", '[ "$1" = --quiet ] && exit 0; echo "no space left"; exit 1')
    add_program(bare_host, "sudo", '"$@"')
    result = run_script("system-packages.sh", "run", PATH=str(bare_host))
    assert result.returncode == 5
    assert "no space left" in result.stderr


def test_print_only_prints(bare_host: Path) -> None:
    add_program(bare_host, "apt-get", f"touch {bare_host}/called")
    add_program(bare_host, "apt-cache", "exit 0")
    result = run_script("system-packages.sh", "run", PATH=str(bare_host), SYSTEM_DEPS="print")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^(sudo )?apt-get install -y .*python3-venv", result.stdout, re.MULTILINE)
    assert not (bare_host / "called").exists()


def test_skip_is_silent_and_a_host_without_manager_is_told(bare_host: Path) -> None:
    skipped = run_script("system-packages.sh", "run", PATH=str(bare_host), SYSTEM_DEPS="skip")
    assert (skipped.returncode, skipped.stdout, skipped.stderr) == (0, "", "")
    told = run_script("system-packages.sh", "run", PATH=str(bare_host))
    assert told.returncode == 0
    assert "neither apt-get nor dnf" in told.stderr
