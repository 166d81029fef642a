"""What YARA rules demand of the patterns that the gate found: whether a rule may match these bytes."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from volforensic.inventory.rule_conditions import Bytes, Smaller, Unknown


class Numbered(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A pattern of the gate is there."""

    number: int


class Several(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """So many of the parts hold."""

    number: int
    parts: tuple["Demanded", ...]


Demanded = Unknown | Bytes | Smaller | Numbered | Several


class Facts(NamedTuple):
    """A buffer, the patterns that were searched for in it and those that were found."""

    data: bytes
    searched: AbstractSet[int]
    found: AbstractSet[int]


def may_hold(demanded: Demanded, facts: Facts) -> bool:
    """Return whether a demand may hold: False only where it does not for certain."""
    match demanded:
        case Several(number, parts):
            return sum(may_hold(part, facts) for part in parts) >= number
        case Numbered(number):
            return number in facts.found or number not in facts.searched
        case Bytes(offset, end, value, wanted):
            return (facts.data.find(value, offset, end) >= 0) == wanted
        case Smaller(size):
            return len(facts.data) < size
    return True
