"use strict";
(() => {
  const MOST_HIDDEN = 60; // charts drawn ahead within folded parts, so that they are there on paper

  // -- charts -------------------------------------------------------------------------------------------------------
  const source = document.getElementById("charts");
  const charts = source ? JSON.parse(source.textContent) : { specs: [] };
  const main = document.querySelector("main");
  const views = new Map();

  function widthOf(element) {
    const shown = element.clientWidth;
    const wide = Math.min(main.clientWidth, 960);
    return Math.max(220, shown || (wide > 720 ? wide / 2 - 16 : wide));
  }

  async function draw(element) {
    if (views.has(element)) return;
    views.set(element, null);
    const spec = { ...charts.specs[Number(element.dataset.chart)], width: widthOf(element), config: charts.config };
    const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false };
    const { view } = await window.vegaEmbed(element.firstElementChild, spec, { ...options, tooltip: { disableDefaultStyle: true } });
    views.set(element, view);
    fit(element);
  }

  function fit(element) {
    const view = views.get(element);
    if (view && element.clientWidth && view.width() !== widthOf(element)) view.width(widthOf(element)).runAsync();
  }

  async function drawAll() {
    const all = [...document.querySelectorAll(".chart")];
    const hidden = all.filter((element) => element.closest("details:not([open])"));
    const later = new Set(hidden.slice(MOST_HIDDEN));
    for (const element of all) if (!later.has(element)) await draw(element);
    document.documentElement.dataset.ready = "yes";
  }

  let waiting = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => { [...views.keys()].forEach(fit); scrollers(); });
  });

  // -- tables that are wider than the page can be reached by keyboard, others need not ------------------------------------
  function scrollers() {
    for (const element of document.querySelectorAll(".scroll, pre")) {
      if (!element.clientWidth) continue;
      if (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  }

  // -- folded parts: drawn when they open, open where a link leads into them, and on paper ---------------------------------
  document.addEventListener("toggle", (event) => {
    if (!event.target.open) return;
    event.target.querySelectorAll(".chart").forEach((element) => draw(element).then(() => fit(element)));
    scrollers();
  }, true);

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let element = target; element; element = element.parentElement) {
      const folded = element.matches("details") ? element : element.querySelector(":scope > details");
      if (folded) folded.open = true;
    }
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", reveal);

  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("section > details:not([open])")];
    closed.forEach((element) => { element.open = true; });
  });
  window.addEventListener("afterprint", () => { closed.forEach((element) => { element.open = false; }); });

  // -- detections to choose from ------------------------------------------------------------------------------------
  function browse(browser) {
    const form = browser.querySelector("form");
    const items = [...browser.querySelectorAll("[data-item]")];
    const rows = items.filter((item) => item.matches("tr"));
    const cards = items.filter((item) => !item.matches("tr"));
    const orders = {
      time: (a, b) => a.dataset.time.localeCompare(b.dataset.time),
      probability: (a, b) => b.dataset.probability - a.dataset.probability || orders.time(a, b),
    };
    let order = "time";

    function choose() {
      const chosen = [...form.querySelectorAll("[data-by]")].filter((select) => select.value);
      const least = Number(form.querySelector("[data-least]").value) || 0;
      const fits = (item) => Number(item.dataset.probability) >= least
        && chosen.every((select) => item.dataset[select.dataset.by] === select.value);
      for (const item of items) item.hidden = !fits(item);
      const asked = form.querySelector("[data-order]").value;
      if (asked !== order) {
        order = asked;
        for (const list of [cards, rows]) [...list].sort(orders[order]).forEach((item) => item.parentElement.append(item));
      }
      const seen = cards.filter((item) => !item.hidden).length;
      const found = rows.filter((item) => !item.hidden).length;
      browser.querySelector(".count").textContent =
        `${found} of ${browser.dataset.total} detections, ${seen} of them with a picture`;
      browser.querySelector(".nothing").hidden = found > 0;
      scrollers();
    }
    form.addEventListener("input", choose);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(choose));
    choose();
  }
  document.querySelectorAll(".browser").forEach(browse);

  scrollers();
  if (location.hash) reveal();
  drawAll();
})();
