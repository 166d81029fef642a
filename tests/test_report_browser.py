"""The report in a real browser: it opens from a file, its script runs, and nothing of the evidence does."""

import shutil
import subprocess
from pathlib import Path

import pytest
from report_sample import HOSTILE, case_facts, view

from volforensic.report.html import render_html
from volforensic.report.model import build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0"),
]
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: install the package chromium to run these")


def open_page(page: str, folder: Path) -> tuple[str, str]:
    """Return the document after its scripts ran, and the browser's log."""
    file = folder / "report.html"
    file.write_text(page, "utf-8")
    done = subprocess.run(
        [str(BROWSER), *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()],
        capture_output=True,
        check=True,
        timeout=120,
        text=True,
    )
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(build_report(case_facts(), [view()]))


def test_the_filter_runs_and_hostile_text_does_not(page: str, tmp_path: Path) -> None:
    document, log = open_page(page, tmp_path)
    assert 'data-ready="yes"' in document
    assert "<title>ACME-42: forensic report</title>" in document
    assert "taken</title>" not in document
    assert document.count("<script") == 1
    assert "<img" not in document
    assert "&lt;script&gt;document.title='taken'" in document
    assert 'id="filter" hidden' not in document
    assert "Content Security Policy" not in log
    assert "CONSOLE" not in log, log


def test_a_script_that_got_in_would_be_refused(page: str, tmp_path: Path) -> None:
    """Shows that the checks above can fail: the policy is what stops an injected script, an event or a style."""
    injected = page.replace("<main", f"{HOSTILE[0]}<img src=x onerror=\"document.title='taken'\"><main", 1)
    document, log = open_page(injected, tmp_path)
    assert "<title>ACME-42: forensic report</title>" in document
    assert "Content Security Policy" in log


def test_the_filter_hides_what_does_not_match(page: str, tmp_path: Path) -> None:
    start = page.index('<meta http-equiv="Content-Security-Policy"')
    open_to_tests = page[:start] + page[page.index(">", start) + 1 :]
    typing = (
        "<script>const field = document.getElementById('filter-text'); field.value = 'KDEVTMPFSI cron';"
        "document.querySelector('#filter input[value=high]').checked = false;"
        "field.dispatchEvent(new Event('input', {bubbles: true}));"
        "document.title = [...document.querySelectorAll('article[data-severity]:not([hidden])')].map(e => e.id).join();"
        "</script></body>"
    )
    document, _ = open_page(open_to_tests.replace("</body>", typing), tmp_path)
    assert "<title>e1-F-0000000000a2</title>" in document
    assert " entries shown" in document
