"""Names that hide: of dots and blanks, with control or direction characters, twice the same, or with a wrong ending.

ATT&CK T1564.001 (hidden files and directories), T1036.002 (right-to-left override), T1036.007 (double extension),
T1036.008 (masquerade file type).
"""

import re
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Subject, article, is_elf
from volforensic.detection.rows import cut
from volforensic.record import Row, Severity

_DOTS_AND_BLANKS = re.compile(r"(?:[.\s\u00a0\u2000-\u200f\u2060\u3000\ufeff]|\\x[0-9a-f]{2}){1,255}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")
_OVERRIDE = re.compile("[\u202d\u202e]")
_INVISIBLE = re.compile("[\u200b\u2060-\u2064\ufeff\u00ad]")
_MIXED_ALPHABETS = re.compile(
    r"[A-Za-z][\u0391-\u03bb\u03bd-\u03c9\u0400-\u052f]|[\u0391-\u03bb\u03bd-\u03c9\u0400-\u052f][A-Za-z]"
)
"""A Greek (but mu) or Cyrillic letter beside a Latin one: many look the same."""
_ORDINARY_CONTROL = "Icon\r"  # what macOS puts into a folder with a picture of its own

_DOCUMENT = frozenset(
    """
    jpg jpeg png gif bmp ico svg webp tif tiff pdf doc docx xls xlsx ppt pptx odt ods rtf txt csv log md html htm css
    xml json yml yaml mp3 mp4 avi mov mkv wav ogg zip gz tgz xz bz2 rar 7z woff woff2 ttf eot conf cfg ini bak db
    sqlite pem crt key
    """.split()  # noqa: SIM905 - words read better than sixty quoted strings
)
_EXTENSION = re.compile(r".{1,255}\.([A-Za-z0-9]{2,8})", re.DOTALL)
_RUNS = frozenset(
    "sh py pl php phtml php5 jsp jspx elf bin exe run cgi so rb lua jar war aspx".split()  # noqa: SIM905 - as above
)
_DOUBLE = re.compile(
    r".{1,200}\.(?:jpe?g|png|gif|bmp|ico|pdf|docx?|xlsx?|mp[34]|txt)\.(?:php[3-8s]?|phtml|phar|jspx?|aspx?|cgi|elf|exe|scr)",
    re.IGNORECASE | re.DOTALL,
)
_CODE_MIMES = ("text/x-php", "text/x-shellscript", "text/x-python", "text/x-perl", "text/x-script")
_PICTURES = frozenset(
    "jpg jpeg png gif bmp ico webp pdf doc docx xls xlsx mp3 mp4 woff woff2 ttf zip".split()  # noqa: SIM905 - as above
)
_SAMPLES = re.compile(
    r"/(?:testdata|tests?|fixtures?|samples?|examples?|corpus|spec|__tests__|benchmarks?|node_modules|vendor|site-packages|dist-packages|\.git|\.cache|gems)/"
)


def name_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield what a name alone says: of any entry."""
    name = subject.name
    if name.isascii() and name.isprintable() and name[:1] not in {".", " "} and name[-1:] != " ":
        return
    if subject.settled or not name:
        return
    shown = cut(ascii(name))
    hides = _hides(subject, name)
    if hides is not None:
        severity, reason, attack = hides
        group = Group(
            f"{severity}{subject.directory}", f"entries of {cut(subject.directory) or '/'} have names that hide"
        )
        yield Judgement("name-that-hides", severity, f"its name, {shown}, {reason}", attack, {}, [shown], group)


def _hides(subject: Subject, name: str) -> tuple[Severity, str, list[str]] | None:
    """Return severity, reason and techniques; None where a name is only in another language or has a plain dot."""
    directory = subject.row.get("type") == "directory"
    if name in {".", ".."}:
        return "high", "is that of the directory itself or of the one above, which no kernel creates", ["T1564.001"]
    if _DOTS_AND_BLANKS.fullmatch(name):
        severity: Severity = "medium" if subject.contained or not (directory or subject.kind) else "high"
        return severity, "is made of dots and blanks only, so that a listing hides it", ["T1564.001"]
    if _OVERRIDE.search(name):
        return "medium", "turns the direction of writing round, so that it is shown with another ending", ["T1036.002"]
    if "\x1b" in name or "\x9b" in name:
        return "medium", "holds an escape sequence, which a terminal obeys when it lists the directory", ["T1564.001"]
    if _CONTROL.search(name) and name != _ORDINARY_CONTROL:
        return "low", "holds a control character", ["T1564.001"]
    return _hides_program(subject, name) if subject.kind else None


def _hides_program(subject: Subject, name: str) -> tuple[Severity, str, list[str]] | None:
    if name != name.strip():
        return "medium", f"begins or ends with a blank, and it is {article(subject.kind)}", ["T1036.006"]
    if _INVISIBLE.search(name) or _MIXED_ALPHABETS.search(name):
        words = f"mixes alphabets or holds invisible characters, and it is {article(subject.kind)}"
        return "medium", words, ["T1036.005"]
    return None


_NAMES_LIMIT = 1_000_000  # of one directory, as numbers of eight bytes: a directory of more is no server's


class RepeatedNames:
    """Entries of one directory with the same name, which no kernel makes; the walk lists a directory in one piece."""

    def __init__(self) -> None:
        """Start outside of any directory."""
        self._place: tuple[object, object, str] | None = None
        self._names: set[int] = set()

    def judgements(self, subject: Subject) -> Iterator[Judgement]:
        """Yield a judgement for an entry whose name was there before."""
        row = subject.row
        place = (row.get("volume"), row.get("tree"), subject.directory)
        if place != self._place:
            self._place = place
            self._names = set()
        own = hash(subject.name)
        if own in self._names:
            words = "another entry of the same directory has the same name, so that programs see only one of them"
            group = Group(
                subject.directory, f"entries of {cut(subject.directory)} have the name of another entry there"
            )
            yield Judgement("name-given-twice", "medium", words, ["T1564.001"], {}, [], group)
        elif len(self._names) < _NAMES_LIMIT:
            self._names.add(own)


def extension_judgements(subject: Subject) -> Iterator[Judgement]:
    """Yield a judgement where a program or a script has the ending of a document, a picture or an archive."""
    if subject.row.get("type") != "file" or subject.settled:
        return
    match = _EXTENSION.fullmatch(subject.name)
    extension = match[1].lower() if match else ""
    elf = is_elf(subject.row) and subject.row.get("size") != 0
    in_sample = _SAMPLES.search(subject.inner) is not None
    if elf and extension in _DOCUMENT:
        severity: Severity = "low" if in_sample else "high"
        words = f"an ELF file ({article(subject.kind)}) has the ending .{extension} of another kind of file"
        yield Judgement("content-contradicts-name", severity, words, ["T1036.008"], _details(subject.row), [])
    elif extension in _PICTURES and str(subject.row.get("mime")).startswith(_CODE_MIMES) and not in_sample:
        words = f"a script ({cut(str(subject.row.get('mime')))}) has the ending .{extension} of another kind of file"
        yield Judgement("content-contradicts-name", "medium", words, ["T1036.008"], _details(subject.row), [])
    elif (
        _DOUBLE.fullmatch(subject.name)
        and not in_sample
        and not subject.contained
        and (elf or extension in _RUNS or subject.kind)
    ):
        words = "a file that runs has two endings, the first of a document or a picture"
        yield Judgement("double-extension", "low" if not elf else "medium", words, ["T1036.007"], {}, [])


def _details(row: Row) -> dict[str, object]:
    mismatch = row.get("mismatch")
    if not isinstance(mismatch, dict):
        return {}
    return {key: str(mismatch[key])[:100] for key in ("extension", "expected") if mismatch.get(key)}
