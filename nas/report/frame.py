"""The frame of every page: one self-contained HTML file, which reads nothing and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from nas.report.markup import text
from nas.report.page_style import SCRIPT, style_sheet

COUNTED = (
    "Accuracy is the share of images classified correctly. Params are trainable parameters. MACs are "
    "multiply-accumulates of convolutions and linear layers for one image."
)


def frame(body: str, *, title: str, footer: str = COUNTED) -> str:
    """Return a whole page.

    Nothing but the page's own script can run in it, and nothing can be loaded: the page forbids both to the browser.

    Args:
        body: HTML of the header and the sections, made by `nas.report.markup`.
        title: of the browser's tab, plain text.
        footer: how its numbers are meant, plain text.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n"
        f"<style>\n{style_sheet()}\n</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f"<footer>{text(footer)}</footer>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def write_page(page: str, path: Path | str) -> None:
    """Write a page to a file, whole or not at all: whoever reads it meanwhile sees the old one or the new one.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)  # there only if something went wrong
