"""Run a verb's work so that whatever ends it is told in one way and becomes an exit status."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from volforensic.cli.standard_output import say
from volforensic.errors import InterruptedRunError, VolforensicError

if TYPE_CHECKING:
    from volforensic.cli.terminal import Terminal


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
    except KeyboardInterrupt:
        terminal.error(interrupted)
        return InterruptedRunError.exit_status
    terminal.close()
    for line in lines:
        say(line)
    return exit_status
