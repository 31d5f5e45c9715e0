// Configures uPlot with the numbers of the page. Texts reach the page by textContent alone.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("scripted");
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const HEIGHT = 215, AXIS = 56, MARGIN = 22; // pixels
  const ROWS = 3;
  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  const element = (tag, text, parent) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  const number = (value, unit, digits = 4) => {
    if (value == null) return "";
    const shown = unit === "%" ? 100 * value : value, size = Math.abs(shown);
    const text = size >= 9999.5 && size < 1e15 ? Math.round(shown).toLocaleString("en") : String(Number(shown.toPrecision(digits)));
    return unit ? text + " " + unit : text;
  };
  // As many digits as tell neighbours on an axis apart.
  const between = (splits, step) => Math.min(Math.max(4, Math.ceil(Math.log10(Math.max(...splits.map(Math.abs)) / step)) + 1), 15);
  const axes = (unit) => {
    const common = { stroke: colour("quiet"), font: FONT, grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
    const utc = { size: 30, space: 60, values: [
      [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
      [60, "{HH}:{mm}", data.day ? null : "\n{MM}-{DD}", null, null, null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
      [0.001, "{ss}.{fff}", null, null, null, null, null, null, 1],
    ] };
    const value = { size: AXIS, values: (u, splits, axis, space, step) => splits.map((split) => number(split, unit, between(splits, step))) };
    return [{ ...common, ...utc, size: data.day ? 28 : 42 }, { ...common, ...value }];
  };

  // A vertical line and its name where an incident begins. What begins together has one label; labels that would overlap
  // stand one below the other, so that no line crosses an earlier one's; beyond ROWS of them a line has none.
  const INCIDENT = "600 11px system-ui, sans-serif";
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = INCIDENT;
  const labels = (list, position, left, right) => {
    const places = new Map();
    for (const one of list) {
      const x = Math.round(Math.max(position(one.t), left));
      if (x <= right) places.set(x, [...(places.get(x) ?? []), one.l]);
    }
    let end = -Infinity, row = 0;
    return [...places].sort(([a], [b]) => a - b).map(([x, names]) => {
      const text = names.join(", "), width = ruler.measureText(text).width;
      const start = Math.max(Math.min(x + 4, right - width), left);
      row = end + 8 < start ? 0 : row + 1;
      end = Math.max(end, start + width);
      return { x, start, row, text };
    });
  };
  const rowsOf = (found) => Math.min(Math.max(...found.map(({ row }) => row + 1), 0), ROWS);
  const incidents = (list) => (u) => {
    const { ctx } = u, ratio = devicePixelRatio, left = u.bbox.left / ratio, top = u.bbox.top / ratio;
    const found = labels(list, (t) => u.valToPos(t, "x", true) / ratio, left, left + u.bbox.width / ratio);
    const rows = rowsOf(found);
    ctx.save();
    ctx.scale(ratio, ratio);
    ctx.font = INCIDENT;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.fillStyle = ctx.strokeStyle = colour("incident");
    ctx.lineWidth = 1.5;
    for (const { x, start, row, text } of found) {
      const from = row < rows ? top - 13 * (rows - row) : top;
      ctx.beginPath(); ctx.moveTo(x, from); ctx.lineTo(x, top + u.bbox.height / ratio); ctx.stroke();
      if (row < rows) ctx.fillText(text, start, from + 9);
    }
    ctx.restore();
  };
  // Room above a chart for the labels, before there is a scale to place them by.
  const room = (one, width) => {
    const first = one.t[0], span = one.t[one.t.length - 1] - first || 1, inner = width - AXIS - MARGIN;
    return 8 + 13 * rowsOf(labels(one.incidents, (t) => AXIS + ((t - first) / span) * inner, AXIS, AXIS + inner));
  };

  const line = (place, keys) => {
    const one = data.lines[place.id], unit = one.unit, count = one.t.length;
    const series = [{}], columns = [one.t], bands = [], toggles = [];
    const add = (options, values) => (columns.push(values), series.push(options) - 1);
    const area = (edges, name) => {
      const edge = { stroke: "transparent", width: 0, points: { show: false } };
      const low = add(edge, edges.lo), high = add(edge, edges.hi);
      bands.push({ series: [high, low], fill: colour(name) });
    };
    const key = (kind, name, text) => {
      const made = element("span", "", keys);
      const mark = element("i", "", made);
      mark.className = kind;
      mark.style[kind === "area" ? "background" : "color"] = colour(name);
      made.append(text);
    };
    if (one.band) area(one.band, "band");
    if (one.rest) area(one.rest, "rest");
    for (const limit of one.limits)
      add({ stroke: colour("limit"), width: 1.5, dash: [6, 4], points: { show: false } }, Array(count).fill(limit.v));
    one.lines.forEach((curve, at) => {
      const index = add({ stroke: colour("line" + at), width: 1.75, points: { show: count < 3, size: 6 } }, curve.v);
      const mine = [index];
      for (const fired of [1, 0]) {
        const rows = one.marks.filter((mark) => mark[0] === at && mark[2] === fired).map((mark) => mark[1]);
        if (!rows.length) continue;
        const values = Array(count).fill(null);
        for (const row of rows) values[row] = curve.v[row];
        const points = { show: true, size: fired ? 10 : 9, width: 2, stroke: colour(fired ? "limit" : "good"), fill: colour(fired ? "limit" : "card") };
        mine.push(add({ paths: () => null, points }, values));
      }
      toggles.push({ curve, at, mine, index });
    });

    const outputs = [];
    const chart = new uPlot({
      width: place.clientWidth, height: HEIGHT, padding: [room(one, place.clientWidth), MARGIN, 0, 0], series, bands, axes: axes(unit), legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { y: { range: (u, low, high) => low == null ? [0, 1] : uPlot.rangeNum(low, high, { min: { pad: 0.08, soft: 0, mode: 3 }, max: { pad: 0.12, soft: 0, mode: 3 } }) } },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false, sync: { key: "all" } },
      hooks: {
        draw: one.incidents.length ? [incidents(one.incidents)] : [],
        setCursor: [(u) => outputs.forEach(([output, index]) => { output.textContent = u.cursor.idx == null ? "" : number(columns[index][u.cursor.idx], unit); })],
      },
    }, columns, place);
    for (const { curve, at, mine, index } of toggles) {
      const button = element("button", "", keys);
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      element("i", "", button).style.color = colour("line" + at);
      button.append(curve.l);
      const output = element("output", "", button);
      output.setAttribute("aria-hidden", "true");
      outputs.push([output, index]);
      button.addEventListener("click", () => {
        const show = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", String(show));
        for (const series of mine) chart.setSeries(series, { show });
      });
    }
    if (one.rest) key("area", "rest", one.rest.l);
    for (const limit of one.limits) key("dashed", "limit", limit.l);
    if (one.band) key("area", "band", "sampling alone");
    return chart;
  };

  const bars = (place, keys) => {
    const one = data.bars[place.id], count = one.reference.length;
    const at = [...Array(count).keys()];
    const bar = (name, align) => ({
      fill: colour(name), stroke: colour(name), width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [0.36, 60], align, gap: 1 }),
    });
    const [, value] = axes("%"), [common] = axes("");
    const widest = Math.max(...(one.labels ?? one.bounds).map((text) => ruler.measureText(text).width), 0);
    const edges = { splits: () => at.slice(1).map((group) => group - 0.5), values: () => one.bounds };
    const below = { splits: () => at, values: () => one.labels };
    const chart = new uPlot({
      width: place.clientWidth, height: HEIGHT, legend: { show: false },
      series: [{}, bar("reference", -1), bar("line0", 1)],
      scales: { x: { time: false, range: [-0.6, count - 0.4] }, y: { range: (u, low, high) => [0, Math.max(high, 1e-9) * 1.08] } },
      axes: [{ ...common, ...(one.labels ? below : edges), grid: { show: false }, size: 42, rotate: widest * 1.15 > (place.clientWidth - AXIS) / count ? -45 : 0 }, value],
      cursor: { show: false },
    }, [at, one.reference, one.current], place);
    for (const [name, text] of [["reference", "reference (baseline)"], ["line0", "current window"]]) {
      const made = element("span", "", keys), mark = element("i", "", made);
      mark.className = "bar";
      mark.style.background = colour(name);
      made.append(text);
    }
    return chart;
  };

  const charts = new Map();
  const draw = (place) => {
    if (charts.has(place) || !place.clientWidth) return;
    const keys = place.nextElementSibling;
    place.replaceChildren();
    keys.replaceChildren();
    charts.set(place, ("line" in place.dataset ? line : bars)(place, keys));
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "600px" });
  const sized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.get(target);
      if (chart && target.clientWidth && chart.width !== target.clientWidth) chart.setSize({ width: target.clientWidth, height: HEIGHT });
    }
  });
  const places = document.querySelectorAll("[data-line], [data-bars]");
  for (const place of places) { seen.observe(place); sized.observe(place); }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [place, chart] of [...charts]) { chart.destroy(); charts.delete(place); draw(place); }
  });
  addEventListener("beforeprint", () => places.forEach(draw));

  // A link to a series opens it.
  const open = () => {
    const whole = document.querySelector(location.hash && /^#series-\d+$/.test(location.hash) ? location.hash + " > details" : "#none");
    if (whole) whole.open = true;
  };
  addEventListener("hashchange", open);
  open();

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const compare = (a, b) => a.dataset.value === undefined
      ? a.textContent.trim().localeCompare(b.textContent.trim(), "en", { numeric: true }) : a.dataset.value - b.dataset.value;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = element("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => compare(a.cells[at], b.cells[at]));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  }
})();
