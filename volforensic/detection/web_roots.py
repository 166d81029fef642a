"""Programs below web roots, and scripts in directories that visitors upload to (ATT&CK T1505.003, T1105)."""

import re
from collections.abc import Iterator

from volforensic.detection.judgements import Group, Judgement, Subject, article
from volforensic.detection.surroundings import Surroundings
from volforensic.record import Severity

_ROOT = re.compile(
    r"/(?:var/www|srv/(?:http|www|web|ftp)|usr/share/(?:nginx|httpd)/html|usr/local/(?:www|apache2?/htdocs|nginx/html|lsws/[^/]{1,80}/html)"
    r"|var/lib/tomcat[0-9]{0,2}/webapps|opt/(?:bitnami/(?:apache2?|nginx)/htdocs|lampp/htdocs|tomcat[0-9.]{0,10}/webapps)|opt/[^/]{1,80}/htdocs"
    r"|home/[^/]{1,80}/(?:public_html|www|htdocs|domains/[^/]{1,120}/public_html)|www/wwwroot)/"
)
"""Directories that web servers serve, by distribution and by panel."""

_ORDINARY = re.compile(
    r"/(?:node_modules|vendor|\.?v?env|virtualenv|site-packages|dist-packages|bundle|gems|wheels|target/(?:release|debug)"
    r"|\.git|\.cache|\.npm|\.nvm|\.local|\.cargo|\.rustup|\.pyenv|\.rbenv|\.rvm|\.venvs?|\.next|\.nuxt|\.output|prebuilds|runtimes"
    r"|bin|sbin|cgi-bin|libexec|lib|libs|releases|current|build|dist|publish|app|backend|server|WEB-INF|wp-content/plugins"
    r"|wp-content/themes|composer|puppeteer|chrome-linux(?:64)?|wkhtmltox?|drush)/"
)
"""Parts of a path below which applications keep programs of their own: language packages, releases, build output."""

_UPLOADS = re.compile(
    r"/(?:uploads?|uploaded|files|media|images?|img|pictures?|photos?|avatars?|attachments?|userfiles|user_?uploads?|tmp|temp|cache"
    r"|fonts?|css|documents?|galler(?:y|ies)|thumb(?:nail)?s?|static)/",
    re.IGNORECASE,
)
"""Directories for data that visitors bring or that only ever holds data."""
_VISITORS = re.compile(
    r"/(?:wp-content/uploads|uploads?|uploaded|userfiles|user_?uploads?|attachments?|avatars?)/", re.IGNORECASE
)
_SERVER_SCRIPTS = ("text/x-php", "application/x-php", "application/x-httpd-php")
_SERVER_NAME = re.compile(r".{1,255}\.(?:ph(?:p[3-8s]?|tml?|ar|ps)|jspx?|aspx?|ashx|cfm)", re.IGNORECASE)
_ATTACK = ["T1105", "T1505.003"]
_SILENCE_SIZE = 200  # `<?php // Silence is golden.`: what applications put there so that nothing is listed


def web_judgements(subject: Subject, surroundings: Surroundings) -> Iterator[Judgement]:
    """Yield a judgement for a program below a web root, and for a server-side script among what visitors uploaded."""
    root = _ROOT.match(subject.inner)
    if root is None or subject.settled or subject.row.get("type") != "file":
        return
    rest = subject.inner[root.end() - 1 :]
    served = subject.uid in surroundings.web_uids
    if subject.kind in {"executable", "library"}:
        yield from _program(subject, rest, served=served)
    elif _is_server_script(subject) and _VISITORS.search(rest) and _size(subject) > _SILENCE_SIZE:
        words = "a script that the web server runs lies in a directory for what visitors upload" + _owned(served=served)
        group = Group(subject.directory, f"scripts that the web server runs lie in {subject.directory}")
        severity = _severity(among_data=False, served=served)
        yield Judgement("script-in-upload-directory", severity, words, ["T1505.003"], {}, [], group)
    elif subject.kind == "script" and served and _UPLOADS.search(rest) and not _ORDINARY.search(rest):
        words = "a script that may be run lies among data below a web root" + _owned(served=True)
        yield Judgement("program-in-web-root", "medium", words, _ATTACK, {}, [], _group(subject))


def _program(subject: Subject, rest: str, *, served: bool) -> Iterator[Judgement]:
    among_data = _UPLOADS.search(rest) is not None and "/node_modules/" not in rest and "/vendor/" not in rest
    if not among_data and (_ORDINARY.search(rest) or subject.kind == "library"):
        return
    severity = _severity(among_data=among_data, served=served)
    place = "lies among data below a web root" if among_data else "lies below a web root"
    words = f"{article(subject.kind)} {place}" + _owned(served=served)
    yield Judgement("program-in-web-root", severity, words, _ATTACK, {}, [], _group(subject))


def _severity(*, among_data: bool, served: bool) -> Severity:
    if among_data and served:
        return "high"
    return "medium" if among_data or served else "low"


def _group(subject: Subject) -> Group:
    return Group(subject.directory, f"programs lie in {subject.directory}, below a web root")


def _owned(*, served: bool) -> str:
    return " and belongs to the account of the web server, which can have written it" if served else ""


def _is_server_script(subject: Subject) -> bool:
    return _SERVER_NAME.fullmatch(subject.name) is not None or str(subject.row.get("mime")).startswith(_SERVER_SCRIPTS)


def _size(subject: Subject) -> int:
    size = subject.row.get("size")
    return size if type(size) is int else 0
