"""The command line as a whole, through the real command: help, what it loads, what it prints and to whom."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, run, server_disk, triage

VERBS = [
    (),
    ("triage",),
    ("verify",),
    ("artifacts",),
    ("artifacts", "list"),
    ("artifacts", "show"),
    ("artifacts", "check"),
    ("doctor",),
]
PRINTING = [("artifacts", "list"), ("artifacts", "show", "cron"), ("artifacts", "check"), ("doctor",)]
HEAVY = ("boto3", "dissect", "jinja2", "magic", "msgspec", "pytsk3", "rich", "ruamel", "yara_x", "zstandard")
MISSING_LIBMAGIC = 'raise ImportError("failed to find libmagic")\n'


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    assert triage(server_disk(folder), folder / "case", "--progress", "none").returncode == 0
    return folder / "case"


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_an_example(verb: tuple[str, ...], option: str) -> None:
    ended = run(*verb, option)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Example: volforensic {' '.join(verb)}".rstrip() in ended.stdout


def test_the_version_is_the_packages() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, "0.1.0\n")


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, volforensic.cli.main; print(*sys.modules, sep='\\n')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.splitlines()}
    assert "typer" in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("triag",), "No such command 'triag'"),
        (("triage",), "Missing"),
        (("verify", "nowhere"), "nowhere: is no case"),
        (("verify", "nowhere", "--head"), "requires an argument"),
        (("artifacts", "show", "corn"), "corn: there is no such artifact"),
        (("artifacts", "check", "nowhere"), "nowhere: no such folder"),
        (("artifacts", "list", "-f", "xml"), "'xml' is not one of"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_is_wrong_on_the_command_line_ends_with_2(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("verb", PRINTING, ids=" ".join)
def test_what_prints_prints_json(verb: tuple[str, ...]) -> None:
    ended = run(*verb, "-f", "json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    json.loads(ended.stdout)


def test_verify_prints_json(case: Path) -> None:
    ended = run("verify", case, "-f", "json")
    facts = json.loads(ended.stdout)
    assert (ended.returncode, facts["intact"], facts["discrepancies"]) == (0, True, [])
    wrong = run("verify", case, "-f", "json", "--head", "0" * 64)
    assert (wrong.returncode, json.loads(wrong.stdout)["intact"]) == (4, False)


@pytest.mark.parametrize("verb", PRINTING, ids=" ".join)
def test_a_reader_who_goes_away_gets_no_traceback(verb: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(*verb, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("verb", PRINTING, ids=" ".join)
def test_a_locale_without_utf_8_prints_everything(verb: tuple[str, ...]) -> None:
    plain = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    ended = run(*verb, env=plain)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.isascii()


def test_a_host_without_libmagic(tmp_path: Path) -> None:
    (tmp_path / "magic.py").write_text(MISSING_LIBMAGIC)
    lacking = environment(PYTHONPATH=str(tmp_path))
    ended = run("doctor", env=lacking)
    assert (ended.returncode, "make system-packages" in ended.stdout) == (5, True)
    ended = triage(server_disk(tmp_path), tmp_path / "case", "--progress", "none", env=lacking)
    assert (ended.returncode, "failed to find libmagic" in ended.stderr) == (5, True)
    assert "volforensic doctor" in ended.stderr
    assert run("artifacts", "list", env=lacking).returncode == 0
