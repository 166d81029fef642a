"""What the documents say can be typed: commands, options, targets, links and exit statuses are the real ones."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from volforensic import errors
from volforensic.cli.main import application

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND_LINE = ROOT / "docs" / "command-line.md"

ROOT_COMMAND: Any = typer.main.get_command(application)
"""The command tree; its classes belong to typer's inside and carry no types that could be named here."""


def verbs(command: Any = ROOT_COMMAND, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb that does something, with the words that lead to it."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, subcommand in subcommands.items():
        yield from verbs(subcommand, (*path, name))


VERBS = dict(verbs())


def faults(line: str) -> list[str]:
    """Return what in a ``volforensic …`` command line the real command line does not know."""
    words = shlex.split(re.split(r"\s(?:\||>|&&|;)\s?", line)[0], comments=True)[1:]
    command, positional, found = ROOT_COMMAND, 0, []
    while words:
        word = words.pop(0)
        subcommands = getattr(command, "commands", None)
        if word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            option = next((each for each in command.params if name in [*each.opts, *each.secondary_opts]), None)
            if option is None and name != "--help":
                found.append(f"{name} is no option of {command.name}")
            elif option is not None and not equals and not option.is_flag and not getattr(option, "count", False):
                found += [] if words else [f"{name} wants a value"]
                words = words[1:]
        elif subcommands is None:
            positional += 1
        elif word in subcommands:
            command = subcommands[word]
        else:
            return [f"{word} is no verb"]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if positional > len(arguments) and not any(each.nargs == -1 for each in arguments):
        found.append(f"{command.name} takes {len(arguments)} arguments, not {positional}")
    return found


def code(document: Path) -> Iterator[str]:
    """Every line of code in a document: in fences and between backticks."""
    text = document.read_text()
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from (line.strip().removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


COMMANDS = [(document, line) for document in DOCUMENTS for line in code(document) if line.startswith("volforensic ")]


def test_the_readme_shows_the_two_commands_and_triage_on_its_first_screen() -> None:
    screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
    assert all(command in screen for command in ("make demo", "make test", "volforensic triage disk.raw --case "))


@pytest.mark.parametrize(("document", "line"), COMMANDS, ids=[f"{path.name}: {line}" for path, line in COMMANDS])
def test_documented_commands_are_real(document: Path, line: str) -> None:
    assert faults(line) == [], document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_targets_are_real(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in code(document):
        for command in re.findall(r"(?:^|&& )make ([^&#|]*)", line):
            named = {word for word in command.split() if "=" not in word and not word.startswith("-")}
            assert named <= targets, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" not in link and not link.startswith("#"):
            assert (document.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_help_and_an_example_that_parses(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(application, [*path, "--help"])
    assert shown.exit_code == 0
    examples = re.findall(r"Example: (volforensic [^\n]*)", VERBS[path].help or "")
    assert examples, "the verb's docstring wants an Example: line"
    for example in examples:
        assert example.split()[1:][: len(path)] == list(path)
        assert faults(example) == []


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_and_option_is_documented(path: tuple[str, ...]) -> None:
    page = COMMAND_LINE.read_text()
    assert f"`volforensic {' '.join(path)}" in page
    for option in VERBS[path].params:
        if option.param_type_name == "option" and "--help" not in option.opts and not option.hidden:
            long = next(name for name in option.opts if name.startswith("--"))
            assert re.search(rf"`[^`\n]*{re.escape(long)}\b", page), long


def test_every_documented_option_is_real() -> None:
    known = {name for command in [ROOT_COMMAND, *VERBS.values()] for each in command.params
             for name in [*each.opts, *each.secondary_opts]} | {"--help"}  # fmt: skip
    named = {name for line in code(COMMAND_LINE) for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    assert named - known == set()


def test_exit_statuses_are_documented_as_they_are() -> None:
    classes = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.VolforensicError)
    ]
    real = {each.exit_status for each in classes} | {errors.EXIT_COMPLETE, errors.EXIT_PARTIAL, errors.EXIT_FINDINGS}
    for document in (COMMAND_LINE, ROOT / "README.md"):
        rows = {int(status) for status in re.findall(r"^\| (\d+) \|", document.read_text(), re.MULTILINE)}
        assert real <= rows, document.name


@pytest.mark.parametrize(
    "line", ["volforensic no-such-verb", "volforensic triage disk.raw --no-such-option", "volforensic doctor a b c"]
)
def test_a_wrong_command_line_is_seen(line: str) -> None:
    assert faults(line)
