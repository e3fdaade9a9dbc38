"""`tailora plot` as a process, and the short charts that only a terminal sees."""

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from service.cli.chart import ROWS, bars, show_counts, sparkline
from service.cli.plotfiles import read_analyses
from tests.models import write_sharded
from tests.service.cli_service import serving
from tests.service.command import command, document, fails, run, variables
from tests.service.figures.documents import compared, metrics_lines

MATRIX = "model.layers.1.mlp.up_proj.weight"
NO_SOLVER = "import sys; sys.modules['analyzer.solver'] = None"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, its store, and the files of its analysis and plan."""
    folder = tmp_path_factory.mktemp("plot")
    write_sharded(folder / "model", layers=4, width=64, fall=0.3)
    store = ("--cache", folder / "store")
    run("analyze", folder / "model", *store, "--out", folder / "a.json")
    run("plan", folder / "model", *store, "-b", 20, "--out", folder / "p.json")
    (folder / "run").mkdir()
    lines = [json.dumps(line) for line in metrics_lines(9)]
    (folder / "run" / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 10, "lo')
    (folder / "comparison.json").write_text(compared().model_dump_json())
    return folder


def table(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_plan_as_svg_png_pdf_csv_and_json(made, tmp_path):
    plan, counts = made / "p.json", json.loads((made / "p.json").read_text())["layers"]
    for suffix, start in (("svg", b"<?xml"), ("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-")):
        out = tmp_path / f"experts.{suffix}"
        found = run("plot", "experts", plan, "--out", out, "--theme", "dark", "--width", "single")
        assert (found.stdout, found.stderr) == ("", "")
        assert out.read_bytes().startswith(start)
    assert ElementTree.parse(tmp_path / "experts.svg").getroot().attrib["width"] == "244.8pt"
    run("plot", "experts", plan, "--shape", "2468", "--out", tmp_path / "e.csv")
    rows = table(tmp_path / "e.csv")
    mine = [float(row["y"]) for row in rows if row["kind"] == "bars"]
    assert mine == [layer["experts"] for layer in counts]
    assert [row["y"] for row in rows if row["series"] == "MoLA 2468"] == [
        "2.0",
        "4.0",
        "6.0",
        "8.0",
    ]
    run("plot", "experts", plan, "--echarts", "--out", tmp_path / "e.json")
    option = json.loads((tmp_path / "e.json").read_text())
    assert option["series"][0]["type"] == "bar"
    run("plot", "plans", plan, plan, "--out", tmp_path / "p.csv", code=2)


def test_a_spectrum_from_the_store_or_the_weights(made, tmp_path):
    words = ("plot", "esd", made / "a.json", "--matrix", MATRIX, "--marchenko-pastur", "-q")
    kept = run(*words, "--cache", made / "store", "--out", tmp_path / "a.csv", before=NO_SOLVER)
    assert kept.stderr == ""
    run(*words, "--cache", tmp_path / "new", "--out", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    kinds = [row["kind"] for row in table(tmp_path / "a.csv")]
    assert [kinds.count(kind) for kind in ("step", "rule", "line")] == [100, 1, 202]
    moved = tmp_path / "moved"
    shutil.copytree(made / "model", moved)
    shutil.move(made / "model", made / "gone")
    try:
        fails(*words, "--cache", made / "store", "--out", tmp_path / "c.csv", code=2,
              message="an analysis holds no eigenvalues; they are read from")  # fmt: skip
        run(*words, "--cache", made / "store", "--out", tmp_path / "c.csv", "--model", moved)
    finally:
        shutil.move(made / "gone", made / "model")
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    other = tmp_path / "other"
    write_sharded(other, layers=4, width=64, fall=0.3, seed=1)
    fails(*words, "--model", other, "--out", tmp_path / "d.csv", code=2,
          message="holds other weights than those of the analysis")  # fmt: skip


def test_runs_and_comparisons_by_folder(made, tmp_path):
    run("plot", "training", made / "run", "--out", tmp_path / "t.csv")
    losses = [row["y"] for row in table(tmp_path / "t.csv") if row["series"] == "loss"]
    assert [float(loss) for loss in losses] == [line["loss"] for line in metrics_lines(9)]
    run("plot", "load", made / "run" / "metrics.jsonl", "--out", tmp_path / "l.pdf")
    run("plot", "comparison", made, "--out", tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())["subtitle"].startswith("3 seeds")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pie", "p.json"), "there is no figure pie; use esd, esds"),
        (("experts", "a.json"), "not of tailora.plan/1"),
        (("alphas", "p.json"), "p.json is a document of tailora.plan/1; this figure is made from"),
        (("esd", "a.json", "--matrix", "no"), "the analysis has no matrix no; its 16 matrices are"),
        (("training", "a.json"), "line 1 is no line of metrics"),
    ],
)
def test_what_cannot_be_drawn(made, tmp_path, words, message):
    kind, source, *rest = words
    out = ("--out", tmp_path / "x.svg")
    fails("plot", kind, made / source, *rest, *out, code=2, message=message)
    assert not (tmp_path / "x.svg").exists()


def test_a_file_without_a_known_suffix(made):
    fails("plot", "experts", made / "p.json", "--out", "x.gif", code=2, message="use .svg, .png")


def in_terminal(*words, **environment) -> str:
    """What a command writes to a terminal of 40 columns."""
    parent, child = pty.openpty()
    own = {**variables(**environment), "TERM": "xterm", "COLUMNS": "40"}
    own = {name: value for name, value in own.items() if value != ""}
    process = subprocess.Popen(command(*words), stdout=child, stderr=subprocess.DEVNULL, env=own)
    os.close(child)
    found = bytearray()
    while True:
        try:
            found += os.read(parent, 4096)
        except OSError:  # the other end is closed
            break
    os.close(parent)
    assert process.wait() == 0
    return found.decode().replace("\r\n", "\n")


def test_a_terminal_sees_a_short_chart(made):
    words = ("plan", made / "model", "-b", "20", "--cache", made / "store", "-q")
    counts = [layer["experts"] for layer in json.loads((made / "p.json").read_text())["layers"]]
    shown = in_terminal(*words)
    title = "experts by layer of text, layer 0 at the left\n"
    assert "\x1b[3" not in shown, "NO_COLOR holds"
    chart = shown.partition(title)[2].splitlines()
    assert [line[7:].rstrip() for line in chart[:ROWS]] == [
        row.rstrip() for row in bars(counts, max(counts))
    ]
    coloured = in_terminal(*words, NO_COLOR="")
    assert "\x1b[36m" in coloured
    assert title not in in_terminal(*words, "--json")
    assert title not in run(*words).stdout
    shown = in_terminal("analyze", made / "model", "--cache", made / "store", "-q")
    (analysis,) = read_analyses([str(made / "a.json")])
    alphas = [layer.alpha for layer in analysis.layers]
    assert f"alpha by layer of text, from {min(alphas):.3f} to {max(alphas):.3f}" in shown
    assert f"       {sparkline(alphas, min(alphas), max(alphas))}\n" in shown


def test_blocks_are_as_high_as_their_numbers():
    """Eighths of a row, counted by hand."""
    assert bars([4, 2, 1, 3], 4) == ["█   ", "█  █", "██ █", "████"]
    assert bars([8, 1, 5], 8) == ["█  ", "█ ▄", "█ █", "█▄█"]
    assert sparkline([1.0, 1.5, 2.0], 1.0, 2.0) == "▁▅█"
    assert sparkline([1.0, 1.0], 1.0, 1.0) == "▄▄"


def test_long_models_are_wrapped(made):
    from allocator.planner import plan

    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=28, no_color=True)
    show_counts(console, plan([1.0] * 50, budget=100))
    rows = [line[7:] for line in text.getvalue().splitlines() if re.match(" +(2|0)? +█", line)]
    assert [len(row) for row in rows] == [20] * 8 + [10] * 4


@pytest.mark.slow
def test_jobs_of_a_service(made, tmp_path):
    """The numbers come from the service, and are those of the files here."""
    model = made / "model"
    with serving(tmp_path / "service", "--models", made) as found:
        posted = document("plan", model, "-b", 20, "-q", **found.remote)
        listed = json.loads(run("jobs", "list", "--json", **found.remote).stdout)["data"]
        job = next(each for each in listed if each["object"] == "plan")
        words = ("--shape", "2468", "--out")
        run("plot", "experts", job["id"], *words, tmp_path / "there.csv", **found.remote)
        run("plot", "experts", made / "p.json", *words, tmp_path / "here.csv")
        assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
        assert posted["digest"] == json.loads((made / "p.json").read_text())["digest"]
        own = ("esd", "--matrix", MATRIX, "--bins", 30, "-q")
        analysis = job["analysis_id"]
        run("plot", *own, analysis, "--out", tmp_path / "there.csv", **found.remote)
        run("plot", *own, made / "a.json", "--cache", made / "store", "--out",
            tmp_path / "here.csv")  # fmt: skip
        assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
        out = ("--out", tmp_path / "x.svg")
        fails("plot", "alphas", job["id"], *out, code=2, **found.remote,
              message="alphas is made from a job of kind analysis")  # fmt: skip
    fails("plot", "experts", job["id"], *out, code=2, message="set TAILORA_URL to the service")
    fails("plot", "plans", job["id"], made / "p.json", *out, code=2, message="not both")
