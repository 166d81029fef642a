"""The verb ``artifacts``: what volforensic looks for, and whether definitions are sound."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from volforensic.cli.standard_output import say

if TYPE_CHECKING:
    from volforensic.collection.definitions import Definition

application = typer.Typer(
    no_args_is_help=True,
    help="List, show and check the definitions of what is looked for.\n\nExample: volforensic artifacts list",
)

Format = Annotated[
    Literal["table", "json"], typer.Option("-f", "--format", help="How to print: for people or programs.")
]
Folders = Annotated[
    list[Path] | None,
    typer.Option("--artifacts", metavar="DIR", help="A further folder of definitions; may be repeated."),
]


@application.command("list")
def list_definitions(output: Format = "table", artifacts: Folders = None) -> None:
    """List the artifacts: their names, how many rules they have, what they are.

    Example: volforensic artifacts list
    """
    from volforensic.collection.loader import load_definitions  # noqa: PLC0415 - keeps --help fast

    definitions = load_definitions(artifacts or [])
    if output == "json":
        _print_json([_summary(definition) for definition in definitions])
        return
    width = max((len(definition.artifact.name) for definition in definitions), default=0)
    for definition in definitions:
        artifact = definition.artifact
        _print(f"{artifact.name:<{width}}  {len(artifact.detect):>3} rules  {artifact.doc.strip().splitlines()[0]}")


@application.command("show")
def show_definition(
    name: Annotated[str, typer.Argument(help="The artifact's name, as 'artifacts list' prints it.")],
    output: Format = "table",
    artifacts: Folders = None,
) -> None:
    """Show one artifact: where it lies, its fields, its rules.

    Example: volforensic artifacts show cron
    """
    from volforensic.collection.loader import load_definitions  # noqa: PLC0415 - keeps --help fast
    from volforensic.errors import UsageError  # noqa: PLC0415 - same

    definitions = {definition.artifact.name: definition for definition in load_definitions(artifacts or [])}
    if name not in definitions:
        raise UsageError(name, "there is no such artifact", f"There are: {', '.join(definitions)}")
    definition = definitions[name]
    if output == "json":
        _print_json({**_summary(definition), "definition": definition.artifact})
        return
    for line in _lines(definition):
        _print(line)


@application.command("check")
def check_folder(
    directory: Annotated[
        Path | None, typer.Argument(help="A folder of definitions; without it, the built-in ones.")
    ] = None,
    output: Format = "table",
) -> None:
    """Check definitions: their shape, and that their examples give the records and findings they say.

    Prints each fault and warning on a line of its own; ends with status 2 where there is a fault.

    Example: volforensic artifacts check my-artifacts/
    """
    from volforensic.detection.definition_check import check_definitions  # noqa: PLC0415 - keeps --help fast

    remarks = list(check_definitions(directory))
    faults = [remark for remark in remarks if remark.kind == "fault"]
    if output == "json":
        _print_json([remark._asdict() for remark in remarks])
    else:
        for remark in remarks:
            _print(f"{remark.file}: {remark.kind}: {remark.text}")
        _print(f"{_counted(len(faults), 'fault')}, {_counted(len(remarks) - len(faults), 'warning')}")
    if faults:
        raise typer.Exit(2)


def _summary(definition: "Definition") -> dict[str, Any]:
    artifact = definition.artifact
    return {
        "name": artifact.name,
        "doc": artifact.doc,
        "file": str(definition.path),
        "sha256": definition.sha256,
        "built_in": definition.built_in,
        "rules": [rule.name for rule in artifact.detect],
    }


def _lines(definition: "Definition") -> list[str]:
    artifact = definition.artifact
    lines = [
        artifact.name,
        f"  {artifact.doc.strip()}",
        f"  {definition.path} (SHA-256 {definition.sha256})",
        "Sources",
    ]
    for source in artifact.sources:
        where = ", ".join(source.paths) or f"follow {source.follow}"
        lines.append(f"  {where}: {source.parser or f'lines {source.lines}'}")
    lines += ["Fields", *(f"  {name}: {kind}" for name, kind in artifact.fields.items())]
    lines += ["Rules", *(f"  {rule.severity:<8}  {rule.name}  {' '.join(rule.attack)}" for rule in artifact.detect)]
    return [*lines, "References", *(f"  {reference}" for reference in artifact.references)]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print(line: str) -> None:
    from volforensic.sanitiser import visible  # noqa: PLC0415 - keeps --help fast

    say(visible(line))


def _print_json(value: Any) -> None:
    import msgspec  # noqa: PLC0415 - keeps --help fast

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
