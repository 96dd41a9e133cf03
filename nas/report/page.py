"""The report of a run as one self-contained HTML page: it reads nothing and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from nas.report.figure_sections import networks_section, progress_section, tradeoff_section
from nas.report.front_section import front_section
from nas.report.markup import text
from nas.report.overview_sections import headline, repeat_section, spent_section
from nas.report.page_style import SCRIPT, style_sheet
from nas.report.summary import RunSummary
from nas.report.trial_sections import failures_section, lineage_section, trials_section

# In the order in which questions come up: is it good, at what cost, what is it, what else, what went wrong.
SECTIONS = (
    progress_section,
    tradeoff_section,
    front_section,
    networks_section,
    trials_section,
    failures_section,
    lineage_section,
    spent_section,
    repeat_section,
)


def render_report(summary: RunSummary) -> str:
    """Return the page as text.

    The same summary gives the same page. Nothing but the page's own script can run in it, and nothing can be
    loaded: the page forbids both to the browser.
    """
    sections = "".join(section(summary) for section in SECTIONS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{text(summary.name)} - architecture search</title>\n"
        f"<style>\n{style_sheet()}\n</style>\n</head>\n<body>\n<main>\n{headline(summary)}{sections}</main>\n"
        "<footer>Accuracy is the share of images classified correctly. Params are trainable parameters. MACs are "
        "multiply-accumulates of convolutions and linear layers for one image.</footer>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def write_report(summary: RunSummary, path: Path | str) -> None:
    """Write the page to a file, whole or not at all: whoever reads it meanwhile sees the old one or the new one.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    path = Path(path)
    page = render_report(summary)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # there only if something went wrong


__all__ = ["SECTIONS", "RunSummary", "render_report", "write_report"]
