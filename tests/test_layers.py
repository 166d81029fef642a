"""The house rules that can be read off the source: which module may import which, who prints, who writes, how long."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "volforensic"

LAYERS = [
    {"cli", "__main__"},
    {"triage", "hashing", "acquisition", "batch"},
    {
        "recording",
        "reporting",
        "items",
        "preload",
        "file_pass",
        "file_stages",
        "sources",
        "survey",
        "unlocking",
        "voice",
    },
    {"report"},
    {"detection"},
    {"collection"},
    {"inventory"},
    {"case", "device", "aws"},
    {"evidence", "host"},
    {"sandbox"},
    {"sanitiser", "record", "errors", "medium"},
]
"""From the top down: a module imports from its own layer and from those below."""

STAGES = {"inventory", "collection", "detection"}
BEYOND_STAGES = {"case", "aws", "device", "cli", "triage", "recording", "reporting", "items"}
"""Stages take what they need and yield rows: they know neither the case, nor the cloud, nor the terminal."""

LONGEST_FILE = 320
LONGEST_FUNCTION = 45
LONGER: dict[str, str] = {
    "volforensic/cli/triage.py:triage_sources": "one parameter an option of the command line",
    "volforensic/cli/hash.py:hash_files": "same",
}
"""``path`` or ``path:function`` that may be longer, with the reason."""

PRINTING_NAMES = {"print", "breakpoint", "input"}
PRINTING_LIBRARIES = {"rich", "typer"}
WRITING_METHODS = {"write_text", "write_bytes", "mkdir", "unlink", "touch", "symlink_to", "rmdir"}
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"}
WRITERS = {"case": "the case folder is what the tool writes", "sandbox": "workers write rows to pipes"}
DISCARDERS = {"volforensic.cli.standard_output": "sends to /dev/null what nobody reads any more"}


def module_paths() -> dict[str, Path]:
    paths = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = module_paths()
TREES = {name: ast.parse(path.read_bytes()) for name, path in MODULES.items()}


def room(module: str) -> str:
    """The first name below the package: the layer's unit."""
    return module.split(".")[1] if "." in module else ""


def imported_names(name: str, tree: ast.AST, *, is_package: bool) -> Iterator[str]:
    """Every dotted name that the module imports anywhere in it, functions and TYPE_CHECKING blocks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                kept = len(parts) - node.level + is_package
                base = ".".join([*parts[:kept], *base.split(".")]).rstrip(".")
            for alias in node.names:
                yield f"{base}.{alias.name}"


def internal_imports(name: str) -> set[str]:
    """Modules of the package that this one imports, with the packages whose ``__init__`` runs on the way."""
    found: set[str] = set()
    for dotted in imported_names(name, TREES[name], is_package=MODULES[name].stem == "__init__"):
        parts = dotted.split(".")
        if parts[0] == PACKAGE:
            found |= {".".join(parts[:count]) for count in range(2, len(parts) + 1)}
    ancestors = {".".join(name.split(".")[:count]) for count in range(1, name.count(".") + 2)}
    return (found & MODULES.keys()) - ancestors


IMPORTS = {name: internal_imports(name) for name in MODULES}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down(name: str) -> None:
    ranks = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
    own = room(name)
    if own == "":
        assert IMPORTS[name] == set(), "the package itself imports nothing: everything would load it"
        return
    assert own in ranks, f"{own} has no place in the layers: give it one in DESIGN.md's list and in LAYERS"
    upward = sorted(other for other in IMPORTS[name] if ranks[room(other)] < ranks[own])
    assert upward == [], f"{name} imports from a layer above its own"


@pytest.mark.parametrize("name", sorted(module for module in MODULES if room(module) in STAGES))
def test_stages_know_neither_case_nor_cloud_nor_terminal(name: str) -> None:
    assert {room(other) for other in IMPORTS[name]} & BEYOND_STAGES == set()


def test_no_import_cycle() -> None:
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, "cycle: " + " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for other in sorted(IMPORTS[name]):
                visit(other, [*path, name])
            finished.add(name)

    for name in MODULES:
        visit(name, [])


@pytest.mark.parametrize("name", sorted(module for module in MODULES if room(module) != "cli"))
def test_only_cli_prints(name: str) -> None:
    assert list(printing(name, TREES[name])) == []


def printing(name: str, tree: ast.AST) -> Iterator[str]:
    for library in {dotted.split(".")[0] for dotted in imported_names(name, tree, is_package=False)}:
        if library in PRINTING_LIBRARIES:
            yield f"import {library}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PRINTING_NAMES:
            yield f"line {node.lineno}: {node.func.id}("
        if isinstance(node, ast.Attribute) and node.attr in {"stdout", "stderr"} and ast.unparse(node.value) == "sys":
            yield f"line {node.lineno}: sys.{node.attr}"


@pytest.mark.parametrize(
    "name", sorted(module for module in MODULES if room(module) not in WRITERS and module not in DISCARDERS)
)
def test_only_the_case_writes(name: str) -> None:
    assert list(writing(TREES[name])) == []


def writing(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS | WRITING_METHODS:
            yield f"line {node.lineno}: {node.attr}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"open", "fdopen"}:
            constants = [argument.value for argument in [*node.args[:2], *(keyword.value for keyword in node.keywords)]
                         if isinstance(argument, ast.Constant)]  # fmt: skip
            if any(isinstance(mode, str) and len(mode) <= 3 and set(mode) & set("wax+") for mode in constants):
                yield f"line {node.lineno}: open for writing"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_is_named_like_what_it_exports(name: str) -> None:
    body = TREES[name].body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assert name.rpartition(".")[2] not in defined - {"main"}, "what is imported would depend on the order of imports"


def sources() -> list[Path]:
    return sorted(path for folder in (PACKAGE, "images", "tools") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = len(text.splitlines())
    assert relative in LONGER or lines <= LONGEST_FILE, "two files want to be made of it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and f"{relative}:{node.name}" not in LONGER:
            assert code_lines(node) <= LONGEST_FUNCTION, f"{node.name}: two functions want to be made of it"


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted: what a format's source says may take its room."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_the_list_of_longer_ones_holds_nothing_that_is_gone() -> None:
    for entry in LONGER:
        path, _, function = entry.partition(":")
        assert (ROOT / path).is_file()
        assert not function or f"def {function}(" in (ROOT / path).read_text()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import a.b", {"a.b"}),
        ("def f():\n    from volforensic.case import store", {"volforensic.case.store"}),
        ("if TYPE_CHECKING:\n    from volforensic import cli", {"volforensic.cli"}),
        ("from . import listing", {"volforensic.inventory.listing"}),
        ("from ..case import store", {"volforensic.case.store"}),
    ],
)
def test_every_way_of_importing_is_seen(code: str, names: set[str]) -> None:
    found = set(imported_names("volforensic.inventory.walk", ast.parse(code), is_package=False))
    assert found == names


@pytest.mark.parametrize("code", ["print(1)", "import sys\nsys.stderr.write('x')", "from rich.table import Table"])
def test_printing_is_seen(code: str) -> None:
    assert list(printing("volforensic.x", ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["open(p, 'wb')", "p.open('a')", "p.write_bytes(b'')", "os.open(p, os.O_RDWR)", "os.fdopen(1, mode='w')"]
)
def test_writing_is_seen(code: str) -> None:
    assert list(writing(ast.parse(code)))


@pytest.mark.parametrize("code", ["open(p, 'rb')", "p.open()", "open(p)", "'x'.replace('a', 'b')"])
def test_reading_is_not_writing(code: str) -> None:
    assert list(writing(ast.parse(code))) == []
