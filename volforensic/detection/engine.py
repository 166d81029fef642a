"""Detection: from stored records and the inventory to findings. It holds no evidence and can be run again on a case."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from volforensic.collection.definitions import Artifact
from volforensic.detection.correlations import Correlations, Files, Records
from volforensic.detection.file_graph import FileGraph
from volforensic.detection.files import file_findings
from volforensic.detection.rules import apply_rules, compile_rules
from volforensic.detection.surroundings import read_surroundings
from volforensic.detection.yara_findings import YaraRules
from volforensic.record import SEVERITIES, Finding, Problem, Row

COMMAND_LISTS = frozenset({"at", "cron", "shell_history"})
"""Artifacts whose files are lists of commands; what YARA finds in such a file is a line of it."""
_SCRIPT_OF_CRON = re.compile(r"/etc/cron\.(?:hourly|daily|weekly|monthly|yearly)/")


def detect(  # noqa: PLR0913 - one parameter for each thing that a case holds
    definitions: Iterable[Artifact],
    records: Records,
    files: Files,
    yara_rules: YaraRules,
    *,
    missing: Iterable[Row] = (),
    carved: Iterable[Row] = (),
    layers: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Finding | Problem]:
    """Yield the problems met and then the findings, the gravest first.

    Args:
        definitions: The artifacts whose records the case holds.
        records: Gives an artifact's records in their order, none where it has none; it may be called again.
        files: Gives the rows of the inventory; it may be called again.
        yara_rules: Metadata of the YARA rules by name, in the order of the rule files.
        missing: Files that packages own and the disk lacks: {path, name, version, manager, is_config}.
        layers: The paths of each container's layers in the inventory, by the container's label, the upper one first.
        carved: Pieces of unallocated space with ``offset``, ``length``, ``kind``, ``yara``, ``matches``, ``sha256``.

    Raises:
        DefinitionError: A rule is wrong.
    """
    artifacts = sorted(definitions, key=lambda artifact: artifact.name)
    check_rules(artifacts)
    graph = FileGraph()
    surroundings = read_surroundings(records("users"))
    judged = file_findings(files(), yara_rules, surroundings, missing=missing, carved=carved)
    outcomes = list(graph.watch(judged))
    correlations = Correlations(graph, records, files, layers or {})
    for artifact in artifacts:
        outcomes += apply_rules(artifact, correlations.watch(artifact.name, records(artifact.name)))
    outcomes = _said_once(outcomes)
    outcomes += correlations.conclude()
    yield from (outcome for outcome in outcomes if isinstance(outcome, Problem))
    yield from sorted((outcome for outcome in outcomes if isinstance(outcome, Finding)), key=_order)


def _said_once(outcomes: list[Finding | Problem]) -> list[Finding | Problem]:
    """Leave out what YARA says of a list of commands when the rules about its lines have found something there.

    A crontab or a history is read line by line, with who and when; YARA sees the same line once more as bytes. Where no
    rule about a line holds (a line that nobody could read), YARA's finding stays.
    """
    told = {
        source
        for outcome in outcomes
        if isinstance(outcome, Finding) and outcome.details.get("artifact") in COMMAND_LISTS
        for source in outcome.details["sources"]
        if not _SCRIPT_OF_CRON.match(source)
    }
    return [
        outcome
        for outcome in outcomes
        if not (isinstance(outcome, Finding) and "yara" in outcome.details and outcome.path in told)
    ]


def check_rules(definitions: Iterable[Artifact]) -> None:
    """Raise a DefinitionError where a rule is wrong: before the evidence is read, not after."""
    for artifact in definitions:
        compile_rules(artifact)


def _order(finding: Finding) -> tuple[int, str, str, int, str]:
    """Order findings by severity, rule and what they cite first (records of one artifact by their number)."""
    first = finding.cites[0] if finding.cites else ""
    name, _, ordinal = first.rpartition(":")
    number = int(ordinal) if ordinal.isdecimal() and len(ordinal) < 19 else 0
    return SEVERITIES.index(finding.severity), finding.rule, name if number else first, number, finding.finding_id
