"""Write requirements.lock and requirements-dev.lock: exact versions with hashes, wheels only, finals only.

One resolution holds for Python 3.11 and later on x86_64 and aarch64 Linux. The resolver (uv) lives in a throw-away
environment made with the Python that runs this file; where it fetches from is the host's own configuration of pip,
and no address of it is written to the files. ``--upgrade`` takes newer versions; without it those in the files stay.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

RESOLVER = "uv>=0.9,<1"
ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"requirements.lock": [], "requirements-dev.lock": ["--extra", "dev", "--constraint", "requirements.lock"]}


def main() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory(prefix="volforensic-lock-") as directory:
        venv.create(directory, with_pip=True)
        python = Path(directory, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", RESOLVER], check=True)
        for name, options in LOCKS.items():
            lock(Path(directory, "bin", "uv"), name, [*options, *sys.argv[1:]])


def lock(resolver: Path, name: str, options: list[str]) -> None:
    """Resolve pyproject.toml with the options into the file of this name."""
    command = [str(resolver), "pip", "compile", "pyproject.toml", "--group", "build", "--output-file", name, "--quiet"]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--only-binary", ":all:"]
    command += ["--prerelease", "disallow", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate"]
    environment = os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
    subprocess.run([*command, *options], check=True, cwd=ROOT, env=environment)
    pins = [line for line in (ROOT / name).read_text().splitlines() if "==" in line and not line.startswith((" ", "#"))]
    print(f"{name}: {len(pins)} packages")


if __name__ == "__main__":
    main()
