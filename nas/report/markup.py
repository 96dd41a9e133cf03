"""Pieces of HTML. Everything that comes from data goes through `text`, here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from nas.report.formatting import printable


def text(value: object) -> str:
    """Return any value as text that means nothing but itself inside HTML and its attributes."""
    return escape(printable(str(value)), quote=True)


def code(value: object) -> str:
    """Return a name, path or command as code."""
    return f"<code>{text(value)}</code>"


def section(title: str, body: str, *, anchor: str) -> str:
    """Return a titled section; nothing if there is nothing in it."""
    if not body:
        return ""
    return f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{text(title)}</h2>\n{body}\n</section>\n'


def trial_link(number: int) -> str:
    """Return a trial's number as a link to its row in the table."""
    return f'<a href="#t{number}">{number}</a>'


def trial_links(numbers: Iterable[int]) -> str:
    """Return trial numbers as links, by commas."""
    return ", ".join(map(trial_link, numbers))


def definitions(pairs: Mapping[str, str], *, style: str) -> str:
    """Return terms with their HTML as a list; terms without any are left out.

    Args:
        pairs: term (plain text) -> description (HTML).
        style: class of the list.
    """
    items = "".join(f"<div><dt>{text(term)}</dt><dd>{html}</dd></div>" for term, html in pairs.items() if html)
    return f'<dl class="{style}">{items}</dl>' if items else ""


def figure(svg: str, *, caption: str = "", style: str = "") -> str:
    """Return a drawing in a box of its own, which scrolls where the drawing is too wide.

    Args:
        svg: from `figure_svg`.
        caption: HTML.
        style: class of the figure.
    """
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    box = f'<div class="scroll" role="group" aria-label="Figure" tabindex="0">{svg}</div>'
    return f'<figure class="{style}">{box}{below}</figure>'


def table(headers: Sequence[str], rows: Iterable[str], *, label: str, sortable: bool = False, style: str = "") -> str:
    """Return a table that scrolls inside a box of its own.

    Args:
        headers: HTML of the header cells, from `header_cell`.
        rows: HTML of the rows.
        label: what the table is, for those who cannot see it.
        sortable: whether the page's script lets readers sort it by its headers.
        style: class of the box.
    """
    marked = " data-sortable" if sortable else ""
    return (
        f'<div class="scroll {style}" role="region" tabindex="0" aria-label="{text(label)}">'
        f"<table{marked}><thead><tr>{''.join(headers)}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def header_cell(label: str, *, numeric: bool = False, descending: bool = False) -> str:
    """Return a column's header.

    Args:
        label: its name, with its unit.
        numeric: whether the column holds numbers; they are aligned right and sorted as numbers.
        descending: whether the first click sorts the largest first.
    """
    marks = (' class="n"' if numeric else "") + (" data-descending" if descending else "")
    return f'<th scope="col"{marks}>{text(label)}</th>'
