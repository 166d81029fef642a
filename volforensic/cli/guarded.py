"""Run a verb's work so that whatever ends it is told in one way and becomes an exit status."""

import errno
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from volforensic.cli.standard_output import say
from volforensic.errors import HostError, InterruptedRunError, VolforensicError

if TYPE_CHECKING:
    from volforensic.cli.terminal import Terminal

_LIMITS = {
    errno.ENOMEM: "ulimit -v, ulimit -d, or memory itself",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "fs.file-max",
    errno.EFBIG: "ulimit -f",
    errno.EAGAIN: "ulimit -u",
}


def run_guarded(terminal: "Terminal", work: Callable[[], tuple[list[str], int]], interrupted: str) -> int:
    """Do the work, print its lines and return its exit status; errors and interruptions are told by the terminal.

    ``interrupted`` says what to do after an interruption.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):  # a lost connection or a shutdown ends like Ctrl-C: in order
        signal.signal(number, signal.default_int_handler)
    try:
        lines, exit_status = work()
    except VolforensicError as error:
        terminal.error(str(error))
        return error.exit_status
    except (MemoryError, OSError) as error:
        stands_in_the_way = _host_error(error)
        if stands_in_the_way is None:
            raise
        terminal.error(str(stands_in_the_way))
        return stands_in_the_way.exit_status
    except KeyboardInterrupt:
        terminal.error(interrupted)
        return InterruptedRunError.exit_status
    terminal.close()
    for line in lines:
        say(line)
    return exit_status


def _host_error(error: MemoryError | OSError) -> HostError | None:
    """Return the error as one of the host's where a limit of it was reached, None for anything else."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    limit = _LIMITS.get(number or 0)
    if limit is None:
        return None
    return HostError("this host", os.strerror(number or 0).lower(), f"Raise the limit ({limit}) and run it again")
