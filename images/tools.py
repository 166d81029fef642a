"""Runs the filesystem tools of the host, in the C locale and with an environment that says nothing of the host."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin")


class ToolError(RuntimeError):
    """A tool that the host lacks, or that refused: which one, and its own words."""


def find(tool: str) -> str:
    """Return the path of a tool; administrators' folders count also for a user whose PATH lacks them."""
    path = shutil.which(tool, path=os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS]))
    if path is None:
        raise ToolError(f"{tool}: not installed on this host")
    return path


def run(
    command: Sequence[str | Path],
    *,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` with ``text`` on its standard input; raise ToolError where it fails."""
    program, *arguments = map(str, command)
    done = subprocess.run(
        [find(program), *arguments],
        input=text,
        cwd=folder,
        env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.pathsep.join(_FOLDERS), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{program}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done
