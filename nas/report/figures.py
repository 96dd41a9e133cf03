"""From a matplotlib figure to a file, or to SVG text that can stand inside a page and follows its theme.

Figures are made from `matplotlib.figure.Figure` alone: no pyplot, no global state. Their sizes are in pixels
(72 to the inch, so that one unit of SVG is one pixel). A figure's label is the text that stands for it where it
cannot be seen.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from nas.errors import InvalidInputError
from nas.report.formatting import printable
from nas.report.theme import COLOURS, css_value

SUFFIXES = (".svg", ".png", ".pdf")
PIXELS_PER_INCH = 72
PNG_DPI = 200
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_VARIABLES = {pair.light: css_value(role) for role, pair in COLOURS.items()}
_DOT = re.compile(r"M (\S+ \S+)\s+L \1\s+")  # a line that has no length once its ends are rounded
_COLOUR = re.compile("|".join(_VARIABLES))
# The page decides on the font. Older versions of matplotlib write `font: 10px 'DejaVu Sans', ...`.
_FONT_FAMILY = re.compile(r"font-family:[^;]*;?\s*|(?<=px )'[^;]*(?=;|$)")


def new_figure(width: float, height: float, *, label: str) -> Figure:
    """Return an empty, transparent figure of this size in pixels."""
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), dpi=PIXELS_PER_INCH, facecolor="none")
    figure.set_label(label)
    return figure


def text_width(text: str, *, size: float) -> float:
    """Return how wide a text is in pixels, in the font of figures."""
    with _foreign_letters():
        width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return float(width)


@contextmanager
def _foreign_letters() -> Iterator[None]:
    """Let letters pass that the font lacks: pages show them in a font of the reader's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure to a file, on white, in the format that the file's suffix names.

    The same figure gives the same bytes: no dates are stored.

    Raises:
        InvalidInputError: the suffix is none of ``.svg``, ``.png``, ``.pdf``.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(
            f"a figure is saved as one of {', '.join(SUFFIXES)}, got {path.name!r}: give it such a suffix."
        )
    dates: dict[str, dict[str, str | None]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}
    with mpl.rc_context({"svg.hashsalt": "nas", "svg.fonttype": "path"}), _foreign_letters():
        metadata = dates[path.suffix.lower()]
        figure.savefig(path, format=path.suffix[1:].lower(), dpi=PNG_DPI, facecolor="white", metadata=metadata)


def figure_svg(figure: Figure, *, name: str = "", scale: float = 1.0) -> str:
    """Return a figure as an SVG element to be put inside a page.

    Colours are CSS variables with the light colours to fall back on, text is text in the page's own font, and
    the figure's label describes it to those who cannot see it.

    Args:
        figure: made with the colours of `nas.report.theme`.
        name: what the ids inside start with, different for every figure of a page; by default derived from the
            drawing, so that only equal figures share ids.
        scale: how much larger than drawn it is shown where there is room.
    """
    root = ET.fromstring(_plain_svg(figure))
    _tidy(root)
    _rename_ids(root, prefix=name or hashlib.sha256(ET.tostring(root)).hexdigest()[:10])
    width, height = (PIXELS_PER_INCH * inches for inches in figure.get_size_inches())
    root.attrib.clear()
    root.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{scale * width:.0f}",
        "height": f"{scale * height:.0f}",
        "stroke-linejoin": "round",
        "role": "img",
        "aria-label": printable(str(figure.get_label())),
    }
    return ET.tostring(root, encoding="unicode")


def _plain_svg(figure: Figure) -> str:
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": "nas", "svg.fonttype": "none"}), _foreign_letters():
        figure.savefig(buffer, format="svg", metadata=metadata)
    return printable(buffer.getvalue())  # a name in it may hold what XML forbids


def _tidy(root: ET.Element) -> None:
    """Drop what a page does not need, name colours by their role, and shorten numbers."""
    for parent in list(root.iter()):
        for child in list(parent):
            # matplotlib's style sheet sets line joins for everything around it, so for the whole page
            if child.tag == f"{_SVG}metadata" or child.find(f"{_SVG}style") is not None:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.tail = None
        if element.tag not in ("text", "tspan"):
            element.text = None
        if _HREF in element.attrib:
            element.set("href", element.attrib.pop(_HREF))
        for key in element.attrib.keys() & {"d", "x", "y", "transform", "style"}:
            short = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}", element.attrib[key])
            element.set(key, _DOT.sub(r"M\1h0", short).replace("\n", ""))
        if "style" in element.attrib:
            style = _FONT_FAMILY.sub(lambda m: "" if m[0][0] == "f" else "sans-serif", element.attrib["style"])
            element.set("style", _COLOUR.sub(lambda match: _VARIABLES[match[0]], style))


def _rename_ids(root: ET.Element, *, prefix: str) -> None:
    """Keep only the ids that something refers to, and make them the figure's own."""
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", ET.tostring(root, encoding="unicode")))
    for element in root.iter():
        if element.attrib.get("id") in used:
            element.set("id", f"{prefix}-{element.attrib['id']}")
        else:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            if key == "href":
                element.set(key, value.replace("#", f"#{prefix}-", 1))
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
