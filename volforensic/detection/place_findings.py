"""Programs in places or with names of malware: temporary, hidden and device directories, names of kernel threads."""

from collections.abc import Iterator

from volforensic.detection import places
from volforensic.detection.judgements import Judgement, Subject, article
from volforensic.detection.temporary_trees import RULE as TEMPORARY_RULE
from volforensic.record import Severity


def place_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield what place and name of a program say; what is known to be good may lie and be named as it likes.

    A package's word is taken for a hidden directory only: nothing that a distribution ships lies in /tmp or is named
    as a kernel thread, and the database that says so lies on the same disk.
    """
    if subject.known_good:
        return
    path, kind, name = subject.inner, subject.kind, subject.name
    likeness = places.kernel_thread_name(name) if kind != "library" else ""
    if likeness:
        words = f"{article(kind)} {likeness} the name of a kernel thread ({name}), which is never a file"
        yield _place("name-of-kernel-thread", "high", words, ["T1036.005"])
    directory = places.temporary_directory(path)
    if directory is not None:
        if kind != "library":
            yield _temporary_judgement(path, directory, kind, contained=subject.contained)
        return
    if path.startswith("/dev/") and name != "MAKEDEV":
        words = f"{article(kind)} lies under /dev, where only device nodes belong"
        yield _place("executable-in-device-directory", "high", words, ["T1564.001"])
        return
    hidden = None if subject.settled else places.hidden_part(path)
    if hidden is not None:
        where = "is itself hidden" if hidden == name else f"lies in a hidden directory ({hidden})"
        yield _place("executable-in-hidden-directory", "medium", f"{article(kind)} {where}", ["T1564.001"])


def _temporary_judgement(path: str, directory: str, kind: str, *, contained: bool) -> Judgement:
    hidden = "/." in path
    severity: Severity = "high" if hidden or directory.endswith("/shm/") else "medium"
    if severity == "medium" and (kind == "script" or contained or places.is_build_leftover(path, directory)):
        severity = "low"
    words = f"{article(kind)} lies in {directory}, where every account may write"
    if hidden:
        words += ", under a hidden name"
    return _place(TEMPORARY_RULE, severity, words, ["T1036.005", "T1564.001"] if hidden else [])


def _place(rule: str, severity: Severity, words: str, attack: list[str]) -> Judgement:
    return Judgement(rule, severity, words, attack, {}, [])
