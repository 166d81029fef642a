"""Files whose hash is in a set of known bad ones that the examiner gave."""

from collections.abc import Iterator

from volforensic.detection.judgements import Judgement, Subject
from volforensic.detection.rows import shown


def known_bad_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a critical judgement that names the sets; it does not matter where the file lies or who brought it."""
    known = subject.row.get("known")
    bad = known.get("bad") if isinstance(known, dict) else None
    if not isinstance(bad, list) or not bad:
        return
    also = ""
    if subject.known_good:
        also = ", and at the same time in a set of known good ones: the sets contradict each other"
    words = f"its hash is in the examiner's set of known bad files {shown(bad)}{also}"
    yield Judgement(
        "known-bad-hash", "critical", words, ["T1204.002"], {"sets": [str(name)[:300] for name in bad[:20]]}, []
    )
