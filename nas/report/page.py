"""The page of a search, section by section."""

from __future__ import annotations

from pathlib import Path

from nas.report.figure_sections import networks_section, progress_section, tradeoff_section
from nas.report.frame import frame, write_page
from nas.report.front_section import front_section
from nas.report.overview_sections import headline, repeat_section, spent_section
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
    """Return the page of a search as text; the same summary gives the same page."""
    sections = "".join(section(summary) for section in SECTIONS)
    return frame(f"{headline(summary)}{sections}", title=f"{summary.name} - architecture search")


def write_report(summary: RunSummary, path: Path | str) -> None:
    """Write the page to a file, whole or not at all; see `nas.report.frame.write_page`.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    write_page(render_report(summary), path)


__all__ = ["SECTIONS", "RunSummary", "render_report", "write_report"]
