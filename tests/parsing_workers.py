"""Worker functions for tests/test_collection_stage.py: parsing that dies of one file."""

import ctypes
from collections.abc import Iterator
from typing import Any

from volforensic.collection import parsing
from volforensic.sandbox.worker import Workplace

VICTIM = b"/var/log/auth.log.2"


def dies_in_company(place: Workplace, arguments: Any) -> Iterator[object]:
    """Die after the second batch of rows of the victim, unless it is the only file of the task."""
    yield from _parse(place, arguments, is_fatal=len(arguments["files"]) > 1)


def dies_always(place: Workplace, arguments: Any) -> Iterator[object]:
    """Die after the second batch of rows of the victim."""
    yield from _parse(place, arguments, is_fatal=True)


def _parse(place: Workplace, arguments: Any, *, is_fatal: bool) -> Iterator[object]:
    batches = 0
    for message in parsing.parse_files(place, arguments):
        yield message
        file = arguments["files"][message.index]["file"]
        if isinstance(message, parsing.Rows) and file["path"] == VICTIM:
            batches += 1
            if batches == 2 and is_fatal:
                ctypes.string_at(0)
