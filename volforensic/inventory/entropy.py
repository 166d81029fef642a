"""The edge to yara-x for Shannon's entropy: it counts bytes a hundred times faster than Python can.

A process that has measured must not fork workers that measure (see ``scanner``): workers measure.
"""

import json  # noqa: F401 - yara-x loads it with a rule's first module; a worker that is locked in can load none
import math
from collections import Counter
from typing import Any

_SMALLEST = 512  # below, counting in Python is as fast
_RULE = 'import "math" import "console" rule entropy { condition: console.log(math.entropy(0, filesize)) }'


class EntropyMeter:
    """Holds a compiled rule that measures. One process uses it at a time."""

    def __init__(self) -> None:
        """Hold nothing yet: the rule is compiled (4 ms) in the process that measures, where there is something to."""
        self._scanner: Any = None
        self._said: list[str] = []

    def measure(self, data: bytes) -> float:
        """Return the entropy of the bytes in bits a byte, 0 to 8; 0 for no bytes."""
        if len(data) < _SMALLEST:
            return _counted(data)
        if self._scanner is None:
            self._scanner = self._compiled()
        self._said.clear()
        self._scanner.scan(data)
        return float(self._said[0]) if self._said else _counted(data)

    def _compiled(self) -> Any:
        import yara_x  # noqa: PLC0415 - 10 ms and 37 MB that only measuring and scanning need

        scanner = yara_x.Scanner(yara_x.compile(_RULE))
        scanner.console_log(self._said.append)
        return scanner


def _counted(data: bytes) -> float:
    total = len(data)
    return -sum(count / total * math.log2(count / total) for count in Counter(data).values()) + 0.0
