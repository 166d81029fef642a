"""The verb ``verify``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from volforensic.cli.standard_output import say


def verify_case(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="The case folder.")],
    head: Annotated[str | None, typer.Option("--head", help="The custody head noted when the run ended.")] = None,
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="How to print.")] = "table",
) -> None:
    """Find every file of a case that was changed, added, removed or cut, and a custody log that does not hold.

    Nothing is written. Ends with 0 where the case is intact, with 4 where it is not. Without --head, a case that was
    made anew as a whole cannot be told from the true one.

    Example: volforensic verify case-17
    """
    import msgspec  # noqa: PLC0415  # libraries are loaded by the verb that uses them: --help stays quick

    from volforensic.case import verification  # noqa: PLC0415  # same
    from volforensic.errors import IntegrityError  # noqa: PLC0415  # same
    from volforensic.sanitiser import visible  # noqa: PLC0415  # same

    found = 0
    rows = []
    for discrepancy in verification.verify(case, head):
        found += 1
        if output_format == "json":
            rows.append(discrepancy)
        else:
            say(f"{discrepancy.kind:<10} {visible(discrepancy.path)}: {visible(discrepancy.detail)}")
    summary = verification.summarise(case)
    if output_format == "json":
        facts = {"intact": not found, **summary._asdict(), "discrepancies": rows}
        say(msgspec.json.format(msgspec.json.encode(facts)).decode())
    elif found:
        say(f"not intact: {found} {'discrepancy' if found == 1 else 'discrepancies'}")
    else:
        say(f"intact: {summary.files} files, {summary.entries} custody entries, head {summary.head}")
    if found:
        raise typer.Exit(IntegrityError.exit_status)
