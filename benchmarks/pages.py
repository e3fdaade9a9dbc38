"""What the web page weighs and how soon it answers, in Chromium, against `tailora serve`.

    python -m benchmarks.pages [--repeats 10]

Bytes are what came over the network at a first view, compressed as it was sent. A latency lasts
from the event in the browser to the frame that shows its result.
"""

import argparse
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx2
import torch
from playwright.sync_api import Browser, Page, sync_playwright
from safetensors.torch import save_file

from benchmarks.machine import describe
from benchmarks.models import llama_layer
from tests.service.cli_service import serving

PLANNED, ANALYSED = 126, 286
"""Layers of 7 matrices each: 882 for the plan, 2002 for the analysis."""

WATCH = """() => {
  window.took = new Promise((resolve) => {
    document.addEventListener("%(event)s", (event) => {
      const watcher = new MutationObserver(() => { // looking at every frame would slow them down
        if (!(%(shown)s)()) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - event.timeStamp)));
      });
      watcher.observe(document.body, { childList: true, subtree: true });
    }, { capture: true, once: true });
  });
}"""
CHART = """(() => {
  const box = document.querySelector("%s");
  return box?.querySelector("svg path") && echarts.getInstanceByDom(box)?.getOption();
})()"""
FIRST = """(selector) => new Promise((resolve) => {
  const look = () => requestAnimationFrame(() => {
    const box = document.querySelector(selector);
    if (!box?.querySelector("svg path")) return look();
    requestAnimationFrame(() => resolve(performance.now()));
  });
  look();
})"""


@dataclass(frozen=True)
class Made:
    """What is there to be looked at."""

    url: str
    plan: str
    analysis: str


def write_model(folder: Path, layers: int) -> None:
    """Gaussian weights of Llama's names, 64 wide: their number matters here, not their size."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    tensors = {
        f"model.layers.{layer}.{name}.weight": torch.randn(shape)
        for layer in range(layers)
        for name, shape in llama_layer(64, 128).items()
    }
    save_file(tensors, folder / "model.safetensors")
    config = {"model_type": "llama", "num_hidden_layers": layers, "num_attention_heads": 4}
    (folder / "config.json").write_text(json.dumps(config))


@contextmanager
def service(folder: Path) -> Iterator[Made]:
    """A service with a plan of many layers, and an analysis of many matrices."""
    models = folder / "models"
    for layers in (PLANNED, ANALYSED):
        if not (models / str(layers)).exists():
            write_model(models / str(layers), layers)
    with (
        serving(folder / "served", "--models", models) as running,
        httpx2.Client(base_url=running.url, timeout=600) as http,
    ):

        def plan(layers: int) -> dict[str, str]:
            body = {"model": str(models / str(layers)), "expert_budget": 4 * layers}
            place = http.post("/v1/plans", json=body).headers["location"]
            running.process.wait_for(
                lambda: http.get(place).json()["status"] == "succeeded", timeout=600
            )
            found: dict[str, str] = http.get(place).json()
            return found

        yield Made(running.url, plan(PLANNED)["id"], plan(ANALYSED)["analysis_id"])


def weights(browser: Browser, made: Made) -> None:
    print("| first view of | requests | bytes over the network | unpacked |\n|---|---|---|---|")
    places = {
        "new plan": "/", "history": "/history", "about": "/about",
        "a job": f"/jobs/{made.plan}",
        f"plan of {PLANNED} layers": f"/plans/{made.plan}",
        f"analysis of {7 * ANALYSED} matrices": f"/analyses/{made.analysis}",
    }  # fmt: skip
    for name, place in places.items():
        context = browser.new_context()
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        sent: list[float] = []
        unpacked: list[float] = []
        network.on("Network.loadingFinished", lambda e, to=sent: to.append(e["encodedDataLength"]))
        network.on("Network.dataReceived", lambda e, to=unpacked: to.append(e["dataLength"]))
        page.goto(made.url + place, wait_until="networkidle")
        if place.startswith(("/plans", "/analyses")):
            page.wait_for_selector(".chart svg")
        print(f"| {name} | {len(sent)} | {sum(sent):,.0f} | {sum(unpacked):,.0f} |", flush=True)
        context.close()


def took(page: Page, event: str, shown: str, act: Callable[[], object]) -> float:
    """Milliseconds from the event that the act makes to the frame after it is shown."""
    page.evaluate(WATCH % {"event": event, "shown": shown})
    act()
    found: float = page.evaluate("window.took")
    return found


def budgets(page: Page, made: Made, repeats: int) -> list[float]:
    page.goto(f"{made.url}/plans/{made.plan}", wait_until="networkidle")
    found = []
    for budget in range(5 * PLANNED, 5 * PLANNED + repeats + 1):
        page.wait_for_selector("#plan .chart svg")
        field = page.get_by_label("Budget of experts over all layers")
        field.fill(str(budget))
        bars = CHART % "#plan .chart"
        shown = f"""() => {bars}?.series[0].data.reduce((all, bar) => all + bar.value[1], 0)
                === {budget}"""
        found.append(took(page, "change", shown, lambda: page.keyboard.press("Tab")))
        page.wait_for_load_state("networkidle")
    return found[1:]


def points(page: Page, made: Made, repeats: int) -> list[float]:
    page.goto(f"{made.url}/analyses/{made.analysis}", wait_until="networkidle")
    page.wait_for_selector(".chart svg")
    found = []
    for place in range(0, (repeats + 1) * 20, 20):
        page.evaluate("scrollTo(0, 0)")
        x, y = page.evaluate(
            """(place) => {
              const chart = echarts.getInstanceByDom(document.querySelector(".chart"));
              const series = chart.getOption().series;
              const at = series.findIndex((one) => one.type === "scatter");
              return chart.convertToPixel({seriesIndex: at}, series[at].data[place].value);
            }""",
            place,
        )
        before = page.evaluate(f"{CHART % '#esd .chart'}?.title[0].text ?? ''")
        shown = f"""() => {{
          const now = {CHART % "#esd .chart"};
          return now && now.title[0].text !== {before!r};
        }}"""
        at = {"x": x, "y": y}
        found.append(
            took(page, "click", shown, lambda at=at: page.click(".chart >> nth=0", position=at))
        )
        page.wait_for_load_state("networkidle")
    return found[1:]


def openings(page: Page, place: str, repeats: int) -> list[float]:
    found = []
    for _ in range(repeats + 1):
        page.goto(place, wait_until="commit")
        found.append(page.evaluate(FIRST, ".chart"))
        page.wait_for_load_state("networkidle")
    return found[1:]


def latencies(browser: Browser, made: Made, repeats: int) -> None:
    print("| what | median ms | fastest | slowest |\n|---|---|---|---|")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    analysis, plan = f"{made.url}/analyses/{made.analysis}", f"{made.url}/plans/{made.plan}"
    for name, values in (
        (f"plan of {PLANNED} layers: another budget → bars", lambda: budgets(page, made, repeats)),
        (f"{7 * ANALYSED} matrices: click → spectrum", lambda: points(page, made, repeats)),
        ("opening this analysis → alphas", lambda: openings(page, analysis, repeats)),
        ("opening this plan → bars", lambda: openings(page, plan, repeats)),
    ):
        found = values()
        print(f"| {name} | {median(found):.0f} | {min(found):.0f} | {max(found):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    print(re.sub(r", torch.*", "", describe()))
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder)) as made,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        print(f"Chromium {browser.version}")
        weights(browser, made)
        print(f"\nload average {os.getloadavg()[0]:.1f} before")
        latencies(browser, made, asked.repeats)
        print(f"load average {os.getloadavg()[0]:.1f} after")
        browser.close()


if __name__ == "__main__":
    main()
