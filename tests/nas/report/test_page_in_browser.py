"""Pages in a real browser: they load without complaint, sort, and fit a phone. Skipped without Chromium."""

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

ANY_PAGE = """<script>
addEventListener("load", () => {
  const seen = (element) => element.getClientRects().length > 0;
  const found = {
    page: [document.documentElement.scrollWidth, innerWidth],
    svgs: [...document.querySelectorAll("svg[role=img]")].filter(seen).length,
    sections: [...document.querySelectorAll("h2")].map((title) => title.textContent),
    tables: [...document.querySelectorAll("table[data-sortable]")].map((table) => {
      const head = [...table.tHead.rows[0].cells].find((cell) => cell.textContent.includes("ccuracy"));
      head.firstChild.click();
      const order = head.getAttribute("aria-sort");
      return [order, [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent)];
    }),
    colour: getComputedStyle(document.body).backgroundColor,
    out: [...document.querySelectorAll("h1, h2, h3, p, dd, dt, pre, figcaption, svg text")]
      .filter((e) => seen(e) && !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1).length,
  };
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>"""
DARK = "--blink-settings=preferredColorScheme=0"
LIGHT_PAGE, DARK_PAGE = "rgb(255, 255, 254)", "rgb(19, 21, 25)"  # the role "page" of `nas.report.theme`

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")


def _load(page: str, folder: Path, *, width: int, flags: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    """Return the page as the browser ends up with it, and what it wrote to its console."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    profile = folder / "profile"
    command = [str(CHROMIUM), *FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={width},900", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _probe(page: str, script: str, folder: Path, *, width: int, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what a script finds that is put into a page; the page's policy, which would stop it, is taken out."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    dom, console = _load(page.replace("</body>", f"{script}</body>"), folder, width=width, flags=flags)
    assert console == []
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, flags=re.DOTALL)
    assert found is not None
    return dict(json.loads(html.unescape(found[1])))


@pytest.fixture
def probe(full_page: str, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a script finds in the page of a search."""
    return _probe(full_page, PROBE, tmp_path, width=request.param)


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


@pytest.mark.parametrize(
    ("kind", "figures", "tables"), [("training", 5, 1), ("scaling", 1, 3)], ids=["training", "scaling"]
)
def test_the_other_pages_load_sort_and_fit(
    kind: str, figures: int, tables: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """On a desk in light colours, and on a phone in dark ones."""
    page = request.getfixturevalue(f"{kind}_page")
    for width, flags, colour in ((1280, (), LIGHT_PAGE), (390, (DARK,), DARK_PAGE)):
        found = _probe(page, ANY_PAGE, tmp_path, width=width, flags=flags)
        assert found["page"][0] <= found["page"][1]
        assert found["out"] == 0
        assert found["svgs"] == figures
        assert found["colour"] == colour
        assert {"What was spent", "Repeat it"} <= set(found["sections"])
        assert len(found["tables"]) == tables
        for order, cells in found["tables"]:
            values = [float(cell.partition(" ")[0]) for cell in cells if cell]
            assert order == "descending"
            assert values == sorted(values, reverse=True)
