// Figures, the options of the chosen method, uploads, and buttons that copy; all else is HTML and htmx.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = new Map();
  const NARROW = 520;

  async function draw(box) {
    const narrow = box.clientWidth <= NARROW;
    const height = narrow ? box.dataset.narrowHeight : box.dataset.height;
    box.style.height = `${height}px`; // at once, so that nothing below it jumps
    const how = `theme=${dark.matches ? "dark" : "light"}&width=${narrow ? "single" : "double"}`;
    let option;
    try {
      const answer = await fetch(`${box.dataset.figure}&${how}`);
      option = await answer.json();
      if (!answer.ok) throw new Error(option.detail);
    } catch (error) {
      box.className = "chart-failed";
      box.style.height = "";
      box.textContent = `The figure could not be drawn: ${error.message}. Its table is below.`;
      return;
    }
    if (!box.isConnected) return;
    charts.get(box)?.dispose();
    const chart = echarts.init(box, null, { renderer: "svg" });
    option.tooltip = { ...option.tooltip, renderMode: "richText" }; // HTML would bring styles along
    fit(option, box.clientWidth);
    chart.setOption(option);
    charts.set(box, chart);
    if (box.dataset.picks) chart.on("click", (point) => pick(box.dataset.picks, point.name));
  }

  function fit(option, width) { // the caption has the words that are cut here
    const cut = { width: width - (width > NARROW ? 160 : 16), overflow: "truncate" };
    Object.assign(option.title[0].textStyle, cut);
    Object.assign(option.title[0].subtextStyle, cut);
    for (const legend of option.legend) {
      if (width <= NARROW) Object.assign(legend, { type: "scroll", width: width - 24 });
    }
    for (const map of option.visualMap ?? []) {
      if (width <= NARROW) Object.assign(map, { itemWidth: 8, textGap: 4, left: "auto", right: 0 });
    }
    if (width <= NARROW) delete option.toolbox;
  }

  function pick(address, name) {
    if (!name || !name.includes(".")) return; // lines and bands are no matrices
    const asked = new URLSearchParams(location.search); // with all else that is shown
    asked.set("matrix", name.split(": ")[0]);
    const place = `${address}?${asked}`;
    htmx.ajax("GET", place, { target: "#esd", swap: "innerHTML" }).then(() => {
      history.replaceState(null, "", `${place}#esd`);
      document.getElementById("esd").scrollIntoView({ block: "start" });
    });
  }

  function showOptions(select) {
    for (const options of select.form.querySelectorAll("[data-method]")) {
      options.hidden = options.dataset.method !== select.value;
    }
  }

  function prepare(root) {
    for (const [box, chart] of charts) {
      if (!box.isConnected) { chart.dispose(); charts.delete(box); }
    }
    root.querySelectorAll("[data-figure]").forEach((box) => charts.has(box) || draw(box));
    root.querySelectorAll("[data-methods]").forEach(showOptions);
  }

  async function upload(form) {
    const file = form.querySelector("input").files[0];
    const said = form.querySelector("[role=status]");
    const button = form.querySelector("button");
    button.disabled = true; // a second click would send it twice
    said.textContent = "Uploading …";
    try {
      const answer = await fetch(`${form.dataset.upload}?name=${encodeURIComponent(file.name)}`, {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
      });
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.detail);
      for (const list of document.querySelectorAll("[data-datasets]")) {
        list.add(new Option(`${found.name} (uploaded now)`, found.id));
      }
      document.querySelector("[data-datasets]").value = found.id;
      said.textContent = `${found.name} is there, and chosen to train on.`;
    } catch (error) {
      said.textContent = `It was not taken: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  }

  // A job's stream ends with the job: closed here, or the browser would take its end for a fault.
  htmx.createEventSource = (address) => {
    const source = new EventSource(address);
    for (const end of ["succeeded", "failed", "cancelled"]) {
      source.addEventListener(end, () => source.close());
    }
    return source;
  };
  document.documentElement.classList.add("scripts");
  let open = []; // tables that are read while their page goes on
  document.addEventListener("htmx:beforeSwap", () => {
    open = [...document.querySelectorAll("details[open] > summary")].map((summary) => summary.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of open) document.getElementById(id)?.parentElement.setAttribute("open", "");
  });
  function tell(event) {
    const code = event.detail.xhr?.status;
    if (code === 401) location.reload();
    const said = document.getElementById("failed");
    said.hidden = false;
    said.textContent = code
      ? `The service answered with an error (${code}). Load the page again to see what is wrong.`
      : "The service does not answer. What is shown may be old; load the page again.";
  }
  for (const wrong of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(wrong, tell);
  }
  document.addEventListener("htmx:afterOnLoad", (event) => { // answers again, or as it should
    if (event.detail.successful) document.getElementById("failed").hidden = true;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-methods]")) showOptions(event.target);
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy);
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
      button.textContent = "Copied";
    } catch { // over plain http browsers have no clipboard
      button.textContent = "Selected: press Ctrl+C";
    }
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-upload]")) return;
    event.preventDefault();
    upload(event.target);
  });
  addEventListener("resize", () => charts.forEach((chart, box) => {
    const crossed = (box.clientWidth <= NARROW) !== (chart.getWidth() <= NARROW);
    if (crossed) draw(box); else chart.resize();
  }));
  dark.addEventListener("change", () => charts.forEach((chart, box) => draw(box)));
  htmx.onLoad(prepare);
})();
