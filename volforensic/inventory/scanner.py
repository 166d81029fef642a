"""The edge to yara-x: rules compiled once, bytes scanned, matches as plain values.

yara-x is untyped (Any stays in this module), holds the GIL while it scans and keeps one clock thread a process for its
time limit. A fork does not take that thread along: **a process that has scanned must not fork workers that scan**, for
in them the time limit would never pass. So the parent compiles and hands on ``RuleSet.serialize()``; workers scan.
"""

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from volforensic.errors import DefinitionError
from volforensic.inventory.rule_anchors import Guard, passes
from volforensic.inventory.rule_demands import Facts, may_hold
from volforensic.inventory.rule_gate import Demand, gate_plan
from volforensic.record import Row
from volforensic.record import text as as_text

TIMEOUT_SECONDS = 30
"""Longest time for one buffer; 64 MiB take about 0.1 s."""
MATCHES_PER_PATTERN = 64
"""Matches of one pattern that yara-x looks for (rules that count need more than are kept)."""
STRINGS_PER_RULE = 16
"""Matched strings that are kept of one rule."""
STRING_SIZE = 200
"""Bytes that are kept of one matched string."""
MOST_SETS, MOST_SETS_OF_ELF = 24, 13
"""Sets of the gate worth asking: each takes some 0.12 s for a GB, all rules take 1.5 s for a GB of ELF, else 3 s."""
SMALL = 8192
"""Buffers below this size are searched without the gate."""


class ScanError(Exception):
    """A buffer was not scanned to its end."""


class MatchedString(msgspec.Struct, frozen=True):
    """One place where a rule's pattern matched: the pattern's name, the offset in bytes and the text found there."""

    identifier: str
    offset: int
    text: str


class Match(msgspec.Struct, frozen=True):
    """One rule that matched, with the first places of its patterns; a rule may match without patterns."""

    rule: str
    strings: list[MatchedString] = []


class _Gate(msgspec.Struct, array_like=True, frozen=True):
    """A set of the gate as it is kept: as ``GateSet``, compiled."""

    guard: Guard
    patterns: list[int]
    rules: bytes


class _RuleSetFile(msgspec.Struct, array_like=True, frozen=True):
    """Compiled rules and the gate before them (None: they have none)."""

    rules: bytes
    gate: list[_Gate] | None
    demands: list[Demand]


class _Scanner:
    """One compiled set. What yara-x makes of it is made with the first scan, in the process that scans."""

    def __init__(self, compiled: bytes, most_matches: int) -> None:
        self._compiled = compiled
        self._most_matches = most_matches
        self._scanner: Any = None
        self._errors: tuple[type[Exception], ...] = ()

    def scan(self, data: bytes, timeout: int) -> Any:
        """Return the matching rules of yara-x; errors as ``RuleSet.scan``."""
        if self._scanner is None:
            self._open()
        self._scanner.set_timeout(timeout)
        try:
            return self._scanner.scan(data).matching_rules
        except self._errors as error:
            is_late = isinstance(error, self._errors[0])
            message = f"YARA did not finish within {timeout} s" if is_late else f"YARA failed: {error}"
            raise ScanError(message) from error

    def _open(self) -> None:
        import yara_x  # noqa: PLC0415 - 10 ms and 37 MB that only scanning needs

        self._errors = (yara_x.TimeoutError, yara_x.ScanError)
        self._scanner = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(self._compiled)))
        self._scanner.max_matches_per_pattern(self._most_matches)


class RuleSet:
    """Compiled rules and the scanner over them. One process uses it at a time, one buffer after the other."""

    def __init__(self, stored: _RuleSetFile) -> None:
        """Hold rules as yara-x serialises them, and the gate before them (``rule_gate``)."""
        self._stored = stored
        self._rules = _Scanner(stored.rules, MATCHES_PER_PATTERN)
        gate = stored.gate or []
        self._tests = list(dict.fromkeys(test for one in gate for test in one.guard.tests))
        self._gate: dict[frozenset[int], list[tuple[_Gate, _Scanner]]] = {}
        for one in gate:
            tests = frozenset(map(self._tests.index, one.guard.tests))
            self._gate.setdefault(tests, []).append((one, _Scanner(one.rules, 1)))

    def serialize(self) -> bytes:
        """Return the compiled rules for ``deserialize`` in another process with the same yara-x."""
        return msgspec.msgpack.encode(self._stored)

    @classmethod
    def deserialize(cls, data: bytes) -> "RuleSet":
        """Return the rules that ``serialize`` wrote. Only for bytes of our own: compiled rules are code."""
        return cls(msgspec.msgpack.decode(data, type=_RuleSetFile))

    def scan(self, data: bytes, timeout: int = TIMEOUT_SECONDS) -> list[Match]:
        """Return the rules that match the bytes, in the order of their names.

        Raises:
            ScanError: The time limit (seconds) passed, or yara-x gave up on the bytes.
        """
        if not self._is_worthwhile(data, timeout):
            return []
        found = self._rules.scan(data, timeout)
        return sorted((Match(rule.identifier, _strings(rule, data)) for rule in found), key=lambda match: match.rule)

    def _is_worthwhile(self, data: bytes, timeout: int) -> bool:
        """Return whether a rule may match: small buffers are searched at once, that is cheaper than asking."""
        if self._stored.gate is None or len(data) < SMALL:
            return True
        sets = list(self._sets(data))
        most = MOST_SETS_OF_ELF if data.startswith(b"\x7fELF") else MOST_SETS
        if sum(bool(gate.patterns) for gate, _ in sets) > most:
            return True
        searched: list[int] = []
        found: set[int] = set()
        for gate, scanner in sets:
            searched += gate.patterns
            for rule in scanner.scan(data, timeout):
                numbers = _numbers(gate, rule)
                if not numbers:
                    return True
                found |= numbers
        if not found:
            return False
        facts = Facts(data, set(searched), found)
        demands = (demand for demand in self._stored.demands if not found.isdisjoint(demand.anchors))
        return any(may_hold(demand.condition, facts) for demand in demands)

    def _sets(self, data: bytes) -> Iterator[tuple[_Gate, _Scanner]]:
        """Yield the sets of the gate that these bytes have to pass."""
        failed = {number for number, test in enumerate(self._tests) if not passes(test, data)}
        size = len(data)
        for tests, sets in self._gate.items():
            if failed.isdisjoint(tests):
                for gate, scanner in sets:
                    if gate.guard.limit is None or size < gate.guard.limit:
                        yield gate, scanner


def _numbers(gate: _Gate, rule: Any) -> set[int]:
    """Return the numbers of the patterns of a set that yara-x found; none: a rule of the residue matches."""
    identifiers = [pattern.identifier for pattern in rule.patterns if pattern.matches] if gate.patterns else []
    return {gate.patterns[int(identifier.removeprefix("$_"))] for identifier in identifiers}


def compile_rules(sources: Mapping[str, str | bytes], *, gated: bool = True) -> tuple[RuleSet, list[DefinitionError]]:
    """Compile rule files given as {name: text}; a file that is wrong is left out and gives an error, the others stay.

    Every file has a namespace of its own, so two files may use one rule name. ``include`` is refused: rules are given,
    never opened. ``gated`` builds the gate before the rules: it takes 0.2 s, and saves a third of the scan of texts.
    """
    import yara_x  # noqa: PLC0415 - 10 ms and 37 MB that only scanning needs

    try:
        return _rule_set(sources, gated=gated), []
    except (UnicodeDecodeError, yara_x.CompileError):
        faults = {name: fault for name, source in sources.items() if (fault := _fault(name, source))}
    sound = {name: source for name, source in sources.items() if name not in faults}
    return _rule_set(sound, gated=gated), list(faults.values())


def _rule_set(sources: Mapping[str, str | bytes], *, gated: bool) -> RuleSet:
    """Compile rules and the gate before them; none where yara-x does not take a piece of them as it took the whole."""
    import yara_x  # noqa: PLC0415 - as above

    texts = {name: _text(source) for name, source in sources.items()}
    rules = _compiled(texts)
    plan = gate_plan(texts) if gated else None
    try:
        gate = None if plan is None else [_Gate(one.guard, one.patterns, _compiled(one.sources)) for one in plan.sets]
    except yara_x.CompileError:
        gate = None
    return RuleSet(_RuleSetFile(rules, gate, plan.demands if plan else []))


def _compiled(sources: Mapping[str, str]) -> bytes:
    import yara_x  # noqa: PLC0415 - as above

    compiler = yara_x.Compiler(includes_enabled=False)
    for name, source in sources.items():
        compiler.new_namespace(name)
        compiler.add_source(source, origin=name)
    stream = io.BytesIO()
    compiler.build().serialize_into(stream)
    return stream.getvalue()


def _fault(name: str, source: str | bytes) -> DefinitionError | None:
    """Return what is wrong with a file, compiled alone: a compiler keeps the rules before the wrong one."""
    import yara_x  # noqa: PLC0415 - as above

    try:
        yara_x.Compiler(includes_enabled=False).add_source(_text(source), origin=name)
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        return DefinitionError(f"{name}:{line}", "a YARA rule file must be UTF-8 text")
    except yara_x.CompileError as error:
        return _definition_error(name, str(error))
    return None


def _text(source: str | bytes) -> str:
    return source.decode() if isinstance(source, bytes) else source


def _definition_error(name: str, message: str) -> DefinitionError:
    position = re.search(r"--> (?:[^\n]*):(\d{1,9}):\d{1,9}\n", message)
    summary = message.splitlines()[0] if message else "cannot be compiled"
    thing = f"{name}:{position[1]}" if position else name
    label = re.search(r"\n[ |]{0,80}\^{1,1000} ([^\n]{1,200})", message)
    wrong = f"{summary}: {label[1]}" if label else summary
    if "include statements" in message:
        wrong = "include is refused: name the folder, or each file with --yara"
    return DefinitionError(thing, wrong, f"The rules of {name} are left out until it is mended")


def _strings(rule: Any, data: bytes) -> list[MatchedString]:
    """Return the first places of every pattern in turn, so that one frequent pattern does not crowd out the others."""
    places = [
        (turn, match.offset, match.length, pattern.identifier)
        for pattern in rule.patterns
        for turn, match in enumerate(pattern.matches)
        if turn < STRINGS_PER_RULE
    ]
    kept = sorted((offset, identifier, length) for _, offset, length, identifier in sorted(places)[:STRINGS_PER_RULE])
    return [
        MatchedString(identifier, offset, as_text(data[offset : offset + min(length, STRING_SIZE)]))
        for offset, identifier, length in kept
    ]


_WORD = re.compile(
    r"""//[^\n]*|/\*.*?\*/                     # comments
    |(?:=|\bmatches\b)\s*/(?:[^/\\\n]|\\.)+/    # regular expressions stand after = and matches
    |"(?:[^"\\\n]|\\.)*"
    |[A-Za-z_]\w*|-?\d[\w.]*|[{}:=]""",
    re.DOTALL | re.VERBOSE,
)


def rule_metadata(sources: Mapping[str, str | bytes]) -> dict[str, Row]:
    """Return {rule name: its metadata} of rule files given as {name: text}; yara-x gives metadata only with a match.

    Of two rules of one name the first stays. A file that ``compile_rules`` refuses may give some, all or none.
    """
    metadata: dict[str, Row] = {}
    for source in sources.values():
        text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
        words = (match[0] for match in _WORD.finditer(text) if not match[0].startswith(("//", "/*")))
        for word in words:
            if word == "rule":
                name = next(words, "")
                metadata.setdefault(name, _meta_section(words))
    return metadata


def _meta_section(words: Iterator[str]) -> Row:
    """Read ``: tags { meta: key = value …`` up to the section after it (the YARA manual, "Writing YARA rules")."""
    section: Row = {}
    for word in words:
        if word == "{":
            break
    if next(words, "") != "meta":
        return section
    next(words, "")
    for key in words:
        if next(words, ":") != "=":
            break
        section[key] = _value(next(words, ""))
    return section


def _value(word: str) -> str | int | float | bool:
    if word.startswith('"'):
        return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t", "r": "\r"}.get(escape[1], escape[1]), word[1:-1])
    if word in {"true", "false"}:
        return word == "true"
    try:
        return float(word) if "." in word else int(word[:20], 0)
    except ValueError:
        return word
