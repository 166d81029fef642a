"""What is made of all judgements and signs about one file: few findings, of which one lists every sign.

Rules that look at a program's place, name and make often hold together. The gravest of them is told and says what the
others found; findings of other matters (a hash set, a package, privileges, attributes) stay by themselves.
"""

from collections.abc import Iterable, Iterator

from volforensic.detection.judgements import Judgement, Sign, Subject
from volforensic.detection.program_signs import RAISES, judgement_of_signs
from volforensic.detection.rows import cut, shown
from volforensic.record import SEVERITIES, Severity

_PLACES = frozenset(
    {
        "executable-in-temporary-directory",
        "executable-in-hidden-directory",
        "executable-in-device-directory",
        "name-of-kernel-thread",
    }
)
"""Rules that have always been told one by one; each says another thing."""
_FOLDED = frozenset(
    {
        "name-of-system-daemon",
        "program-in-web-root",
        "unowned-program-in-system-directory",
        "unowned-kernel-module",
        "content-contradicts-name",
        "double-extension",
        "owner-without-account",
    }
)
"""Rules that become a part of a graver finding about the same file."""
_OWNER = "owner-without-account"
_OWN_TOPICS = {
    "executable-in-temporary-directory": {"place"},
    "executable-in-hidden-directory": {"place"},
    "executable-in-device-directory": {"place"},
    "name-of-kernel-thread": {"name"},
    "unowned-program-in-system-directory": {"package"},
    "unowned-kernel-module": {"package"},
}
"""What a rule says already: it does not weigh twice."""
_YARA_WEIGHTS = {"medium": 2, "low": 1}
_RAISED: dict[str, tuple[int, Severity]] = {"low": (RAISES + 1, "medium"), "medium": (RAISES, "high")}
"""How much the signs must weigh to raise a severity, and to which; a single sign never raises what is low."""


def raised(severity: str, signs: Iterable[Sign]) -> Severity | None:
    """Return the severity to which signs raise a finding; None where they do not."""
    needed, higher = _RAISED.get(severity, (0, None))
    return higher if sum(sign.weight for sign in signs) >= needed else None


def weighed(subject: Subject, judged: list[Judgement], signs: list[Sign]) -> list[Judgement]:
    """Return the judgements that are told of one file, with the signs in the gravest of those about a program."""
    signs = [*signs, *_yara_signs(judged, signs)]
    told = [judgement for judgement in judged if judgement.rule not in _FOLDED]
    folded = sorted((one for one in judged if one.rule in _FOLDED), key=lambda one: (_rank(one), one.rule == _OWNER))
    lead = min((one for one in told if _leads(one)), key=_rank, default=None)
    if folded and (lead is None or _rank(folded[0]) < _rank(lead)):
        lead = folded.pop(0)
        told.append(lead)
    if lead is None:
        alone = judgement_of_signs(subject, signs)
        return told if alone is None else [*told, alone]
    told[told.index(lead)] = _with_signs(lead, folded, signs)
    return told


def _yara_signs(judged: Iterable[Judgement], signs: list[Sign]) -> Iterator[Sign]:
    """Yield a sign for what YARA found of little weight; a rule of low weight about a known packer says nothing new."""
    packed = any(sign.words.startswith("packed") for sign in signs)
    for judgement in judged:
        weight = _YARA_WEIGHTS.get(judgement.severity, 0) if "yara" in judgement.details else 0
        if weight > packed:
            yield Sign("yara", f"YARA: {shown(judgement.details['yara'])}", weight)


def _leads(judgement: Judgement) -> bool:
    """Say whether a judgement can say what the others found; what YARA finds of little weight is only a sign."""
    return judgement.rule in _PLACES or ("yara" in judgement.details and judgement.severity in {"critical", "high"})


def _rank(judgement: Judgement) -> int:
    return SEVERITIES.index(judgement.severity)


def _with_signs(lead: Judgement, folded: Iterable[Judgement], signs: list[Sign]) -> Judgement:
    own = _OWN_TOPICS.get(lead.rule, set())
    further = [sign for sign in signs if sign.topic not in own]
    also = [judgement.words for judgement in folded]
    words = "; also ".join([lead.words, *also])
    rules = [judgement.rule for judgement in folded]
    if not further and not also:
        return lead
    details = {**lead.details, **({"signs": [sign.words for sign in further]} if further else {})}
    if rules:
        details["also"] = rules
    weighing = [sign for sign in further if sign.topic not in {"yara", "owner", "package"}]
    higher = None if "yara" in lead.details else raised(lead.severity, weighing)
    if higher is not None:
        details["raised"] = f"from {lead.severity} by its signs"
    evidence = [*lead.evidence, *([cut("signs: " + "; ".join(sign.words for sign in further))] if further else [])]
    attack = sorted({*lead.attack, *(technique for judgement in folded for technique in judgement.attack)})
    group = None if any(rule != _OWNER for rule in rules) else lead.group  # what is told with others loses its words
    lead = lead._replace(group=group)
    return lead._replace(
        severity=higher or lead.severity, words=words, details=details, evidence=evidence, attack=attack
    )
