"""The command: what it writes, and what a browser makes of it."""

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import torch
from planted_runs import plant, plant_refused, plant_sweep, plant_worst

from rtmo.benchmark import latency
from rtmo.report import __main__ as report
from rtmo.report.write import write_report


class Page(HTMLParser):
    """Tables by the heading of their section as lists of texts, and everything that a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.references: list[str] = []
        self.text = ""
        self._section, self._inside = "", ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.references += [named[name] for name in ("src", "href", "xlink:href", "srcset") if named.get(name)]
        self._inside = tag
        if tag == "section":
            self._section = named["id"]
        elif tag == "table":
            self.tables.setdefault(self._section, []).append([])
        elif tag == "tr":
            self.tables[self._section][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self._section][-1][-1].append("")

    def handle_data(self, data):
        if self._inside not in ("style", "script"):
            self.text += data
        if self._section and self.tables.get(self._section) and data.strip():
            self.tables[self._section][-1][-1][-1] += data.strip()

    def handle_endtag(self, tag):
        if tag == "table":
            self._section += "'"  # what follows is no cell


def make(folder, **options):
    """A report of ``folder/runs``; gives page and Markdown."""
    write_report([str(folder / "runs")], folder / "out", **options)
    return (folder / "out" / "index.html").read_text(), (folder / "out" / "report.md").read_text()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two rows of three finished runs, and pictures of two kinds."""
    folder = tmp_path_factory.mktemp("sweep")
    plant_sweep(folder / "runs")
    plant_worst(folder / "runs" / "1", images=9)
    (folder / "runs" / "3" / "images").mkdir()
    shutil.copy(
        folder / "runs" / "1" / "images" / "worst" / "00_100.png", folder / "runs" / "3" / "images" / "final.png"
    )
    return folder, *make(folder)


def test_page_and_markdown_tell_the_same(sweep):
    folder, html, markdown = sweep
    scores, costs = Page(html).tables["results"], Page(html).tables["results'"]
    assert scores[0] == [
        ["row", "runs", "AP", "AP50", "difference in AP", "beyond noise", "best AP"],
        ["default", "3", "0.410 ± 0.010", "0.510 ± 0.010", "baseline", "-", "0.420 ± 0.010"],
        ["optimizer.lr=0.002", "3", "0.510 ± 0.010", "0.610 ± 0.010", "+0.100 ± 0.023", "yes", "0.520 ± 0.010"],
    ]
    assert costs[0][1] == ["default", "320", "100", "4", "500", "0.40 M"]
    for row in scores[0]:
        assert f"| {' | '.join(row)} |" in markdown
    figures = re.findall(r"\]\((figures/\S+)\)", markdown)
    assert {folder / "out" / name for name in figures} == set((folder / "out" / "figures").iterdir())
    for file in (folder / "out").rglob("*.*"):
        assert str(folder) not in file.read_text(), file


def test_numbers_for_other_programs(sweep):
    folder, _, _ = sweep
    first, second = json.loads((folder / "out" / "table.json").read_text())
    assert (first["baseline"], second["baseline"]) == (True, False)
    assert second["scores"]["AP"]["mean"] == pytest.approx(0.51)
    assert second["scores"]["AP"]["difference"] == pytest.approx(0.1)
    assert [run["scores"]["AP"] for run in second["runs"]] == [0.5, 0.51, 0.52]
    lines = list(csv.DictReader((folder / "out" / "table.csv").read_text().splitlines()))
    assert [(line["row"], line["finished"]) for line in lines] == [("default", "3"), ("optimizer.lr=0.002", "3")]
    assert float(lines[1]["AP deviation"]) == pytest.approx(0.01)


def test_analysis_and_configs(sweep):
    page = Page(sweep[1])
    assert page.tables["analysis"][0] == [
        ["joint", "default", "optimizer.lr=0.002"],
        ["nose", "0.900", "0.900"],
        ["left_ankle", "0.500", "0.500"],
    ]
    assert page.tables["analysis'"][0][2] == ["left_ankle", "0.400", "0.400"]
    numbers = ["60.0%", "20.0%", "10.0%", "10.0%", "0.0%", "7.0", "3.0", "2.0", "0.150", "0.000"]
    assert page.tables["analysis''"][0][1] == ["default", *numbers]
    assert page.tables["configs"][0][1:] == [["optimizer.lr", "0.001", "0.002"]]
    assert "trainer.max_epochs: 4" in page.text


def test_everything_is_within_the_page_and_the_worst_comes_first(sweep):
    _, html, markdown = sweep
    page = Page(html)
    pictures = [reference for reference in page.references if reference.startswith("data:image/jpeg")]
    assert len(pictures) == 6 + 1
    assert "image 100: OKS 0.00, 2 people, 1 found, 1 missed, 0 false" in page.text
    assert page.text.index("image 100:") < page.text.index("image 105:")
    assert "Predictions" not in markdown
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)


def test_what_did_not_finish_is_on_the_page_and_nothing_there_is_html(tmp_path):
    plant_sweep(tmp_path / "runs")
    (tmp_path / "runs" / "4" / "error.txt").write_text("ValueError: <script>alert(1)</script> & more")
    plant(tmp_path / "runs" / "6", overrides=("experiment=demo", "optimizer.y=<b>"), changes={"optimizer.y": "<b>"})
    html, markdown = make(tmp_path, title="<i>mine</i>")
    page = Page(html)
    state = "failed: ValueError: <script>alert(1)</script> & more"
    assert f"Run 4 is not part of the numbers: {state}" in page.text
    assert page.tables["runs"][0][5][:4] == ["4", "optimizer.lr=0.002", "1", state]
    assert page.tables["results"][0][2][1] == "2 of 3"
    assert html.count("<script") == 1
    assert not re.search("<b>|<i>mine", html)
    assert not re.search(r"(?<!\\)<(script|b>)", markdown)


def test_damaged_pictures_and_curves_are_named_and_the_rest_is_shown(tmp_path):
    plant_worst(plant(tmp_path / "runs" / "a", overrides=("x=$a_{$",)), images=4)
    worst = tmp_path / "runs" / "a" / "images" / "worst"
    (worst / "00_100.png").unlink()
    whole = (worst / "01_101.png").read_bytes()
    (worst / "01_101.png").write_bytes(whole[:20])
    (worst / "02_102.png").write_bytes(whole[:-60])
    plant_worst(plant(tmp_path / "runs" / "b", overrides=("x=$b",), changes={"optimizer.lr": 1}), images=1)
    (tmp_path / "runs" / "b" / "images" / "worst.json").write_text('[{"file": "worst')
    (tmp_path / "runs" / "b" / "metrics.csv").write_text("val/AP\n1\n")
    html, _ = make(tmp_path)
    page = Page(html)
    for file in ("00_100.png", "01_101.png", "02_102.png"):
        assert f"Run a: picture {file} is missing or damaged" in page.text
    assert len([reference for reference in page.references if reference.startswith("data:image/jpeg")]) == 1
    assert "Run b: images/worst.json cannot be read" in page.text
    assert "Run b is finished, but metrics.csv cannot be read: line 2 has no step" in page.text
    assert page.tables["results"][0][2][:3] == ["x=$b", "1", "0.500"]


def test_a_run_with_nothing_but_scores_and_a_foreign_network_is_reported(tmp_path):
    folder = plant(tmp_path / "runs" / "only", changes={"model": {"_target_": "somebody.elses.Network"}})
    (folder / "metrics.csv").unlink()
    text = Page(make(tmp_path)[0]).text
    for sentence in ("No run logged a validation.", "No run logged a loss.", "No run has an analysis.json."):
        assert sentence in text
    assert "Not measured; latency=true does." in text
    assert "Parameters of only are unknown. " in text


def test_latency_is_of_all_rows_in_turns(tmp_path, monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(latency, "perf_counter", lambda: next(ticks) / 1000)
    for name, width in (("a", 0.125), ("b", 0.25)):
        (plant(tmp_path / "runs" / name, changes={"model.widen_factor": width}) / "metrics.csv").unlink()
    page = Page(make(tmp_path, latency=True, rounds=1)[0])
    rows = ["model.widen_factor=0.125", "model.widen_factor=0.25"]
    assert page.tables["latency"][0][1:] == [[row, "1.0", "1.0", "0", "fresh"] for row in rows]
    assert page.tables["results'"][0][1][-1] == "1.0"
    assert f"{torch.get_num_threads()} threads" in page.text
    assert (tmp_path / "out" / "figures" / "latency.svg").is_file()


def test_a_foreign_network_is_not_timed_and_the_others_are(tmp_path):
    for name, changes in (("a", {}), ("b", {"model": {"_target_": "somebody.elses.Network"}})):
        (plant(tmp_path / "runs" / name, overrides=(f"x={name}",), changes=changes) / "metrics.csv").unlink()
    page = Page(make(tmp_path, latency=True, rounds=1)[0])
    assert [line[0] for line in page.tables["latency"][0][1:]] == ["x=a"]
    assert "Latency of x=b is unknown. " in page.text


def test_the_command_says_what_it_has_read(call, tmp_path):
    for name in "abc":
        (plant(tmp_path / "runs" / name) / "metrics.csv").unlink()
    (tmp_path / "runs" / "c" / "summary.json").unlink()
    code, out, err = call(report.main, "runs=[runs/?,runs/c]", "output=out", "title=7")
    assert (code, out, err) == (0, "runs: 3, rows: 1, without results: 1\nout/index.html\n", "")
    assert "<title>7</title>" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs=nowhere"], "error: runs=nowhere: no such folder"),
        (["runs=[]"], "error: runs: expected a folder, a glob or a list of them, got []"),
        ([], "error: runs: has no value; give runs=..."),
        (["runs=runs", "baseline=other"], "error: baseline=other: names no row"),
        (["runs=runs", "rounds=0"], "error: rounds: expected a whole number from 1 on, got 0"),
        (["runs=runs", "latency=yes please"], "error: latency: expected true or false"),
        (["runs=runs", "latency=true", "device=warp"], "error: device=warp: "),
        (["runs=runs", "output=runs/0/config.yaml"], "error: output=runs/0/config.yaml: cannot be written"),
    ],
)
def test_what_cannot_be_used_is_refused(call, tmp_path, arguments, message):
    plant(tmp_path / "runs" / "0")
    code, _, err = call(report.main, *arguments)
    assert code == 2
    assert err.startswith(message)
    assert len(err.splitlines()) == 1


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
)
# Clicks on titles of the first table, and leaves what it saw where --dump-dom shows it.
CLICKS = """<script>
const table = document.querySelector("table");
const heads = [...table.tHead.rows[0].cells];
const click = (title) => {
  const head = heads.find((one) => one.textContent === title);
  head.firstElementChild.click();
  return [head.getAttribute("aria-sort"), ...[...table.tBodies[0].rows].map((row) => row.cells[0].textContent)];
};
const seen = { clicks: ["AP", "AP", "row", "difference in AP"].map(click) };
seen.sorted = heads.filter((head) => head.ariaSort).length;
addEventListener("load", () => {
  const names = performance.getEntriesByType("resource").map((one) => one.name);
  seen.requests = names.filter((name) => !name.startsWith("data:"));
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.broken = [...document.images].filter((image) => !image.naturalWidth).length;
  seen.images = document.images.length;
  const output = document.createElement("output");
  output.textContent = JSON.stringify(seen);
  document.body.append(output);
});
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; apt-get install chromium")
def test_the_page_in_a_browser(tmp_path):
    plant_sweep(tmp_path / "runs")
    plant_worst(tmp_path / "runs" / "0", images=3)
    plant(tmp_path / "runs" / "6", ap=0.2, overrides=("experiment=demo", "optimizer.lr=9"), changes={"optimizer.lr": 9})
    plant_refused(tmp_path / "runs" / "7")
    html, _ = make(tmp_path)
    (tmp_path / "clicked.html").write_text(html.replace("</body>", CLICKS + "</body>"))
    command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900", "--dump-dom"]
    run = subprocess.run(
        [*command, (tmp_path / "clicked.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    seen = json.loads(re.search(r"<output>(.*)</output>", run.stdout)[1])
    slow, fast, worst, nothing = "default", "optimizer.lr=0.002", "optimizer.lr=9", "7"
    assert seen["clicks"] == [
        ["descending", fast, slow, worst, nothing],
        ["ascending", worst, slow, fast, nothing],
        ["ascending", nothing, slow, fast, worst],
        ["descending", fast, slow, worst, nothing],
    ]
    assert seen["sorted"] == 1
    assert seen["requests"] == []
    assert (seen["images"], seen["broken"]) == (3, 0)
    assert seen["wide"] == 0
    assert "CONSOLE" not in run.stderr, run.stderr
