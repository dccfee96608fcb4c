"use strict";
(() => {
  const page = document.documentElement;
  const collator = new Intl.Collator(page.lang, { numeric: true, sensitivity: "base" });
  const settings = JSON.parse(document.getElementById("settings").textContent);

  // Light and dark: what the reader's system says, until the button is pressed.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (page.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const tell = () => button.setAttribute("aria-pressed", String(isDark()));
  button.hidden = false;
  button.addEventListener("click", () => {
    page.dataset.theme = isDark() ? "light" : "dark";
    tell();
  });
  system.addEventListener("change", tell);
  tell();

  // Tables: a button in each heading sorts; what has no value comes last either way.
  const read = (row, column) => {
    const cell = row.cells[column];
    return "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent;
  };
  const isMissing = (value) => value === "–" || value === "";
  const compare = (one, other, factor) => {
    if (isMissing(one) || isMissing(other)) return isMissing(one) - isMissing(other);
    if (typeof one === "number" && typeof other === "number") return factor * (one - other);
    return factor * collator.compare(String(one), String(other));
  };
  const sort = (table, column, order) => {
    const body = table.tBodies[0];
    const factor = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => ({ row, value: read(row, column) }));
    rows.sort((a, b) => compare(a.value, b.value, factor));
    rows.forEach(({ row }, place) => row.classList.toggle("rest", place >= table.dataset.shown));
    body.append(...rows.map(({ row }) => row));
  };
  for (const table of document.querySelectorAll("main table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
      const sorter = document.createElement("button");
      sorter.type = "button";
      sorter.append(...heading.childNodes);
      heading.append(sorter);
      const first = heading.classList.contains("number") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      sorter.addEventListener("click", () => {
        const order = heading.getAttribute("aria-sort") === first ? second : first;
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", order);
        sort(table, column, order);
      });
    }
  }
  for (const more of document.querySelectorAll(".more button")) {
    const all = more.textContent;
    more.addEventListener("click", () => {
      const table = more.closest("article").querySelector("table");
      const open = table.classList.toggle("all");
      more.setAttribute("aria-expanded", String(open));
      more.textContent = open ? more.dataset.fewer : all;
    });
  }

  // Print shows what is folded away.
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });

  // Charts: where there is no room, panels side by side that share their labels get narrower,
  // and those with labels of their own are put one below the other.
  // Where there is room to spare, they get as wide as the tables.
  const LABELS = 170, LEAST = 80, ROOMY = 620, MOST = 1.8;
  const natural = (chart) => {
    const widths = (parts) => (chart[parts] ?? []).map(natural);
    if (chart.hconcat) return widths("hconcat").reduce((sum, width) => sum + width, 0);
    if (chart.spec) return natural(chart.spec);
    const inner = [...widths("vconcat"), ...widths("layer")];
    return Math.max(chart.width > 0 ? chart.width : 0, ...inner);
  };
  const widened = (chart, factor) => {
    const wide = { ...chart };
    for (const parts of ["hconcat", "vconcat", "layer"]) {
      if (wide[parts]) wide[parts] = wide[parts].map((inner) => widened(inner, factor));
    }
    if (wide.spec) wide.spec = widened(wide.spec, factor);
    if (wide.width > 0) wide.width = Math.round(wide.width * factor);
    return wide;
  };
  const fitted = (chart, room) => {
    if (room >= ROOMY) {
      const factor = Math.min(MOST, (room - LABELS) / natural(chart));
      return factor > 1 ? widened(chart, factor) : chart;
    }
    return narrowed(chart, room);
  };
  const narrowed = (chart, room) => {
    const { hconcat, ...rest } = chart;
    const share = hconcat && JSON.stringify(hconcat).includes('"axis":null');
    const part = hconcat && !share ? { ...rest, vconcat: hconcat } : { ...chart };
    const each = share ? LABELS + (room - LABELS) / hconcat.length - 10 : room;
    for (const parts of ["hconcat", "vconcat", "layer"]) {
      if (part[parts]) part[parts] = part[parts].map((inner) => narrowed(inner, each));
    }
    if (part.width > LEAST) part.width = Math.max(LEAST, Math.min(part.width, each - LABELS));
    if (part.config) part.config = { ...part.config, legend: { ...part.config.legend, columns: 2 } };
    return part;
  };
  const ERRORS = 1;
  const options = {
    actions: false,
    ast: true,
    defaultStyle: false,
    formatLocale: settings.numbers,
    logLevel: ERRORS,
    mode: "vega-lite",
    renderer: "svg",
    timeFormatLocale: settings.dates,
    tooltip: { theme: "custom", disableDefaultStyle: true },
  };
  const draw = async () => {
    for (const place of document.querySelectorAll(".chart")) {
      const isNarrow = place.clientWidth < ROOMY;
      const shorter = (key, value) => (key === "labelLimit" && isNarrow ? 110 : value);
      const canvas = document.createElement("div");
      place.append(canvas);
      try {
        const chart = JSON.parse(place.querySelector("script").textContent, shorter);
        const room = place.clientWidth;
        const fit = fitted(chart, room);
        await vegaEmbed(canvas, fit, options);
        // Names longer than LABELS take from the bars, not from the page.
        const over = canvas.querySelector("svg").getBoundingClientRect().width - room;
        const wide = natural(fit);
        if (over > 0 && wide > 0) {
          const factor = Math.max(wide - over - 2, LEAST) / wide;
          if (factor < 1) await vegaEmbed(canvas, widened(fit, factor), options);
        }
      } catch (error) {
        canvas.textContent = place.dataset.failed;
        console.error(place.closest("article").id, error);
      }
    }
    page.dataset.drawn = "true";
  };
  draw();
})();
