"""The verb ``doctor``."""

from typing import Annotated, Literal

import typer

from volforensic.cli.standard_output import say


def examine_host(
    output_format: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="How to print.")] = "table",
) -> None:
    """Say what this host has and lacks: libraries, memory, the kernel's protections, tools.

    Ends with 0 where everything that triage needs is there, else with 5.

    Example: volforensic doctor -f json
    """
    from pathlib import Path  # noqa: PLC0415  # libraries are loaded by the verb that uses them: --help stays quick

    import msgspec  # noqa: PLC0415  # same

    from volforensic import host  # noqa: PLC0415  # same
    from volforensic.errors import HostError  # noqa: PLC0415  # same
    from volforensic.sanitiser import visible  # noqa: PLC0415  # same

    checks = list(host.examine(Path()))
    ready = host.is_ready(checks)
    if output_format == "json":
        say(msgspec.json.format(msgspec.json.encode({"ready": ready, "checks": checks})).decode())
    else:
        for check in checks:
            say(f"{check.status:<9} {check.name:<15} {visible(check.value)}")
            if check.remedy:
                say(f"{'':<25} {check.remedy}")
        say("ready for triage" if ready else "not ready for triage: see what is missing above")
    if not ready:
        raise typer.Exit(HostError.exit_status)
