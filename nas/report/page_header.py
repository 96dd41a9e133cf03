"""The top of every page: what it is about, its answer in one sentence, the figures behind it, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nas.report.markup import definitions, text

STATUS_TEXTS = {"running": "still running", "finished": "finished", "interrupted": "interrupted"}


@dataclass(frozen=True, slots=True)
class PageHeader:
    """What stands at the top of a page.

    Attributes:
        kind: what the page is about ("Training"), plain text.
        name: of the run, plain text.
        status: whether it goes on, came to its end, or was stopped before.
        title: the answer in one sentence, HTML.
        lead: what belongs to it, HTML.
        answer: lists of the figures, HTML.
        files: what the run left, path -> what it is, plain text.
        asked: what was asked, term (plain text) -> HTML.
    """

    kind: str
    name: str
    status: Literal["running", "finished", "interrupted"]
    title: str
    lead: str = ""
    answer: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)


def page_header(header: PageHeader) -> str:
    """Return the top of a page as HTML."""
    status = f'<span class="status {header.status}">{STATUS_TEXTS[header.status]}</span>'
    lead = f'<p class="lead">{header.lead}</p>' if header.lead else ""
    return (
        f'<header>\n<p class="overline">{text(header.kind)} <b>{text(header.name)}</b>{status}</p>\n'
        f"<h1>{header.title}</h1>\n{lead}\n{header.answer}\n"
        f"{definitions({path: text(what) for path, what in header.files.items()}, style='files')}\n"
        f'<div class="asked">{definitions(header.asked, style="facts")}</div></header>\n'
    )


def figure_of(value: str, *, note: str = "") -> str:
    """Return a figure as HTML, with a smaller note below it."""
    return text(value) + (f"<small>{text(note)}</small>" if note else "")
