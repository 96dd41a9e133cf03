"""The page in a real browser: it loads without complaint, sorts, and fits a phone. Skipped without Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=2000", "--dump-dom"),
]
PROBE = """<script>
addEventListener("load", () => {
  const table = document.querySelector("table[data-sortable]");
  const heads = [...table.tHead.rows[0].cells];
  const column = (text) => heads.findIndex((head) => head.textContent.startsWith(text));
  const read = (i) => [...table.tBodies[0].rows].map((row) => row.cells[i].textContent);
  const found = { buttons: table.querySelectorAll("th button").length, heads: heads.length };
  for (const name of ["Validation accuracy", "Status", "Note"]) {
    const i = column(name);
    found[name] = [];
    for (let click = 0; click < 2; click++) {
      heads[i].firstChild.click();
      found[name].push({ order: heads[i].getAttribute("aria-sort"), cells: read(i) });
    }
  }
  found.sorted = table.querySelectorAll("[aria-sort]").length;
  found.focusable = document.querySelectorAll("th button, summary, a, .scroll[tabindex]").length;
  found.page = [document.documentElement.scrollWidth, innerWidth];
  found.shown = [...document.querySelectorAll("figure.wide, figure.narrow")]
    .filter((figure) => figure.getClientRects().length).map((figure) => figure.className);
  found.dark = getComputedStyle(document.body).backgroundColor;
  found.svgs = document.querySelectorAll("svg[role=img]").length;
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")


def _load(page: str, folder: Path, *, width: int) -> tuple[str, list[str]]:
    """Return the page as the browser ends up with it, and what it wrote to its console."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    profile = folder / "profile"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture
def probe(full_page: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a script finds that was put into the page; the page's policy, which would stop it, is taken out."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", full_page)
    dom, console = _load(page.replace("</body>", f"{PROBE}</body>"), tmp_path, width=request.param)
    assert console == []
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found is not None
    return dict(json.loads(html.unescape(found[1])))


def test_the_page_loads_without_complaint(full_page: str, tmp_path: Path) -> None:
    """Under its own policy nothing is refused: neither the style sheet, nor the script, nor an image."""
    dom, console = _load(full_page, tmp_path, width=1200)
    assert console == []
    assert dom.count("<button") == dom.count('<th scope="col"')  # the script ran


@pytest.mark.parametrize("probe", [1200], indirect=True)
def test_a_header_sorts_its_column(probe: dict[str, Any]) -> None:
    down, up = probe["Validation accuracy"]
    assert (down["order"], up["order"]) == ("descending", "ascending")
    for result, reverse in ((down, True), (up, False)):
        filled = [cell for cell in result["cells"] if cell]
        assert filled == sorted(filled, key=float, reverse=reverse)
        assert result["cells"][len(filled) :] == [""] * 2  # what has no value comes last either way
    assert probe["Status"][0]["cells"] == sorted(probe["Status"][0]["cells"])
    assert probe["buttons"] == probe["heads"]
    assert probe["sorted"] == 1
    assert probe["shown"] == ["wide"]
    assert probe["svgs"] == 20


@pytest.mark.parametrize("probe", [390], indirect=True)
def test_the_page_fits_a_phone(probe: dict[str, Any]) -> None:
    width, window = probe["page"]
    assert width <= window
    assert probe["shown"] == ["narrow"]
