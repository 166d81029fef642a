"""The report as one HTML file that opens offline: evidence text only ever escaped, nothing loaded, nothing evaluated.

The policy in the file allows the one script and the one style sheet that are in it, by their hashes, and nothing
else: https://www.w3.org/TR/CSP3/. Text passes ``sanitiser.visible`` (control, direction and invisible characters) and
then Jinja2's escaping, both in one place: the environment's ``finalize`` and ``autoescape``.
"""

import base64
import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from volforensic.record import SEVERITIES, Row
from volforensic.sanitiser import visible

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def render_html(report: Row) -> str:
    """Return the page for a report as ``build_report`` makes it; the same report gives the same text."""
    style, script = _asset("report.css"), _asset("report.js")
    return (
        _environment()
        .get_template("report.html")
        .render(report=report, style=style, script=script, policy=_policy(style, script), severities=SEVERITIES)
    )


def size_text(size: object) -> str:
    """Write a number of bytes with a unit of 1,024 and, where that rounds, the exact number."""
    if not isinstance(size, int) or isinstance(size, bool):
        return ""
    if abs(size) < 1024:
        return f"{size:,} bytes"
    unit = min((abs(size).bit_length() - 1) // 10, len(_UNITS) - 1)
    return f"{size / (1 << 10 * unit):,.1f} {_UNITS[unit]} ({size:,} bytes)"


def time_text(moment: object) -> str:
    """Write an ISO 8601 time for reading: a blank for the T and no zeros after the second."""
    if not isinstance(moment, str):
        return ""
    day, _, rest = moment.partition("T")
    seconds, point, fraction = rest.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{day} {seconds}{point if fraction else ''}{fraction}Z" if rest else moment


def standing(item: Row, artifacts: list[str]) -> str:
    """Return how well these artifacts of an evidence item were read: ``auth_log: complete; lastlog: absent``."""
    statuses: dict[str, list[str]] = {}
    contained: dict[str, list[str]] = {}
    for row in item["coverage"]["listed"]:
        known = (contained if "container" in row else statuses).setdefault(row["artifact"], [])
        if row["status"] not in known:
            known.append(row["status"])
    inside = {name: f" (in containers: {', '.join(found)})" for name, found in contained.items() if found != ["absent"]}
    return "; ".join(
        f"{name}: {', '.join(statuses.get(name, ['not looked for']))}{inside.get(name, '')}" for name in artifacts
    )


def quoted(text: str) -> str:
    """Return the text as one word of a shell command."""
    return shlex.quote(text)


def value_text(value: object) -> str:
    """Write a plain value for reading: lists with commas, objects as ``key: value``, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {value_text(item)}" for key, item in value.items())
    return "" if value is None else str(value)


def number_text(number: object) -> str:
    """Write an integer with thousands separated; anything else as it is."""
    return f"{number:,}" if isinstance(number, int) else value_text(number)


def offset_text(offset: object) -> str:
    """Write a byte offset in hexadecimal, as dumps show it."""
    return f"0x{offset:08x}" if isinstance(offset, int) else value_text(offset)


def _environment() -> "Environment":
    # Jinja2 costs 46 ms to import: only a command that writes a report pays for it
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "size": size_text,
        "time": time_text,
        "value": value_text,
        "number": number_text,
        "offset": offset_text,
        "quoted": quoted,
    }
    environment.globals["standing"] = standing
    return environment


def _shown(value: object) -> object:
    if value is None:
        return ""
    # the output of a macro and our own style and script are markup already; every other text is data
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
