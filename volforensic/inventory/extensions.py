"""Whether a file's extension says another kind of content than the file has.

The table holds extensions whose meaning is settled, and for each every kind of content that is found under it on plain
servers: alternatives of dpkg are texts that may be called .gz, linker scripts are texts called .so. What is not in the
table says nothing. An empty file says nothing either.
"""

from typing import NamedTuple

from volforensic.inventory.signatures import TEXT_FAMILIES
from volforensic.record import Row

_LONGEST_EXTENSION = 12


class Expectation(NamedTuple):
    """The MIME type that an extension stands for, and the kinds and MIME types that may stand under it."""

    mime: str
    accepted: frozenset[str]


_ZIPS = frozenset({"zip", "jar"})
_UNKNOWN = "other"

_TABLE = """
    jpg jpeg jpe jfif   image/jpeg          image/jpeg
    png                 image/png           image/png
    gif                 image/gif           image/gif
    webp                image/webp          image/webp
    bmp                 image/bmp           image other
    tif tiff            image/tiff          image other
    ico                 image/vnd.microsoft.icon  image other
    svg                 image/svg+xml       text gzip image/svg+xml
    mp3                 audio/mpeg          audio other
    wav                 audio/x-wav         audio other
    ogg oga opus flac   audio/ogg           audio video application/ogg other
    mp4 m4v mov         video/mp4           video audio other
    avi mkv webm        video/x-matroska    video audio other
    ttf otf ttc         font/sfnt           font other
    woff                font/woff           font other
    woff2               font/woff2          font other
    pdf                 application/pdf     pdf
    doc xls ppt         application/msword  text other application/rtf application/msword zip
    docx xlsx pptx      application/vnd.openxmlformats-officedocument  zip other
    odt ods odp         application/vnd.oasis.opendocument             zip other
    rtf                 text/rtf            text other
    txt log             text/plain          text script other
    md rst csv tsv      text/plain          text other
    html htm xhtml      text/html           text script php other
    css                 text/css            text other
    js mjs cjs          application/javascript  text script other
    json                application/json    text other
    xml                 text/xml            text other
    yml yaml toml ini   text/plain          text other
    conf cfg            text/plain          text script other
    php phtml           text/x-php          text script php other
    py                  text/x-script.python    text script other
    pl pm rb lua        text/plain          text script other
    sh bash             text/x-shellscript  text script other
    so ko               application/x-sharedlib  elf text macho application/x-mach-binary
    gz tgz svgz         application/gzip    gzip text
    xz txz              application/x-xz    xz
    bz2 tbz2            application/x-bzip2 bzip2
    zst                 application/zstd    zstd
    lz4                 application/x-lz4   lz4
    7z                  application/x-7z-compressed  7z
    rar                 application/x-rar   rar
    tar                 application/x-tar   tar other
    zip jar war ear whl application/zip     zip
    apk egg             application/zip     zip gzip tar
    deb udeb            application/vnd.debian.binary-package  deb
    rpm                 application/x-rpm   rpm
    pyc                 application/x-bytecode.python  pyc other
"""


def _expectations() -> dict[str, Expectation]:
    table = {}
    for line in _TABLE.strip().splitlines():
        words = line.split()
        place = next(index for index, word in enumerate(words) if "/" in word)
        for extension in words[:place]:
            table[extension] = Expectation(words[place], frozenset(words[place + 1 :]))
    return table


EXPECTATIONS = _expectations()
"""What stands under each extension of the table."""


def mismatch(name: bytes, mime: str | None, family: str) -> Row | None:
    """Return what the name's extension stands for where the content is of another kind; None where all is well.

    Args:
        name: The last component of the path.
        mime: The content's MIME type; None where nobody knows it.
        family: The content's family as the signature table calls it, ``other`` where it does not know it.
    """
    stem, dot, suffix = name.rpartition(b".")
    if not dot or not stem or len(suffix) > _LONGEST_EXTENSION or not suffix.isascii():
        return None
    extension = suffix.decode("ascii").lower()
    expected = EXPECTATIONS.get(extension)
    if expected is None or family == "empty" or {mime, _kind(mime, family)} & expected.accepted:
        return None
    return {"extension": extension, "expected": expected.mime}


def _kind(mime: str | None, family: str) -> str:
    """Return the kind that the table speaks of: a family, the first half of a MIME type, or ``other``."""
    if family in _ZIPS:
        return "zip"
    if family in {"script", "php"}:
        return family
    major = (mime or "").partition("/")[0]
    if family in TEXT_FAMILIES or major in {"text", "message"}:
        return "text"
    if family in {"other", "data"}:
        return major if major in {"image", "audio", "video", "font"} else _UNKNOWN
    return family
