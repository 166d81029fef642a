"""Standard output, whatever its encoding; and streams that nobody reads any more."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from volforensic.errors import HostError


def say(text: str = "") -> None:
    """Print a line; what the encoding lacks is escaped. A reader who has gone (``| head``) does not end the command.

    Raises:
        HostError: The line cannot be written, as on a full disk: a result that is cut must not look whole.
    """
    stream = sys.stdout
    if stream is None:  # closed by whoever started the command
        return
    try:
        stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        discard_the_rest(stream)
    except OSError as error:
        discard_the_rest(stream)
        raise HostError("standard output", (error.strerror or str(error)).lower(), "Write it elsewhere") from error


def as_text(argument: str) -> str:
    """Return what was typed as text: in a locale without UTF-8, Python has its bytes as halves of surrogate pairs."""
    return os.fsencode(argument).decode("utf-8", "backslashreplace")


def discard_the_rest(stream: TextIO) -> None:
    """Send what follows nowhere: what is still held back would end the interpreter with an error of its own."""
    with suppress(OSError, ValueError):  # a stream without a descriptor holds nothing back
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
