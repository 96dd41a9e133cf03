"""The style sheet and the script of report pages: no fonts, images or addresses from anywhere else."""

from __future__ import annotations

from nas.report.theme import css_variables

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);
  font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main,footer{max-width:1088px;margin:0 auto;padding:0 24px}
main{padding-top:40px}
h1,h2,h3{line-height:1.25;margin:0;font-weight:650;letter-spacing:-.01em;text-wrap:balance}
h1{font-size:30px}
h2{font-size:20px;margin-bottom:14px}
h3{font-size:15px;margin:0 0 6px}
p{margin:0 0 12px;max-width:72ch}
a{color:var(--accent);text-underline-offset:2px;text-decoration-thickness:1px}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
section{padding:32px 0 0;margin-top:32px;border-top:1px solid var(--line)}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
code{overflow-wrap:anywhere}
pre{margin:0;padding:12px 14px;background:var(--panel);border:1px solid var(--line);border-radius:6px;overflow:auto;
  max-height:24rem}
.note,figcaption,.overline{color:var(--muted);font-size:13.5px}
.overline{margin-bottom:6px}
.overline b{color:var(--ink);font-weight:600}
.lead{font-size:17px;margin:10px 0 0;color:var(--muted)}
.status{display:inline-block;margin-left:8px;padding:0 8px;border:1px solid var(--line);border-radius:999px;
  font-size:12.5px;line-height:20px;color:var(--muted)}
.status.running{color:var(--accent);border-color:currentColor}
.status.interrupted{color:var(--best);border-color:currentColor}
dl,dd{margin:0}
dt{color:var(--muted);font-size:13px}
.answer{display:flex;flex-wrap:wrap;gap:12px 48px;margin:24px 0 28px}
.answer dd{font-size:28px;font-weight:600;line-height:1.3;letter-spacing:-.015em;font-variant-numeric:tabular-nums}
.answer small{display:block;font-size:13px;font-weight:400;letter-spacing:0;color:var(--muted)}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:14px 28px}
header .facts dt::first-letter{text-transform:uppercase}
.facts small{display:block;color:var(--muted)}
.facts dd{overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.files{display:grid;gap:4px;margin-top:22px}
.files div{display:grid;grid-template-columns:minmax(0,30rem) 1fr;gap:0 20px}
.files dt{color:var(--ink);font:13px/1.75 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;
  overflow-wrap:anywhere}
.files dd{color:var(--muted)}
.asked{margin-top:24px;padding-top:22px;border-top:1px solid var(--line)}
.commands dt{margin:14px 0 4px}
.commands pre{white-space:pre-wrap;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
figure{margin:0}
figure svg{display:block;height:auto;max-width:100%;font-family:inherit}
figcaption{margin-top:8px;max-width:88ch}
.narrow{display:none}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:28px 40px}
.pair svg{width:100%}
.keys{display:flex;flex-wrap:wrap;gap:2px 20px;max-width:none}
.key::before{content:"";display:inline-block;width:14px;height:0;margin-right:6px;vertical-align:middle;
  border-top:2px solid var(--accent)}
.key.second::before{border-color:var(--best)}
.key.dot::before{width:6px;height:6px;border:0;border-radius:50%;background:var(--dot)}
.key.dot.less::before{width:4px;height:4px}
.key.ring::before{width:11px;height:11px;border:2px solid var(--best);border-radius:50%}
.key.tick::before{width:0;height:8px;border:0;border-left:2px solid var(--dot)}
.key.cross::before{content:"\\00d7";width:auto;height:auto;border:0;color:var(--bad);line-height:0;font-weight:700;
  vertical-align:baseline}
.network+.network{margin-top:32px}
.network header{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 16px;margin-bottom:10px}
.network header p{margin:0;color:var(--muted);font-variant-numeric:tabular-nums}
.network h3{font-size:16px;margin:0}
.cells{display:flex;flex-wrap:wrap;gap:18px 36px}
.cells>div{min-width:0;max-width:100%}
.cells h4{margin:0;font-size:13px;font-weight:400;color:var(--muted)}
details{margin-top:28px}
details .network:first-of-type{margin-top:20px}
summary{cursor:pointer;color:var(--accent)}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
td.w{white-space:normal;min-width:16rem;overflow-wrap:anywhere}
tr>*{border-bottom:1px solid var(--line)}
tbody th{font-weight:400}
thead th{color:var(--muted);font-weight:500;font-size:13px;vertical-align:bottom}
.n{text-align:right}
.tall{max-height:34rem;overflow:auto}
.long{content-visibility:auto;contain-intrinsic-size:auto 34rem}
.tall thead th{position:sticky;top:0;background:var(--page);z-index:1;border-bottom:0;
  box-shadow:inset 0 -1px var(--line)}
th button{all:unset;cursor:pointer;white-space:nowrap}
th button:hover{color:var(--ink)}
th button:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
th.n button::before,th:not(.n) button::after{content:"\\2195";display:inline-block;width:1.2em;text-align:center;
  opacity:.45}
th[aria-sort=ascending] button,th[aria-sort=descending] button{color:var(--ink)}
th.n[aria-sort=ascending] button::before,th:not(.n)[aria-sort=ascending] button::after{content:"\\2191";opacity:1}
th.n[aria-sort=descending] button::before,th:not(.n)[aria-sort=descending] button::after{content:"\\2193";opacity:1}
tbody tr{scroll-margin-top:2.5rem}
tr:target>*{background:var(--panel)}
tr.best>*{font-weight:650}
.bad{color:var(--bad)}
.good{color:var(--best)}
.off{color:var(--muted)}
ol.line{list-style:none;margin:0;padding:0 0 0 18px;border-left:2px solid var(--line)}
ol.line>li{position:relative;padding-bottom:12px}
ol.line>li:last-child{padding-bottom:0}
ol.line>li::before{content:"";position:absolute;left:-23px;top:8px;width:8px;height:8px;border-radius:50%;
  background:var(--dot)}
ol.line>li:last-child::before{background:var(--best)}
ol.line ul{margin:2px 0 0;padding:0;list-style:none;color:var(--muted);font-size:14px}
.failure{margin-top:20px}
footer{padding-top:24px;padding-bottom:48px;color:var(--muted);font-size:13px}
@media (max-width:760px){
  main,footer{padding-left:16px;padding-right:16px}
  main{padding-top:24px}
  h1{font-size:25px}
  .files div{grid-template-columns:1fr;margin-bottom:6px}
  .answer{display:grid;grid-template-columns:1fr 1fr;gap:16px}
  .answer dd{font-size:23px}
  .facts{grid-template-columns:1fr 1fr;gap:12px 16px}
  section{margin-top:28px;padding-top:28px}
  .wide{display:none}
  .narrow{display:block}
  .narrow svg{width:100%}
  .pair{grid-template-columns:1fr}
  .tall{max-height:28rem}
  .long{contain-intrinsic-size:auto 28rem}
}
@media print{
  .scroll,.tall{overflow:visible;max-height:none}
  .long{content-visibility:visible}
  section{break-inside:avoid-page}
}
"""

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads[0].setAttribute("aria-sort", "ascending");
  heads.forEach((head, column) => {
    const numeric = head.classList.contains("n");
    const value = (row) => {
      const text = row.cells[column].textContent.trim();
      return text === "" ? null : numeric ? parseFloat(text) : text;
    };
    const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const first = "descending" in head.dataset ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = before === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [value(row), row]);
      rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b)));
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      body.append(...rows.map(([, row]) => row));
    });
  });
}
"""


def style_sheet() -> str:
    """Return the whole style sheet: colours of light and dark pages, then the rules."""
    return css_variables() + _RULES.strip()
