"""Limits of the examiner's shell: the command ends with the status of its host, not as if it were broken."""

import errno
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from volforensic.cli.guarded import run_guarded
from volforensic.cli.terminal import Terminal


@pytest.fixture(autouse=True)
def _signals_stay() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def status_of(error: Exception) -> int:
    def work() -> tuple[list[str], int]:
        raise error

    with Terminal("none", color=False, quiet=True) as terminal:
        return run_guarded(terminal, work, "")


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EFBIG, "too large"), OSError(errno.EMFILE, "many")])
def test_a_limit_that_is_reached_is_the_hosts(error: Exception) -> None:
    assert status_of(error) == 5


def test_what_is_no_limit_stays_an_error_of_ours() -> None:
    with pytest.raises(OSError, match="odd"):
        status_of(OSError(errno.EBADF, "odd"))


def test_too_few_descriptors_are_told_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    command = [sys.executable, "-m", "volforensic", "triage", str(tmp_path / "disk"), "-c", str(tmp_path / "case")]
    limit = resource.RLIMIT_NOFILE
    found = subprocess.run(
        command, capture_output=True, check=False, preexec_fn=lambda: resource.setrlimit(limit, (12, 12))
    )
    assert found.returncode == 5
    assert b"internal error" not in found.stderr
