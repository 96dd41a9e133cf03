"""The colours of reports, in one place: figures draw with the light ones, pages map them to CSS variables.

Operation kinds follow the Okabe-Ito palette (safe for colour-blind readers), darkened for light pages and
lightened for dark ones; every coloured box also says in words what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour as a hex code on light and on dark pages."""

    light: str
    dark: str


# A figure is drawn with the light codes, and each code is what its CSS variable is found by: no two may be equal.
COLOURS: Mapping[str, Colour] = {
    "page": Colour("#fffffe", "#131519"),
    "panel": Colour("#f5f6f8", "#1c1f25"),
    "line": Colour("#dadee4", "#353b44"),
    "ink": Colour("#1a1e23", "#e7e9ec"),
    "muted": Colour("#59626d", "#9ba5b1"),
    "dot": Colour("#8d97a3", "#7f8a97"),
    "wire": Colour("#606b78", "#8e99a6"),
    "accent": Colour("#0a5fb0", "#6db3f5"),
    "best": Colour("#b5450b", "#ff9b57"),
    "bad": Colour("#b3261f", "#ff8b81"),
    "conv": Colour("#0072b2", "#5ab4ea"),
    "sep": Colour("#00866a", "#3bcda5"),
    "dil": Colour("#a84f8b", "#e59cca"),
    "pool": Colour("#b07800", "#efb32a"),
    "identity": Colour("#6a737e", "#a4aeb9"),
}


def colour(role: str) -> str:
    """Return the code that figures use for a role."""
    return COLOURS[role].light


def css_value(role: str) -> str:
    """Return the CSS expression of a role; it falls back to the light colour on pages without our variables."""
    return f"var(--{role}, {COLOURS[role].light})"


def css_variables() -> str:
    """Return the style sheet that defines every colour for light and dark pages."""
    light = "".join(f"--{role}:{pair.light};" for role, pair in COLOURS.items())
    dark = "".join(f"--{role}:{pair.dark};" for role, pair in COLOURS.items())
    return (
        f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{color-scheme:light;{light}}}}}\n"
    )
